/* SPDX-License-Identifier: MIT */
#include "inside/apply.h"
#include "inside/report.h"

#include "base/peek.h"
#include "fault/fault.h"
#include "inside/act.h"
#include "object/connection.h"
#include "rules/conn.h"
#include "rules/live.h"
#include "rules/turn.h"

/* What no rule can reach is not looked at again, see pg_fd_ruled(); but after the end of its
 * reading every call is. */
static void judge(const struct pg_op *op)
{
	const struct pg_story *s = op->object->story;
	struct pg_judgement j = {.generation = pg_rules.generation};

	if (pg_watch_all || (s && s->ended) || !pg_match_possible(op, &j.rules, &j.calls))
		return;
	j.calls |= ~PG_GET(pg_next_known); /* the first one of each has to come aside */
	j.waiting = pg_turn_waiting(j.rules, &j.waiter) & PG_GET(pg_next_known);
	pg_fd_judged(op->fd, &j);
}

/* ---- writing and reading ---- */

/* A datagram names whom it goes to, if its socket does not. */
static __attribute__((noinline)) void look_at_target(const struct pg_op *op, struct pg_object *o)
{
	struct sockaddr_storage ss;

	if (op->to && pg_rules.wants & PG_LOOK_NAMES && !o->peer.family && !o->peer_path[0] &&
	    op->to_len <= sizeof ss && pg_peek(&ss, op->to, op->to_len))
		pg_look_address(o, (const struct sockaddr *)&ss, op->to_len);
}

/* The same where a message says it. */
static void add_target(struct pg_op *op)
{
	struct msghdr msg;

	if (op->shape == PG_MSG && !op->to && pg_rules.wants & PG_LOOK_NAMES &&
	    pg_is_out(op->call) && pg_peek(&msg, op->data, sizeof msg)) {
		op->to = msg.msg_name;
		op->to_len = msg.msg_namelen;
	}
}

/* What rules want to know of OP's object. Its story counts what is read, whatever rules make of the
 * call. */
static void look_at_object(const struct pg_op *op, struct pg_object *o)
{
	unsigned truncates = op->flags & MSG_TRUNC ? PG_LOOK_KIND : 0; /* pg_plan_discards() asks */

	pg_look_for(op->fd, o, pg_rules.wants | truncates, true);
}

/* Bytes of the stream that a call is to go on with, before it. */
static uint64_t offset_of(const struct pg_object *o, bool reads)
{
	const struct pg_story *s = pg_rules.streams[reads] ? o->story : NULL;

	return !s ? 0 : reads ? PG_GET(s->received) : PG_GET(s->sent);
}

static void carry_out(struct pg_op *op, struct pg_object *o)
{
	struct pg_plan p;

	pg_plan_make(&p, op);
	if (p.logs) {
		pg_look(op->fd, o);
		look_at_target(op, o);
	}
	if (pg_plan_discards(op))
		p.garbage = 0;
	pg_act(op, &p);
}

/* Have rules looked at FD, or can they never know all of it? */
static bool was_judged(int fd)
{
	const struct pg_fd *f = pg_fd(fd);

	return f && PG_GET(f->story) &&
	       (pg_watch_all ||
		(PG_GET(f->unruled) && PG_GET(f->generation) == pg_rules.generation));
}

static __attribute__((noinline)) void apply(struct pg_op *op)
{
	bool reads = !pg_is_out(op->call);
	struct pg_object o;

	if (!reads && was_judged(op->fd) && pg_match_is_elsewhere(op))
		return;
	look_at_object(op, &o);
	op->object = &o;
	op->story = o.story;
	if (!pg_plan_look(op))
		return;
	add_target(op);
	look_at_target(op, &o);
	op->offset = offset_of(&o, reads);
	judge(op);
	if (reads && o.story && o.story->ended) {
		pg_fault_drain(op->fd, o.kind);
		pg_act_at_end(op);
		return;
	}
	carry_out(op, &o);
}

void pg_apply_rules(struct pg_op *op)
{
	int saved = errno;
	struct pg_rule_set *before;

	if (pg_confined)
		return;
	before = pg_live_enter();
	apply(op);
	op->object = NULL; /* it was ours */
	pg_live_leave(before);
	if (!op->skip || op->ret >= 0)
		errno = saved;
}

/* ---- several messages ---- */

static bool is_named(const struct pg_object *o)
{
	return o->peer.family || o->peer_path[0];
}

/* ONE, which was the message before, becomes message N of OP, as rules see it on O. NAMED: the peer
 * of O is its socket's, not the last message's. False: the kernel refuses it. */
static bool look_at_message(struct pg_op *one, const struct pg_op *op, unsigned n,
			    struct pg_object *o, bool named)
{
	uint64_t offset = n ? one->offset + (uint64_t)one->bytes : op->offset;

