/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include "fault.h"

#include <fcntl.h>
#include <limits.h>

enum { IOVECS = 1024 }; /* IOV_MAX: the kernel takes no more */

/* ---- lengths ---- */

static uint64_t vector_bytes(const struct iovec *iov, uint64_t n, bool *readable)
{
	uint64_t sum = 0;
	struct iovec one = {NULL, 0};

	*readable = n <= IOVECS;
	for (uint64_t i = 0; *readable && i < n; i++) {
		*readable = pg_fault_peek(&one, &iov[i], sizeof one);
		if (*readable && one.iov_len)
			*readable = pg_fault_readable(one.iov_base);
		if (*readable)
			sum += one.iov_len;
		if (one.iov_len > LONG_MAX || sum > LONG_MAX)
			*readable = false;
	}
	return sum;
}

/* What OP asks for, its memory read as carefully as the kernel would. False: it would answer EFAULT
 * or EINVAL. */
static bool look_at_length(const struct pg_op *op, struct pg_candidate *c)
{
	struct msghdr msg;
	bool readable = true;

	c->length_known = op->len >= 0 || op->shape != PG_NOTHING;
	c->length = op->len > 0 ? (uint64_t)op->len : 0;
	if (op->shape == PG_BUF)
		return op->len >= 0 && (!c->length || pg_fault_readable(op->data));
	if (op->shape == PG_IOV)
		c->length = vector_bytes(op->data, op->count, &readable);
	if (op->shape != PG_MSG)
		return readable;
	if (!op->len) /* no message */
		return false;
	if (!pg_fault_peek(&msg, op->data, sizeof msg))
		return false;
	c->length = vector_bytes(msg.msg_iov, (uint64_t)msg.msg_iovlen, &readable);
	return readable;
}

const struct iovec *pg_plan_vector(const struct pg_op *op, uint64_t *n)
{
	const struct msghdr *msg = op->data;

	*n = op->shape == PG_MSG ? (uint64_t)msg->msg_iovlen : op->count;
	return op->shape == PG_MSG ? msg->msg_iov : op->data;
}

/* Would the kernel refuse OP for what O is: no socket (ENOTSOCK), or not open for it (EBADF)? */
static bool unfit(const struct pg_op *op, const struct pg_object *o)
{
	const struct pg_layout *l = pg_call_layout(op->call);
	bool socket = o->kind >= PG_TCP && o->kind <= PG_SOCKET;
	bool of_sockets = l->flags >= 0 && (l->shape == PG_BUF || l->shape == PG_MSG);
	long flags;

	if (socket || of_sockets)
		return !socket;
	flags = pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0);
	return flags & O_PATH || (flags & O_ACCMODE) == (pg_is_out(op->call) ? O_RDONLY : O_WRONLY);
}

bool pg_plan_look(const struct pg_op *op, struct pg_candidate *c)
{
	c->in_memory = op->shape != PG_NOTHING;
	return c->object->ino && !unfit(op, c->object) && look_at_length(op, c);
}

/* ---- the plan ---- */

/* Actions that are not told when they fire: most calls they fire on are healthy. */
#define QUIET ((uint64_t)1 << (PG_F_NOSIGNAL - PG_F_HOLD) | (uint64_t)1 << (PG_F_PASS - PG_F_HOLD))

static void add_modifiers(struct pg_plan *p, const struct pg_rule *r)
{
	if (r->hold > p->hold)
		p->hold = r->hold;
	p->delay += r->delay;
	if (pg_has(r, PG_F_TRICKLE)) {
		p->delay += r->trickle_every;
		p->most = r->trickle < p->most ? r->trickle : p->most;
	}
	if (pg_has(r, PG_F_SHORT) && r->shorten < p->most)
		p->most = r->shorten;
	if (pg_has(r, PG_F_GARBAGE))
		p->garbage = r->garbage;
	p->nosignal |= pg_has(r, PG_F_NOSIGNAL);
	p->stop |= pg_has(r, PG_F_STOP);
	p->abort |= pg_has(r, PG_F_ABORT);
	p->tells |= (r->fields >> PG_F_HOLD & ~QUIET) != 0;
}

/* The bytes before at= are delivered first: they may not pass it in one call. */
static void stop_at(struct pg_plan *p, const struct pg_rule *r, const struct pg_candidate *c)
{
	if (!pg_has(r, PG_F_AT) || r->terminal == PG_F_PASS || !c->length_known ||
	    c->offset >= r->at || c->offset + c->length <= r->at)
		return;
	if (r->at - c->offset < p->most)
		p->most = r->at - c->offset;
}

/* Rule N, which fires. */
static void add_rule(struct pg_plan *p, unsigned n)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!p->fires)
		p->rule = n;
	p->fires = true;
	add_modifiers(p, r);
	if (r->terminal == PG_F_COUNT || p->final)
		return;
	p->final = r;
	p->rule = n;
}

/* Would a reader that leaves be told of after a part of C? A pipe takes PIPE_BUF bytes whole
 * (pipe(7)); of more, a blocking write returns what was taken, and raises SIGPIPE. */
static bool breaks_midway(const struct pg_op *op, const struct pg_rule *r,
			  const struct pg_candidate *c)
{
	bool writes = op->shape == PG_BUF || (op->shape == PG_IOV && op->call != PG_CALL_vmsplice);

	return pg_has(r, PG_F_AT) && r->terminal == PG_F_BREAK && c->object->kind == PG_PIPE &&
	       writes && c->length > PIPE_BUF && c->offset < r->at &&
	       c->offset + c->length > r->at &&
	       !(pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0) & O_NONBLOCK);
}

/* Behind a pass, rules only count. */
void pg_plan_make(struct pg_plan *p, const struct pg_op *op, const struct pg_candidate *c,
		  uint64_t bit)
{
	*p = (struct pg_plan){.most = UINT64_MAX};
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];
		struct pg_candidate at = *c;

		if (!(r->calls & bit) || !pg_match(n, c))
			continue;
		p->matches = true;
		if (p->final && p->final->terminal == PG_F_PASS) {
			pg_match_count(n, c);
			continue;
		}
		stop_at(p, r, c);
		if (breaks_midway(op, r, c))
			at.offset = r->at;
		if (!pg_match_fires(n, &at))
			continue;
		add_rule(p, n);
		p->midway |= p->final == r && at.offset != c->offset;
	}
}
