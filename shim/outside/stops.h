/* SPDX-License-Identifier: MIT */
/*
 * Calls that are seen by a stop at each system call: for processes that run
 * already, in which nothing may stay behind, and where a rule asks for the
 * stack. Each call costs two stops, whatever it is.
 */
#ifndef PG_STOPS_H
#define PG_STOPS_H

#include <stdbool.h>

/* From now on threads stop at calls. */
void pg_stops_start(void);
extern bool pg_stops_on;

/* Thread TID has stopped at a call. */
void pg_stops_take(int tid);

/* True while a thread is on its way back from a call that was not made. It would get a wrong answer
 * if it were left now. */
bool pg_stops_owes(void);

/* No call is looked at any more: those of many threads would keep it true for ever. */
void pg_stops_end(void);

/* Thread TID has ended. */
void pg_stops_gone(int tid);

#endif