	*one = *op;
	one->data = (const struct mmsghdr *)op->data + n;
	one->len = 1;
	one->offset = offset;
	one->object = o;
	add_target(one);
	if (!named) {
		o->peer.family = 0;
		o->peer_path[0] = 0;
	}
	look_at_target(one, o);
	return pg_plan_look(one);
}

static unsigned idle(struct pg_op *op)
{
	struct pg_object o;
	struct pg_op one;
	bool named, reads = !pg_is_out(op->call);
	unsigned n = 0;

	look_at_object(op, &o);
	op->story = o.story;
	if (reads && o.story && o.story->ended)
		return 0;
	named = is_named(&o);
	op->offset = offset_of(&o, reads);
	for (; n < op->len; n++) {
		if (!look_at_message(&one, op, n, &o, named))
			return n + 1; /* the kernel ends there, too */
		if (!n)
			judge(&one);
		if (!pg_turn_idle(&one))
			break;
	}
	return n;
}

unsigned pg_apply_idle(struct pg_op *op)
{
	struct pg_rule_set *before = pg_live_enter();
	unsigned n = idle(op);

	pg_live_leave(before);
	return n;
}

static void unmade(const struct pg_op *op, unsigned counted, unsigned made)
{
	struct pg_object o;
	struct pg_op one;
	bool named;

	look_at_object(op, &o);
	named = is_named(&o);
	for (unsigned n = 0; n < counted && look_at_message(&one, op, n, &o, named); n++)
		if (n >= made)
			pg_turn_unmade(&one);
}

void pg_apply_unmade(const struct pg_op *op, unsigned idle_ones, unsigned made)
{
	struct pg_rule_set *before = pg_live_enter();

	unmade(op, idle_ones, made);
	pg_live_leave(before);
}

bool pg_apply_asks(int fd, uint64_t bit)
{
	struct pg_rule_set *before = pg_live_enter();
	bool asks = pg_turn_asks(fd, bit);

	pg_live_leave(before);
	return asks;
}

void pg_apply_refused(int fd, uint64_t bit, int err)
{
	struct pg_rule_set *before = pg_live_enter();

	pg_turn_refused(fd, bit, err);
	pg_live_leave(before);
}

void pg_apply_connection(int fd)
{
	struct pg_rule_set *before = pg_live_enter();

	pg_conn_came(fd);
	pg_live_leave(before);
}

void pg_apply_start(void)
{
	pg_fault_start();
	if (!pg_config.rules)
		return;
	pg_turn_start();
	for (unsigned n = 0; n < pg_rules.n; n++)
		pg_front.ruled |= pg_match_calls(&pg_rules.rule[n]);
}

/* ---- connect and accept ---- */

/* The object that FD will be connected to, and a copy of the address. False: the kernel is to
 * refuse the arguments. */
static __attribute__((noinline)) bool look_at_peer(int fd, const struct sockaddr *addr,
						   socklen_t len, struct sockaddr_storage *to,
						   struct pg_object *o)
{
	__builtin_memset(to, 0, sizeof *to);
	if (len < sizeof(sa_family_t) || len > sizeof *to || !pg_peek(to, addr, len))
		return false;
	pg_look(fd, o);
	o->side = PG_CLIENT;
	if (to->ss_family != AF_UNIX) {
		pg_addr_set(&o->peer, (const struct sockaddr *)to, len);
		if (!o->peer.family) /* too short, or of a family that rules do not know */
			return false;
	}
	pg_addr_path(o->peer_path, (const struct sockaddr *)to, len);
	return o->ino;
}

/* What the rules do at OP, which moves no bytes. True: its result is decided. */
static __attribute__((noinline)) bool act_once(struct pg_op *op)
{
	int saved = errno;
	struct pg_rule_set *before = pg_live_enter();
	struct pg_plan p;

	op->bits = PG_BIT(op->call);
	if (pg_connects(op->call))
		pg_conn_attempt(op->fd, op->object);
	pg_plan_make(&p, op);
	pg_act(op, &p);
	pg_live_leave(before);
	if (!op->skip)
		errno = saved;
	return op->skip;
}

bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
		      int *ret, uintptr_t caller)
{
	struct sockaddr_storage to;
	struct pg_object o;
	struct pg_op op = {.call = call,
			   .fd = fd,
			   .len = -1,
			   .data = &to,
			   .bytes = -1,
			   .object = &o,
			   .caller = caller};

	if (pg_confined || pg_fd_is_connecting(fd) || !look_at_peer(fd, addr, len, &to, &o))
		return false;
	pg_story_broken(o.story, -1); /* what a rule did was to the connection before */
	o.rule = -1;
	if (!act_once(&op))
		return false;
	*ret = (int)op.ret;
	return true;
}

bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller)
{
	struct pg_object o;
	struct pg_op op = {
		.call = call, .fd = fd, .len = -1, .bytes = -1, .object = &o, .caller = caller};

	if (pg_confined)
		return false;
	pg_look(fd, &o);
	if (!o.ino)
		return false;
	o.side = PG_SERVER;
	return act_once(&op);
}
