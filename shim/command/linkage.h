/* SPDX-License-Identifier: MIT */
/* An ELF file: architecture, privileges, loader, sanitizer, gates. */
#ifndef PG_LINKAGE_H
#define PG_LINKAGE_H

#include "command/examined.h"
#include "outside/elf_file.h"

/* To the verdict. */
void pg_linkage_examine(struct pg_examined *x, const struct pg_elf_file *e, const char *library);

#endif
