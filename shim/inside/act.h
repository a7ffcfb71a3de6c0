/* SPDX-License-Identifier: MIT */
/* A plan, carried out: the object is changed, or the result decided; and told. */
#ifndef PG_ACT_H
#define PG_ACT_H

#include "rules/plan.h"

/* Returns OP as it is to be made: perhaps shorter (OP.clamped), or decided (OP.skip). errno is set
 * for a failure that is decided, else undefined. */
struct pg_op pg_act(struct pg_op op, const struct pg_plan *p, const struct pg_candidate *c);

/* A read at the end of what a rule ended, as the kernel answers it. */
struct pg_op pg_act_at_end(struct pg_op op);

/* Rule RULE broke the object that is behind FD now: a fault may have put another one there in the
 * place of O, for which the record then stands. */
void pg_act_remember(int fd, unsigned rule, const struct pg_object *o);

#endif
