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

/* For poll(2): adds what waits to P, of which there are MOST. Returns how many. *UNTIL becomes the
 * next deadline, if that is earlier; 0: none. */
struct pollfd;
unsigned pg_ruled_poll(struct pollfd *p, unsigned most, uint64_t *until);

/* After it: what has come to its time goes on. */
void pg_ruled_step(void);

/* Does a rule ask who called? */
bool pg_ruled_by_stack(void);

/* Thread TID has ended. */
void pg_ruled_gone(int tid);

#endif
