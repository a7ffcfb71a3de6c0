/* SPDX-License-Identifier: MIT */
#include "inside/apply.h"
#include "inside/report.h"

#include "base/peek.h"
#include "fault/fault.h"
#include "inside/act.h"
#include "rules/live.h"

/* What no rule can reach is not looked at again, see pg_fd_ruled(); but after the end of its
 * reading every call is. */
static void judge(struct pg_fd *f, const struct pg_candidate *c)
{
	const struct pg_story *s = c->object->story;
	uint64_t rules, calls;

	if (!f || pg_watch_all || (s && s->ended) || !pg_match_possible(c, &rules, &calls))
		return;
	PG_PUT(f->rules, rules);
	PG_PUT(f->generation, pg_rules.generation);
	PG_PUT(f->unruled, ~calls);
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
static struct pg_op with_target(struct pg_op op)
{
	struct msghdr msg;

	if (op.shape == PG_MSG && !op.to && pg_rules.wants & PG_LOOK_NAMES && pg_is_out(op.call) &&
	    pg_peek(&msg, op.data, sizeof msg)) {
		op.to = msg.msg_name;
		op.to_len = msg.msg_namelen;
	}
	return op;
}

/* What rules want to know of OP's object. Its story counts what is read, whatever rules make of the
 * call. */
static void look_at_object(struct pg_op *op, struct pg_object *o)
{
	unsigned truncates = op->flags & MSG_TRUNC ? PG_LOOK_KIND : 0; /* pg_plan_discards() asks */

	pg_look_for(op->fd, o, pg_rules.wants | truncates, true);
	op->story = o->story;
}

/* Bytes of the stream that OP is to go on with, before it. */
static uint64_t offset_of(const struct pg_object *o, bool reads)
{
	const struct pg_story *s = pg_rules.streams ? o->story : NULL;

	return !s ? 0 : reads ? PG_GET(s->received) : PG_GET(s->sent);
}

/* OP as the rules want it; a call that writes, or one that READS. */
static __attribute__((noinline)) struct pg_op apply(struct pg_op op, uint64_t bit, uintptr_t caller,
						    bool reads)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o, .fd = op.fd, .caller = caller - 1};
	const struct pg_story *s;
	struct pg_plan p;

	look_at_object(&op, &o);
	if (!pg_plan_look(&op, &c))
		return op;
	op = with_target(op);
	look_at_target(&op, &o);
	s = o.story;
	c.offset = offset_of(&o, reads);
	judge(pg_fd(op.fd), &c);
	if (reads && s && s->ended) {
		pg_fault_drain(op.fd, o.kind);
		return pg_act_at_end(op);
	}
	pg_plan_make(&p, &op, &c, bit);
	if (p.tells) {
		pg_look(op.fd, &o);
		look_at_target(&op, &o);
	}
	if (pg_plan_discards(&op, &o))
		p.garbage = 0;
	return pg_act(op, &p, &c);
}

static struct pg_op keeping_errno(struct pg_op op, uint64_t bit, uintptr_t caller, bool reads)
{
	int saved = errno;

	struct pg_rule_set *before;

	if (pg_confined)
		return op;
	before = pg_live_enter();
	op = apply(op, bit, caller, reads);
	pg_live_leave(before);
	if (!op.skip || op.result >= 0)
		errno = saved;
	return op;
}

struct pg_op pg_apply_out(struct pg_op op, uint64_t bit, uintptr_t caller)
{
	return keeping_errno(op, bit, caller, false);
}

struct pg_op pg_apply_in(struct pg_op op, uint64_t bit, uintptr_t caller)
{
	return keeping_errno(op, bit, caller, true);
}

/* ---- several messages ---- */

/* Message N of OP, which has several. */
static struct pg_op message(const struct pg_op *op, unsigned n)
{
	struct pg_op one = *op;

	one.data = (const struct mmsghdr *)op->data + n;
	one.len = 1;
	return with_target(one);
}

/* What rules see of message N of M. NAMED: the peer of O is its socket's, not the last message's.
 * False: the kernel refuses it. */
static bool look_at_message(const struct pg_messages *m, unsigned n, bool named,
			    struct pg_object *o, struct pg_candidate *c)
{
	struct pg_op one = message(&m->op, n);

	if (!named) {
		o->peer.family = 0;
		o->peer_path[0] = 0;
	}
	look_at_target(&one, o);
	return pg_plan_look(&one, c);
}

static bool is_named(const struct pg_object *o)
{
	return o->peer.family || o->peer_path[0];
}

static unsigned idle(struct pg_messages *m)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o, .fd = m->op.fd, .caller = m->caller - 1};
	bool named, reads = !pg_is_out(m->op.call);
	unsigned n = 0;

	look_at_object(&m->op, &o);
	if (reads && o.story && o.story->ended)
		return 0;
	named = is_named(&o);
	c.offset = m->offset = offset_of(&o, reads);
	for (; n < m->op.len; n++, c.offset += c.length) {
		if (!look_at_message(m, n, named, &o, &c))
			return n + 1; /* the kernel ends there, too */
		if (!n)
			judge(pg_fd(m->op.fd), &c);
		if (!pg_match_idle(&c, m->bit))
			break;
	}
	return n;
}

unsigned pg_apply_idle(struct pg_messages *m)
{
	struct pg_rule_set *before = pg_live_enter();
	unsigned n = idle(m);

	pg_live_leave(before);
	return n;
}

