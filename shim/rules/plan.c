/* SPDX-License-Identifier: MIT */
#include "rules/plan.h"

#include "base/peek.h"
#include "rules/turn.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { IOVECS = 1024 }; /* IOV_MAX: the kernel takes no more */

/* ---- lengths ---- */

/* Is there no address space that holds N bytes from P on? access_ok() in the kernel, which read and
 * write ask of all that they are given. */
static bool beyond_all(const void *p, uint64_t n)
{
	enum { BITS = sizeof(void *) == 8 ? 56 : 32 };

	return n > ((uint64_t)1 << BITS) - (uintptr_t)p;
}

bool pg_plan_discards(const struct pg_op *op)
{
	return op->flags & MSG_TRUNC && op->object->kind == PG_TCP && !pg_is_out(op->call);
}

/* What a vector is looked through for. */
enum look { BEGINNINGS, WHOLE, SIZES };

/* Are N bytes at P what the kernel would take? */
static bool fits(const void *p, uint64_t n, enum look look)
{
	if (!n || look == SIZES)
		return true;
	return look == WHOLE ? pg_readable_all(p, (size_t)n) : pg_readable(p);
}

/* Is every one of N entries, which take SUM so far? */
static bool add_entries(const struct iovec *iov, uint64_t n, enum look look, uint64_t *sum)
{
	for (uint64_t i = 0; i < n; i++) {
		if (!fits(iov[i].iov_base, iov[i].iov_len, look))
			return false;
		*sum += iov[i].iov_len;
		if (iov[i].iov_len > LONG_MAX || *sum > LONG_MAX)
			return false;
	}
	return true;
}

static bool vector_bytes(const struct iovec *iov, uint64_t n, enum look look, uint64_t *sum)
{
	enum { BATCH = 8 };
	struct iovec some[BATCH];

	*sum = 0;
	for (uint64_t at = 0; n <= IOVECS && at < n; at += BATCH) {
		uint64_t k = n - at < BATCH ? n - at : BATCH;

		if (!pg_peek(some, iov + at, (size_t)k * sizeof *some) ||
		    !add_entries(some, k, look, sum))
			return false;
	}
	return n <= IOVECS;
}

/* The same of a buffer. */
static bool buffer_fits(const struct pg_op *op, enum look look)
{
	bool capped = pg_call_layout(op->call)->flags >= 0; /* send and recv look at no more */

	if (op->len < 0 || !fits(op->data, (uint64_t)op->len, look))
		return false;
	return capped || !op->len || !beyond_all(op->data, (uint64_t)op->len);
}

/* Is the address at P, LEN bytes, what the kernel would copy? It cuts a message's short itself. */
static bool address_fits(const void *p, socklen_t len)
{
	enum { MOST = sizeof(struct sockaddr_storage) };

	return !p || !len || pg_readable_all(p, len < MOST ? len : MOST);
}

/* All that OP is to move, looked through for LOOK; SUM: its bytes. */
static bool memory_fits(const struct pg_op *op, enum look look, uint64_t *sum)
{
	struct msghdr msg;

	*sum = op->len > 0 ? (uint64_t)op->len : 0;
	if (op->shape == PG_BUF)
		return buffer_fits(op, look);
	if (op->shape == PG_IOV)
		return vector_bytes(op->data, op->count, look, sum);
	if (op->shape != PG_MSG)
		return true;
	if (!op->len) /* no message */
		return false;
	return pg_peek(&msg, op->data, sizeof msg) &&
	       (!pg_is_out(op->call) || address_fits(msg.msg_name, msg.msg_namelen)) &&
	       vector_bytes(msg.msg_iov, (uint64_t)msg.msg_iovlen, look, sum);
}

/* What OP asks for, its memory read as carefully as the kernel would. False: it would answer EFAULT
 * or EINVAL. */
static bool look_at_length(struct pg_op *op)
{
	enum look look = pg_plan_discards(op) ? SIZES : BEGINNINGS;
	uint64_t sum;

	if (op->shape == PG_BUF && !address_fits(op->to, op->to_len))
		return false;
	if (!memory_fits(op, look, &sum))
		return false;
	op->bytes = op->len >= 0 || op->shape != PG_NOTHING ? (int64_t)sum : -1;
	return true;
}

bool pg_plan_may_cut(const struct pg_op *op)
{
	uint64_t sum;

	return pg_plan_discards(op) || memory_fits(op, WHOLE, &sum);
}

const struct iovec *pg_plan_vector(const struct pg_op *op, uint64_t *n)
{
	const struct msghdr *msg = op->data;

	if (op->shape != PG_MSG) {
		*n = op->count;
		return op->data;
	}
	*n = (uint64_t)msg->msg_iovlen;
	return msg->msg_iov;
}

/* Would the kernel refuse to take bytes for OP from where it says? All want it open for reading;
 * tee(2) a pipe, and another one than O, as splice(2) if both are; copy_file_range(2) a file. */
