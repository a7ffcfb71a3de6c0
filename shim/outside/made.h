/* SPDX-License-Identifier: MIT */
/* A fault in another process: made, remembered and logged. */
#ifndef PG_MADE_H
#define PG_MADE_H

#include "log/event.h"
#include "outside/way.h"

/* The fault that the final action of C's plan is. Returns 0 or -errno. */
int pg_make(struct pg_ruled *c);

/* What takes a number takes C's, from now on; a null pointer: nobody's. */
void pg_make_for(struct pg_ruled *c);

/* The rule of C's plan broke its object. */
void pg_made_remember(struct pg_ruled *c);

/* Logs what has become of C's plan. */
void pg_made_log(struct pg_ruled *c);

/* An event EV about C. */
struct pg_event *pg_made_event(const struct pg_ruled *c, enum pg_ev ev);

/* SIG to C's thread; true if it blocks it. */
void pg_send(const struct pg_ruled *c, int sig);
bool pg_blocks(const struct pg_ruled *c, int sig);

#endif
