/* SPDX-License-Identifier: MIT */
#ifndef PG_CALLS_H
#define PG_CALLS_H

/* Start-up only, after pg_next_resolve(): lets syscall(2) through to libc's own, but for the calls
 * that write. */
void pg_calls_start(void);

#endif
