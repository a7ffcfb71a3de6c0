/* SPDX-License-Identifier: MIT */
/* A plan, carried out on a call of another process. */
#ifndef PG_OUTSIDE_ACT_H
#define PG_OUTSIDE_ACT_H

#include "outside/way.h"

/* A signal that stops C's process, or ends it with a core: here, before the call. True: C is to
 * come again when that is over. */
bool pg_act_halt(struct pg_ruled *c);

/* The final action, and what changes its bytes. C is answered, goes on, or waits. */
void pg_act_finish(struct pg_ruled *c);

#endif
