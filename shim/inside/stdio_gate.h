/* SPDX-License-Identifier: MIT */
/*
 * The stdio gate. glibc's stdio writes through a slot of its FILE jump tables
 * (libio/libioP.h, _IO_jump_t), never through the symbol write. The slots
 * that hold the exported _IO_file_write are found by value near the exported
 * _IO_file_jumps and replaced: libc's data, not its code, and not the table
 * pointer of a FILE, which glibc checks. popen's, wide and mmap'ed tables
 * stand beside it and are replaced alike.
 */
#ifndef PG_STDIO_GATE_H
#define PG_STDIO_GATE_H

#include <stdbool.h>

/* Start-up only. False: this libc has no such slot; stdio is then seen by the signal gate alone. */
bool pg_stdio_start(void);

#endif
