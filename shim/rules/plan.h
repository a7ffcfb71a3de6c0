/* SPDX-License-Identifier: MIT */
/* What the rules together want done with one call. */
#ifndef PG_PLAN_H
#define PG_PLAN_H

#include "object/look.h"
#include "rules/config.h"
#include "rules/op.h"

#include <sys/uio.h>

/* What became of a hold. */
enum pg_held { PG_NOT_HELD, PG_HELD, PG_HELD_IN_VAIN };

struct pg_plan {
	const struct pg_rule *final; /* the first that fires with a final action */
	unsigned rule;		     /* the serial of final, or of the first that fires at all */
	bool fires;
	bool seeded; /* that rule has prob= */
	bool logs;   /* more than an exemption, or a signal that may be taken away */
	uint64_t hold, delay;
	uint64_t most; /* bytes that the call may move; ~0: all */
	uint64_t garbage;
	bool nosignal, stop, abort;
	bool midway; /* final breaks a pipe inside this call */

	/* What became of it. */
	enum pg_held held;
	bool lost;    /* drop: the bytes go nowhere */
	bool already; /* what was to be broken was so before */
	int failed;   /* errno: why the fault could not be made; 0: it was, or none was asked for */
};

/* True if the kernel would raise SIGPIPE with an EPIPE of CALL on O. Pipes and stream sockets do,
 * unless the plan says otherwise. */
static inline bool pg_plan_raises(enum pg_call call, int flags, const struct pg_object *o)
{
	return o->stream && !pg_call_spares(call, flags);
}

/* Fills in OP's bytes. Its object is known. False: the kernel would refuse OP for its arguments, or
 * for what its object is, and that is the kernel's to do. Reads the program's memory as carefully
 * as the kernel.
 */
bool pg_plan_look(struct pg_op *op);

/* True if OP throws away what it reads, so that its memory is not touched (tcp(7), MSG_TRUNC). */
bool pg_plan_discards(const struct pg_op *op);

/* True if OP may be made with less than its bytes. Not where the kernel would stumble over its
 * memory: of the rest it could not tell then. */
bool pg_plan_may_cut(const struct pg_op *op);

/* Asks the rules that watch OP, and counts. */
void pg_plan_make(struct pg_plan *p, const struct pg_op *op);

/* What garbage= puts into memory: N bytes of a generator that begins anew for each read of the
 * object of S, from the seed and from how much was read before. The same in every run, and from
 * both engines. S may be a null pointer. */
uint64_t pg_garbage_begin(const struct pg_story *s);
void pg_garbage(void *to, uint64_t n, uint64_t *state);

/* The vector of OP, and how many entries it has. */
const struct iovec *pg_plan_vector(const struct pg_op *op, uint64_t *n);

#endif
