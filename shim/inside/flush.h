/* SPDX-License-Identifier: MIT */
/* What libc's stdio still holds when the program exits. */
#ifndef PG_FLUSH_H
#define PG_FLUSH_H

#include "base/sys.h"

/* Start-up only: the tables of libc's own FILEs lie from LO to HI. */
void pg_flush_start(uintptr_t lo, uintptr_t hi);

/* exit() has run what it was asked to; what comes now is the flush of all FILEs. True
 * if any of them still holds something: the exit line is logged behind the last one. */
bool pg_flush_waits(void);

/* True if all FILEs are libc's own: none makes any other call but to write what waits. */
bool pg_flush_is_plain(void);

/* The last of those that do, or a null pointer: behind it nothing comes. */
extern const void *pg_last_to_flush PG_HIDDEN;

#endif
