/* SPDX-License-Identifier: MIT */
/* Calls whose bytes are moved here, with what comes of it: fewer of them, other ones, or because
 * they are counted. */
#ifndef PG_CARRY_H
#define PG_CARRY_H

#include "outside/way.h"

/* True if C's bytes are to be moved here; if it is to move fewer than it asked for. */
bool pg_carries(struct pg_ruled *c);
bool pg_carry_cuts(const struct pg_ruled *c);

/* Moves them, and answers C or lets it wait. BREAKS: its pipe's reader leaves behind the last. */
void pg_carry_start(struct pg_ruled *c, bool breaks);

/* The same with what is left. True: it has been answered. */
bool pg_carry_on(struct pg_ruled *c);

/* N bytes went by C. */
void pg_carry_count(struct pg_ruled *c, int64_t n);

/* C moved DONE bytes; of several messages they are the first one's, so each of them meets the
 * rules. */
void pg_carry_answer(struct pg_ruled *c);

/* C, which reads, is told that this is the end. */
void pg_carry_end(struct pg_ruled *c);

/* How long the program itself lets the call wait, in ns; 0: for ever. */
uint64_t pg_patience(const struct pg_ruled *c);

#endif
