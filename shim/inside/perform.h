/* SPDX-License-Identifier: MIT */
/*
 * A call that a rule watches, performed: before, make, after, in one order for
 * every gate. A gate says what is asked and how the call is made in its way;
 * nothing here is on a healthy call's path.
 */
#ifndef PG_PERFORM_H
#define PG_PERFORM_H

#include "inside/guard.h"

/* Makes OP in a gate's own way: LEN of it, perhaps less than was asked for (CLAMPED). HOW: the
 * gate's. Returns what the call returns, with errno set as it sets it. */
typedef int64_t pg_make_fn(struct pg_op *op, void *how);

/*
 * OP as the rules want it: it is marked as in progress, the rules are asked, it
 * is made (unless they decided its result), what they want in its midst and
 * afterwards is done, and what came of a write is logged. Returns what the call
 * returns; a read that gave nothing is for pg_guard_in(). May not return.
 */
PG_COLD int64_t pg_perform(struct pg_op *op, pg_make_fn *make, void *how);

/* The first and the last step alone, for a write that no rule acts on. */
static inline void pg_enter(struct pg_op *op)
{
	uint64_t bits = (op->raw ? PG_MARK_RAW : 0) | (op->via == PG_VIA_STDIO ? PG_MARK_STDIO : 0);

	op->marked = true;
	pg_mark_as(op, PG_MARK(op->call, op->fd, bits), op->caller + 1);
}

/* It returned RET: what was written is counted, what broke is logged. */
PG_COLD void pg_judge(struct pg_op *op, int64_t ret);

static inline void pg_leave(struct pg_op *op, int64_t ret)
{
	pg_judge(op, ret);
	pg_unmark(op);
}

/* The last step of a read: what it gave is counted, and turned to garbage where a rule wants that.
 * errno is kept. */
PG_COLD void pg_took(const struct pg_op *op, int64_t ret);

#endif
