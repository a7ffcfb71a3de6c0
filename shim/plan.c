/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include "peek.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { IOVECS = 1024 }; /* IOV_MAX: the kernel takes no more */

/* ---- lengths ---- */

/* Is every one of N entries, which take SUM so far, what the kernel would take? */
static bool add_entries(const struct iovec *iov, uint64_t n, uint64_t *sum)
{
	for (uint64_t i = 0; i < n; i++) {
		if (iov[i].iov_len && !pg_readable(iov[i].iov_base))
			return false;
		*sum += iov[i].iov_len;
		if (iov[i].iov_len > LONG_MAX || *sum > LONG_MAX)
			return false;
	}
	return true;
}

static bool vector_bytes(const struct iovec *iov, uint64_t n, uint64_t *sum)
{
	enum { BATCH = 8 };
	struct iovec some[BATCH];

	*sum = 0;
	for (uint64_t at = 0; n <= IOVECS && at < n; at += BATCH) {
		uint64_t k = n - at < BATCH ? n - at : BATCH;

		if (!pg_peek(some, iov + at, (size_t)k * sizeof *some) ||
		    !add_entries(some, k, sum))
			return false;
	}
	return n <= IOVECS;
}

/* What OP asks for, its memory read as carefully as the kernel would. False: it would answer EFAULT
 * or EINVAL. */
static bool look_at_length(const struct pg_op *op, struct pg_candidate *c)
{
	struct msghdr msg;

	c->length_known = op->len >= 0 || op->shape != PG_NOTHING;
	c->length = op->len > 0 ? (uint64_t)op->len : 0;
	if (op->shape == PG_BUF)
		return op->len >= 0 && (!c->length || pg_readable(op->data));
	if (op->shape == PG_IOV)
		return vector_bytes(op->data, op->count, &c->length);
	if (op->shape != PG_MSG)
		return true;
	if (!op->len) /* no message */
		return false;
	return pg_peek(&msg, op->data, sizeof msg) &&
	       vector_bytes(msg.msg_iov, (uint64_t)msg.msg_iovlen, &c->length);
}

const struct iovec *pg_plan_vector(const struct pg_op *op, uint64_t *n)
{
	const struct msghdr *msg = op->data;

	*n = op->shape == PG_MSG ? (uint64_t)msg->msg_iovlen : op->count;
	return op->shape == PG_MSG ? msg->msg_iov : op->data;
}

static bool is_pipe(int fd)
{
	struct pg_stat st;

	return !pg_fstat(fd, &st) && S_ISFIFO(st.mode);
}

/* tee(2), vmsplice(2) and splice(2) want pipes, one end at least; the kernel refuses the rest. */
static bool lacks_pipe(const struct pg_op *op, const struct pg_object *o)
{
	if (op->call == PG_CALL_tee || op->call == PG_CALL_vmsplice)
		return o->kind != PG_PIPE;
	return op->call == PG_CALL_splice && o->kind != PG_PIPE && !is_pipe(op->source);
}

/* Would the kernel refuse OP for what O is: no socket (ENOTSOCK), not open for it (EBADF), or
 * nothing that it works on (EINVAL)? */
static bool unfit(const struct pg_op *op, const struct pg_object *o)
{
	const struct pg_layout *l = pg_call_layout(op->call);
	bool socket = pg_kind_is_socket(o->kind);
	bool of_sockets = l->flags >= 0 && (l->shape == PG_BUF || l->shape == PG_MSG);
	long flags;

	if (lacks_pipe(op, o))
		return true;
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
#define QUIET ((uint64_t)1 << PG_F_NOSIGNAL | (uint64_t)1 << PG_F_PASS)

/* Those of R's modifiers that are possible with the call whose bit is BIT. */
static void add_modifiers(struct pg_plan *p, const struct pg_rule *r, uint64_t bit)
{
	if (pg_rule_can(r, PG_F_HOLD, bit) && r->hold > p->hold)
		p->hold = r->hold;
	p->delay += r->delay;
	if (pg_rule_can(r, PG_F_TRICKLE, bit)) {
		p->delay += r->trickle_every;
		p->most = r->trickle < p->most ? r->trickle : p->most;
	}
	if (pg_rule_can(r, PG_F_SHORT, bit) && r->shorten < p->most)
		p->most = r->shorten;
	if (pg_rule_can(r, PG_F_GARBAGE, bit))
		p->garbage = r->garbage;
	p->nosignal |= pg_rule_can(r, PG_F_NOSIGNAL, bit);
	p->stop |= pg_has(r, PG_F_STOP);
	p->abort |= pg_has(r, PG_F_ABORT);
	p->tells |= (pg_rule_actions(r, bit) & ~QUIET) != 0;
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
static void add_rule(struct pg_plan *p, unsigned n, uint64_t bit)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!p->fires)
		p->rule = n;
	p->fires = true;
	add_modifiers(p, r, bit);
	if (p->final || !pg_rule_can(r, r->terminal, bit))
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
		add_rule(p, n, bit);
		p->midway |= p->final == r && at.offset != c->offset;
	}
}
