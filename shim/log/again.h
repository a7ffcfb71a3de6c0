/* SPDX-License-Identifier: MIT */
/* The rule that breaks the same write again. */
#ifndef PG_AGAIN_H
#define PG_AGAIN_H

#include "log/event.h"

/* Does a rule reach E's write, and no other one before it? Not one that no wrapper sees, nor what a
 * rule cannot break, nor what nothing tells from the writes before. */
bool pg_has_again(const struct pg_event *e);

/*
 * The rule that breaks the same write again, once: the program, the n-th
 * connection, or the descriptor, and the offset in its stream; where that is
 * not known, what was told before, and who called.
 */
void pg_put_again(struct pg_text *t, const struct pg_event *e);

#endif
