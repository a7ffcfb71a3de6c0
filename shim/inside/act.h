/* SPDX-License-Identifier: MIT */
/* A plan, carried out: the object is changed, or the result decided; and logged. */
#ifndef PG_ACT_H
#define PG_ACT_H

#include "rules/plan.h"

/* OP becomes what is to be made: perhaps shorter (CLAMPED), or decided (SKIP). errno is set for a
 * failure that is decided, else undefined. What became of P is noted there. */
void pg_act(struct pg_op *op, struct pg_plan *p);

/* A read at the end of what a rule ended, as the kernel answers it. */
void pg_act_at_end(struct pg_op *op);

/* Rule RULE broke the object that is behind FD now: a fault may have put another one there in the
 * place of O, for which the record then stands. */
void pg_act_remember(int fd, unsigned rule, const struct pg_object *o);

#endif