static void unmade(const struct pg_messages *m, unsigned counted, unsigned made)
{
	struct pg_op op = m->op;
	struct pg_object o;
	struct pg_candidate c = {
		.object = &o, .fd = op.fd, .caller = m->caller - 1, .offset = m->offset};
	bool named;

	look_at_object(&op, &o);
	named = is_named(&o);
	for (unsigned n = 0; n < counted && look_at_message(m, n, named, &o, &c);
	     n++, c.offset += c.length)
		if (n >= made)
			pg_match_unmade(&c, m->bit);
}

void pg_apply_unmade(const struct pg_messages *m, unsigned idle_ones, unsigned made)
{
	struct pg_rule_set *before = pg_live_enter();

	unmade(m, idle_ones, made);
	pg_live_leave(before);
}

bool pg_apply_asks(int fd, uint64_t bit)
{
	struct pg_rule_set *before = pg_live_enter();
	bool asks = pg_match_asks(fd, bit);

	pg_live_leave(before);
	return asks;
}

void pg_apply_refused(int fd, uint64_t bit, int err)
{
	struct pg_rule_set *before = pg_live_enter();

	pg_match_refused(fd, bit, err);
	pg_live_leave(before);
}

void pg_apply_connection(int fd)
{
	struct pg_rule_set *before = pg_live_enter();

	pg_match_connection(fd);
	pg_live_leave(before);
}

/* ---- in the midst, and afterwards ---- */

/* Where no signal handler runs, libc's stdio goes on after a short write, and breaks by the next.
 */
static bool signal_acts(void)
{
	enum pg_signal outcome = pg_sigpipe_outcome();

	return outcome != PG_SIG_IGNORED && outcome != PG_SIG_BLOCKED;
}

void pg_apply_midway(const struct pg_op *op, int64_t len, int64_t ret, uintptr_t caller)
{
	struct pg_hit hit = {.via = op->via,
			     .call = op->call,
			     .fd = op->fd,
			     .marked = true,
			     .len = len,
			     .ret = ret,
			     .caller = caller - 1};
	struct pg_object o;
	struct pg_inject inject = {.object = &o, .rule = op->rule};
	struct pg_rule_set *before;
	int saved = errno;

	if (ret != op->len)
		return;
	pg_look(op->fd, &o);
	inject.failed = -pg_fault_break(op->fd, PG_PIPE);
	if (inject.failed) {
		before = pg_live_enter();
		pg_report_inject(&hit, &inject);
		pg_live_leave(before);
		errno = saved;
		return;
	}
	pg_act_remember(op->fd, op->rule, &o);
	if (op->via != PG_VIA_STDIO || signal_acts())
		pg_guard_injected_epipe(&hit, true);
	errno = saved;
}

/* The first N bytes that the kernel has put into OP's memory, which is as long as was asked:
 * MSG_TRUNC returns more. */
static void spoil(const struct pg_op *op, uint64_t n, uint64_t state)
{
	uint64_t count;
	const struct iovec *iov;
	struct iovec one;

	if (op->shape == PG_BUF)
		pg_garbage((void *)(uintptr_t)op->data,
			   n < (uint64_t)op->len ? n : (uint64_t)op->len, &state);
	if (op->shape != PG_IOV && op->shape != PG_MSG)
		return;
	iov = pg_plan_vector(op, &count);
	for (uint64_t i = 0; i < count && n && pg_peek(&one, &iov[i], sizeof one); i++) {
		uint64_t part = one.iov_len < n ? one.iov_len : n;

		pg_garbage(one.iov_base, part, &state);
		n -= part;
	}
}

void pg_apply_read(const struct pg_op *op, int64_t ret)
{
	struct pg_story *s = op->story;
	uint64_t n = (uint64_t)ret < op->garbage ? (uint64_t)ret : op->garbage;

	if (ret <= 0 || op->skip)
		return;
	if (n)
		spoil(op, n, pg_garbage_begin(s));
	if (s && !(op->flags & (MSG_PEEK | MSG_ERRQUEUE)))
		__atomic_fetch_add(&s->received, (uint64_t)ret, __ATOMIC_RELAXED);
}

void pg_apply_start(void)
{
	pg_match_start();
	pg_fault_start();
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

/* What the rules do at OP, which moves no bytes. */
static __attribute__((noinline)) void act_once(struct pg_op *op, const struct pg_candidate *c,
					       bool connects)
{
	struct pg_rule_set *before = pg_live_enter();
	struct pg_plan p;

	if (connects)
		pg_match_attempt(c->fd, c->object);
	pg_plan_make(&p, op, c, PG_BIT(op->call));
	*op = pg_act(*op, &p, c);
	pg_live_leave(before);
}

bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
		      int *ret, uintptr_t caller)
{
	struct sockaddr_storage to;
	struct pg_object o;
	struct pg_op op = {.call = call, .fd = fd, .len = -1, .data = &to};
	struct pg_candidate c = {.object = &o, .fd = fd, .caller = caller - 1};
	int saved = errno;

	if (pg_confined || pg_fd_is_connecting(fd) || !look_at_peer(fd, addr, len, &to, &o))
		return false;
	if (o.story)
		o.story->injected = false; /* what a rule did was to the connection before */
	o.rule = -1;
	act_once(&op, &c, true);
	if (!op.skip)
		errno = saved;
	*ret = (int)op.result;
	return op.skip;
}

bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller)
{
	struct pg_object o;
	struct pg_op op = {.call = call, .fd = fd, .len = -1};
	struct pg_candidate c = {.object = &o, .fd = fd, .caller = caller - 1};
	int saved = errno;

	if (pg_confined)
		return false;
	pg_look(fd, &o);
	if (!o.ino)
		return false;
	o.side = PG_SERVER;
	act_once(&op, &c, false);
	if (!op.skip)
		errno = saved;
	return op.skip;
}
