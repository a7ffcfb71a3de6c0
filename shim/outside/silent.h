/* SPDX-License-Identifier: MIT */
/*
 * Writes that break and raise no signal: those with MSG_NOSIGNAL, and all while
 * SIGPIPE is blocked. The kernel notifies no tracer of them, so the calls themselves
 * are stopped at, by who asks for that: in a program that is started, the sends
 * with that flag alone (a filter finds them); elsewhere all calls (stops.h).
 */
#ifndef PG_SILENT_H
#define PG_SILENT_H

#include <stdbool.h>

extern bool pg_silent_on;

/* From here on such sends of this process, and of those to come, stop for their tracer. Returns 0
 * or -errno. */
int pg_silent_install(void);

/* Thread TID comes back from a call: if it broke so, that is logged. */
void pg_silent_look(int tid);

/* Thread TID stopped for a filter. False: for one of the program's own, which has no tracer; its
 * call is not made. */
bool pg_silent_stopped(int tid);

#endif
