/* SPDX-License-Identifier: MIT */
/* Programs that trace others themselves, as debuggers do: a process has one tracer, and that is
 * this one. Each is told of once. */
#ifndef PG_TRACERS_H
#define PG_TRACERS_H

#include <stdbool.h>

/* Thread TID is in ptrace(2), with the words ARG: if the kernel refuses that for this tracer's
 * sake, it is logged. */
void pg_tracers_see(int tid, const long arg[4]);

/* The same of the call that TID is stopped in, if it is that one. */
void pg_tracers_look(int tid);

/*
 * Without a filter, and without stops at calls, nobody would know. So of a thread that has forked,
 * or has just begun, and whose program names ptrace(2) as one of libc's, the next calls are stopped
 * at: a few, some thousands where the program STARTS, until it runs another program.
 */
void pg_tracers_expect(int tid, bool starts);
bool pg_tracers_watch(int tid); /* one call less is left */
void pg_tracers_leave(int tid);

#endif