static bool lacks_source(const struct pg_op *op, const struct pg_object *o)
{
	long flags = pg_sys3(SYS_fcntl, op->source, F_GETFL, 0);
	struct pg_stat st;
	bool pipe;

	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY ||
	    pg_fstat(op->source, &st))
		return true;
	pipe = S_ISFIFO(st.mode);
	switch (op->call) {
	case PG_CALL_copy_file_range:
		return !S_ISREG(st.mode);
	case PG_CALL_tee:
		return !pipe || st.ino == o->ino;
	case PG_CALL_splice:
		return o->kind == PG_PIPE ? pipe && st.ino == o->ino : !pipe;
	default: /* sendfile(2): into a pipe from anything, else from what has places */
		return o->kind != PG_PIPE && (pipe || S_ISSOCK(st.mode));
	}
}

/* Would it refuse to write by OP to what O is: no pipe (tee, vmsplice), no file (copy_file_range),
 * no place as OP names it (ESPIPE)? */
static bool lacks_target(const struct pg_op *op, const struct pg_object *o)
{
	if (op->call == PG_CALL_tee || op->call == PG_CALL_vmsplice)
		return o->kind != PG_PIPE;
	if (op->call == PG_CALL_copy_file_range)
		return o->kind != PG_FILE;
	return op->placed &&
	       (o->kind == PG_PIPE || o->kind == PG_TTY || pg_kind_is_socket(o->kind));
}

/* Would the kernel refuse OP for what O is: no socket (ENOTSOCK), not open for it (EBADF), or
 * nothing that it works on (EINVAL)? */
static bool unfit(const struct pg_op *op, const struct pg_object *o)
{
	const struct pg_layout *l = pg_call_layout(op->call);
	bool socket = pg_kind_is_socket(o->kind);
	bool of_sockets = l->flags >= 0 && (l->shape == PG_BUF || l->shape == PG_MSG);
	long flags;

	if (lacks_target(op, o) || (l->source >= 0 && lacks_source(op, o)))
		return true;
	if (socket || of_sockets)
		return !socket;
	flags = pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0);
	return flags & O_PATH || (flags & O_ACCMODE) == (pg_is_out(op->call) ? O_RDONLY : O_WRONLY);
}

bool pg_plan_look(struct pg_op *op)
{
	return op->object->ino && !unfit(op, op->object) && look_at_length(op);
}

/* ---- the plan ---- */

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
	p->logs |= (pg_rule_actions(r, bit) & ~pg_fields_with(PG_IS_QUIET)) != 0;
}

static void take_rule(struct pg_plan *p, const struct pg_rule *r)
{
	p->rule = r->serial;
	p->seeded = pg_has(r, PG_F_PROB);
}

/* Rule N, which fires. */
static void add_rule(struct pg_plan *p, unsigned n, uint64_t bit)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!p->fires)
		take_rule(p, r);
	p->fires = true;
	add_modifiers(p, r, bit);
	if (p->final || !pg_rule_can(r, r->terminal, bit))
		return;
	p->final = r;
	take_rule(p, r);
}

/* Does a call say, after a part of OP, that its reader left? A pipe takes PIPE_BUF bytes whole
 * (pipe(7)); of more, a blocking write returns what was taken, and raises SIGPIPE. */
static bool breaks_midway(const struct pg_op *op, const struct pg_rule *r)
{
	bool writes = op->shape == PG_BUF || (op->shape == PG_IOV && op->call != PG_CALL_vmsplice);

	return r->terminal == PG_F_BREAK && op->object->kind == PG_PIPE && writes &&
	       op->bytes > PIPE_BUF &&
	       !(pg_sys3(SYS_fcntl, pg_op_askable(op), F_GETFL, 0) & O_NONBLOCK);
}

/* Where the offset of rule N's at= lies inside OP, the bytes before it are delivered first. True: N
 * fires behind them, in the midst of it. */
static bool cuts(struct pg_plan *p, const struct pg_op *op, unsigned n)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!pg_turn_is_inside(n, op) || !pg_plan_may_cut(op))
		return false;
	if (r->at - op->offset < p->most)
		p->most = r->at - op->offset;
	return breaks_midway(op, r);
}

static bool fires(unsigned n, const struct pg_op *op, bool midst)
{
	struct pg_op at;

	if (!midst)
		return pg_turn_fires(n, op);
	at = *op;
	at.offset = pg_rules.rule[n].at;
	return pg_turn_fires(n, &at);
}

/* Behind a pass, rules only count. */
void pg_plan_make(struct pg_plan *p, const struct pg_op *op)
{
	*p = (struct pg_plan){.most = UINT64_MAX};
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];
		bool midst;

		if (!(r->calls & op->bits) || !pg_match(n, op))
			continue;
		if (r->terminal == PG_F_DROP && !pg_plan_may_cut(op))
			continue; /* the kernel would refuse it */
		if (p->final && p->final->terminal == PG_F_PASS) {
			pg_turn_count(n, op);
			continue;
		}
		midst = cuts(p, op, n);
		if (!fires(n, op, midst))
			continue;
		add_rule(p, n, op->bits);
		p->midway |= p->final == r && midst;
	}
}

/* ---- garbage ---- */

uint64_t pg_garbage_begin(const struct pg_story *s)
{
	return pg_config.seed + (s ? PG_GET(s->received) : 0) + 1;
}

void pg_garbage(void *to, uint64_t n, uint64_t *state)
{
	unsigned char *at = to;

	for (uint64_t i = 0; i < n; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		at[i] = (unsigned char)(*state >> 56);
	}
}
