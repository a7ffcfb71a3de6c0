/* SPDX-License-Identifier: MIT */
/*
 * A call that a rule watches, made by another process: what the rules want done
 * with it, and how. How the process is held meanwhile, by a notification or a
 * stop, is the way's; this knows only what a way can do.
 */
#ifndef PG_RULED_H
#define PG_RULED_H

#include "outside/way.h"

/* C has come, with WAY, ID, TID, OF, NUMBER and its words. It is answered, or waits. C is copied.
 */
void pg_ruled_come(const struct pg_ruled *c);

/* True if C, of which OF is known, too, is just counted: no rule has its turn, and nothing is to be
 * asked of the kernel. Then it has been counted, and may go on. */
bool pg_ruled_counts(struct pg_ruled *c);

/* After poll(2), see waiting.h: what has come to its time goes on. */
void pg_ruled_step(void);

/* True if a rule asks who called. */
bool pg_ruled_by_stack(void);

/* Thread TID stands at a stop, as it was asked to for its stack, or for another reason. */
void pg_ruled_stands(int tid);

/* Process PID is stopped, once each of its threads is: those that wait are let go to that. */
void pg_ruled_stops(int pid);

#endif
