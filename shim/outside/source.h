/* SPDX-License-Identifier: MIT */
/* Lines of the source are known by pg_source_at() of symbol.h where it was tried before whether
 * they can be read. */
#ifndef PG_SOURCE_H
#define PG_SOURCE_H

#include <stdint.h>

/* Tries it with the N addresses ADDR of the process that is looked at. */
void pg_source_try(const uintptr_t *addr, unsigned n);

#endif
