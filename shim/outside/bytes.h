/* SPDX-License-Identifier: MIT */
/* Bytes of another process's memory. */
#ifndef PG_BYTES_H
#define PG_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies N bytes at ADDRESS of the process, or to it. False: not all of them are there. */
bool pg_bytes_read(int pid, uintptr_t address, void *to, size_t n);
bool pg_bytes_write(int pid, uintptr_t address, const void *from, size_t n);

#endif
