/* SPDX-License-Identifier: MIT */
/* Calls that wait: for their time, for their peer, or parked until a signal is over. */
#ifndef PG_WAITING_H
#define PG_WAITING_H

#include "outside/way.h"

/* C is kept, with its copy where that is looked at meanwhile, until it is its time (DEADLINE,
 * EVENTS) or its thread comes again. */
void pg_wait(struct pg_ruled *c);

/* True if one that was parked has come again as COME, to what it was made on before. It goes on in
 * the next step. */
bool pg_wait_is_over(const struct pg_ruled *come);

/* The call of thread TID that comes again after its stack has been climbed, or a null pointer. */
struct pg_ruled *pg_wait_for_stack(int tid);

/* True, once for each, if the call of thread TID is one of those that wait and were interrupted. */
bool pg_wait_told(int tid);

/* For poll(2): adds what waits to P, of which there are MOST. Returns how many. *UNTIL becomes the
 * next deadline, if that is earlier; 0: none. */
struct pollfd;
unsigned pg_wait_poll(struct pollfd *p, unsigned most, uint64_t *until);

/* True if what C waits for has come about. */
bool pg_wait_has_come(const struct pg_ruled *c);

/* After poll: GO_ON with each whose time has come, INTERRUPT each whose thread has a signal to act
 * on. They are kept no more, but may wait again. */
typedef void pg_wait_fn(struct pg_ruled *c, uint64_t now);
void pg_wait_step(pg_wait_fn *go_on, pg_wait_fn *interrupt);
bool pg_wait_any(void);

/* INTERRUPT all of process PID, which is stopped once each of its threads is. */
void pg_wait_stops(int pid, pg_wait_fn *interrupt);

/* Thread TID has ended. */
void pg_wait_gone(int tid);

#endif
