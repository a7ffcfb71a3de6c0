/* SPDX-License-Identifier: MIT */
#include "inside/act.h"

#include "fault/fault.h"
#include "fault/reseat.h"
#include "inside/guard.h"
#include "inside/report.h"

#include <fcntl.h>
#include <signal.h>

static void remember(struct pg_story *s, unsigned rule)
{
	if (!s)
		return;
	s->rule = (int32_t)rule;
	s->injected = true;
	pg_story_unrule(s);
}

void pg_act_remember(int fd, unsigned rule, const struct pg_object *o)
{
	remember(o->story, rule);
	if (o->story)
		o->story->local = o->local;
	pg_fd_replaced(fd);
}

static struct pg_op decided(struct pg_op op, int64_t ret, int err)
{
	pg_fault_cancel_point();
	op.skip = true;
	op.result = ret;
	if (err)
		errno = err;
	return op;
}

static struct pg_hit hit_of(const struct pg_op *op, const struct pg_candidate *c)
{
	return (struct pg_hit){.via = op->via,
			       .call = op->call,
			       .fd = op->fd,
			       .marked = pg_is_out(op->call),
			       .len = c->length_known ? (int64_t)c->length : -1,
			       .to = op->to,
			       .to_len = op->to_len,
			       .caller = c->caller};
}

/* error=EPIPE comes with the signal that the kernel would raise. A pipe takes no bytes without
 * looking for a reader. The object is as it was: what breaks later is not the rule's work, but
 * where no connection was made because of it. */
static struct pg_op fail(struct pg_op op, const struct pg_plan *p, const struct pg_object *o,
			 const struct pg_candidate *c)
{
	int err = p->final->error;
	struct pg_hit hit = hit_of(&op, c);
	bool injected = o->story && o->story->injected;
	int32_t rule = injected ? o->story->rule : 0;

	remember(o->story, p->rule);
	if (err == EPIPE && pg_is_out(op.call)) {
		if (o->kind == PG_PIPE && c->length_known && !c->length)
			return op;
		hit.ret = -1;
		hit.err = EPIPE;
		pg_guard_injected_epipe(&hit, pg_plan_raises(op.call, op.flags, o));
	}
	if (o->story && pg_call_role(op.call) != PG_ROLE_CONNECT) {
		o->story->injected = injected;
		o->story->rule = rule;
	}
	if (err == EAGAIN)
		pg_reseat_wake(op.fd);
	return decided(op, -1, err);
}

/* How long the program itself lets the call wait, in ns: SO_RCVTIMEO, SO_SNDTIMEO; 0: for ever. */
static uint64_t patience(int fd, bool reads)
{
	struct {
		long sec, usec;
	} t = {0, 0};
	socklen_t len = sizeof t;

	pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, reads ? SO_RCVTIMEO : SO_SNDTIMEO, &t, &len);
	return (uint64_t)t.sec * 1000000000u + (uint64_t)t.usec * 1000u;
}

/* As if the peer sent, or took, nothing. What it did send, or its end, would make poll() say that
 * there is something to read, for ever: it goes. A listener keeps who waits there. */
static struct pg_op stall(struct pg_op op, const struct pg_object *o)
{
	bool socket = pg_kind_is_socket(o->kind);
	bool reads = !pg_is_out(op.call);
	bool waits = !(socket && op.flags & MSG_DONTWAIT) &&
		     !(pg_sys3(SYS_fcntl, op.fd, F_GETFL, 0) & O_NONBLOCK);
	int err = waits ? pg_fault_stall(socket ? patience(op.fd, reads) : 0) : EAGAIN, other;

	if (reads && (socket || !waits) && pg_call_role(op.call) != PG_ROLE_ACCEPT) {
		other = pg_fault_silence(op.fd, o->kind);
		pg_fd_replaced(op.fd); /* it may be another object now */
		if (other >= 0)
			pg_fd_keep(op.fd, other);
	}
	return decided(op, -1, err);
}

/* A connection that does not come about; OP's data is a copy of the address. */
static struct pg_op misconnect(struct pg_op op, const struct pg_plan *p, const struct pg_object *o,
			       struct pg_inject *inject)
{
	bool hangs = p->final->terminal == PG_F_STALL;
	int got = hangs ? pg_fault_hang(op.fd, op.data) : pg_fault_refuse(op.fd, op.data);

	if (got == -EAFNOSUPPORT)
		got = hangs ? -ETIMEDOUT : -ECONNREFUSED;
	if (got == -EMFILE || got == -ENFILE) { /* no dead end could be made to connect to */
		inject->failed = -got;
		return op;
	}
	remember(o->story, p->rule);
	return decided(op, got < 0 ? -1 : 0, got < 0 ? -got : 0);
}

struct pg_op pg_act_at_end(struct pg_op op)
{
	struct mmsghdr *msg = (struct mmsghdr *)(uintptr_t)op.data;

	if (op.shape == PG_MSG) {
		msg->msg_hdr.msg_namelen = 0;
		msg->msg_hdr.msg_controllen = 0;
		msg->msg_hdr.msg_flags = 0;
	}
	if (!pg_call_has_messages(op.call))
		return decided(op, 0, 0);
	msg->msg_len = 0;
	return decided(op, 1, 0);
}

/* Of several messages, the first goes nowhere. */
static struct pg_op lose(struct pg_op op, const struct pg_candidate *c)
{
	if (!pg_call_has_messages(op.call))
		return decided(op, (int64_t)c->length, 0);
	((struct mmsghdr *)(uintptr_t)op.data)->msg_len = (unsigned)c->length;
	return decided(op, 1, 0);
}

/* Once: a second reset would tell the error again. The object is remembered before a thread that
 * waits on it wakes: pg_guard_in tells it why. The read that a rule fires on is the one that is
 * told, so what waits unread is lost; at a write it is kept. */
static int reset(const struct pg_op *op, const struct pg_plan *p, const struct pg_object *o)
{
	int waits, ret;

	if (pg_guard_was_reset(op->fd))
		return 0;
	remember(o->story, p->rule);
	ret = pg_fault_reset(op->fd, o->kind, pg_is_out(op->call), &waits);
	if (!ret)
		pg_act_remember(op->fd, p->rule, o);
	else if (o->story)
		o->story->injected = false;
	pg_fault_wake(waits);
	return ret;
}

/* A pipe that is open for both has itself as a reader and writer: it has no other end to lose. */
static bool has_no_end(int fd, enum pg_kind kind)
{
	return kind == PG_PIPE && (pg_sys3(SYS_fcntl, fd, F_GETFL, 0) & O_ACCMODE) == O_RDWR;
}

/* Is P's error one that the kernel never gives on FD? */
static bool is_unheard_of(const struct pg_plan *p, int fd, enum pg_kind kind)
{
	return p->final && p->final->terminal == PG_F_ERROR && p->final->error == EPIPE &&
	       has_no_end(fd, kind);
}

/* Nothing is broken yet, and by the program itself then: the rule is not remembered for it. */
static int linger(int fd, struct pg_story *s)
{
	int ret = pg_fault_linger(fd);

	if (!ret && s) {
		s->lingers = true;
		pg_story_unrule(s);
	}
	return ret;
}

/* The fault that the final action is. Returns 0 or -errno. */
static int make(const struct pg_op *op, const struct pg_plan *p, const struct pg_object *o)
{
	int ret;

	if (p->final->terminal == PG_F_RESET)
		return reset(op, p, o);
	if (p->final->terminal == PG_F_LINGER)
		return linger(op->fd, o->story);
	if (has_no_end(op->fd, o->kind))
		return -EOPNOTSUPP;
	if (p->final->terminal == PG_F_BREAK)
		ret = pg_fault_break(op->fd, o->kind);
	else if (p->final->terminal == PG_F_FIN)
		ret = pg_fault_fin(op->fd);
	else
		ret = pg_fault_eof(op->fd, o->kind);
	if (!ret && (p->final->terminal != PG_F_EOF || o->kind == PG_PIPE))
		pg_act_remember(op->fd, p->rule, o);
	return ret;
}

/* Its kernel code ends a local reset in an end of file. */
static bool is_mptcp(int fd)
{
	enum { MPTCP = 262 }; /* IPPROTO_MPTCP, <linux/in.h> */
	int protocol = 0;
	socklen_t len = sizeof protocol;

	return !pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       protocol == MPTCP;
}

/* Changes the object; but what is broken already is not broken by a rule. */
static struct pg_op change(struct pg_op op, const struct pg_plan *p, const struct pg_object *o,
			   struct pg_inject *inject)
{
	bool ends = p->final->terminal == PG_F_EOF;
	bool resets =
		p->final->terminal == PG_F_RESET && o->kind == PG_TCP && !pg_guard_was_reset(op.fd);

	inject->already = !ends && pg_look_is_broken(op.fd);
	if (inject->already)
		return op;
	inject->failed = -make(&op, p, o);
	if (!inject->failed && resets && is_mptcp(op.fd)) /* and no other took its place */
		return decided(op, -1, ECONNRESET);
	if (inject->failed || !ends || o->kind == PG_PIPE)
		return op;
	if (o->story) {
		o->story->ended = true;
		pg_story_unrule(o->story);
	}
	return pg_act_at_end(op);
}

/* The final action: the object is changed, or the result decided. */
static struct pg_op finish(struct pg_op op, const struct pg_plan *p, const struct pg_candidate *c,
			   struct pg_inject *inject)
{
	const struct pg_object *o = c->object;

	switch (p->final ? p->final->terminal : PG_F_COUNT) {
	case PG_F_RESET:
	case PG_F_BREAK:
	case PG_F_FIN:
	case PG_F_EOF:
	case PG_F_LINGER:
		if (!p->midway)
			return change(op, p, o, inject);
		op.midway = true;
		op.rule = p->rule;
		return op;
	case PG_F_DROP:
		inject->lost = true;
		return lose(op, c);
	case PG_F_REFUSE:
		return misconnect(op, p, o, inject);
	case PG_F_STALL:
		return pg_call_role(op.call) == PG_ROLE_CONNECT ? misconnect(op, p, o, inject)
								: stall(op, o);
	case PG_F_ERROR:
		return fail(op, p, o, c);
	default:
		return op;
	}
}

static void signal_here(int sig)
{
	pg_sys3(SYS_tgkill, pg_pid(), pg_sys0(SYS_gettid), sig);
}

static void wait_as_asked(const struct pg_op *op, const struct pg_plan *p, enum pg_kind kind,
			  struct pg_inject *inject)
{
	if (p->delay)
		pg_fault_sleep(p->delay);
	if (p->hold)
		inject->held = pg_fault_hold(op->fd, kind, p->hold) ? PG_HELD : PG_HELD_IN_VAIN;
}

static void halt_as_asked(const struct pg_plan *p)
{
	if (p->stop)
		signal_here(SIGSTOP);
	if (p->abort)
		signal_here(SIGABRT);
	if (p->nosignal)
		pg_mark |= PG_MARK_NOSIGNAL;
}

static void tell(const struct pg_op *op, const struct pg_plan *p, struct pg_inject *inject,
		 const struct pg_candidate *c)
{
	struct pg_hit hit = hit_of(op, c);

	if (!p->tells)
		return;
	inject->object = c->object;
	inject->rule = p->rule;
	inject->prob = p->seeded;
	pg_report_inject(&hit, inject);
}

/* At most P's bytes. */
static void shorten(struct pg_op *op, const struct pg_plan *p, const struct pg_candidate *c)
{
	if (op->skip || !c->length_known || p->most >= c->length || !pg_plan_may_cut(op, c))
		return;
	op->len = (int64_t)p->most;
	op->clamped = true;
	pg_reseat_wake(op->fd); /* epoll(7): a short count is taken for "no more for now" */
}

/* Does nothing come after P's final action, for long or for ever? */
static bool may_not_return(const struct pg_plan *p)
{
	return p->stop || p->abort || p->midway ||
	       (p->final && (p->final->terminal == PG_F_ERROR || p->final->terminal == PG_F_STALL));
}

/* What was done is told when it has been done; but not what leaves no time to tell of it. A hold is
 * told when it is over. */
struct pg_op pg_act(struct pg_op op, const struct pg_plan *p, const struct pg_candidate *c)
{
	struct pg_inject inject = {.held = PG_NOT_HELD};
	struct pg_op asked = op;

	if (p->fires) {
		wait_as_asked(&op, p, c->object->kind, &inject);
		if (is_unheard_of(p, op.fd, c->object->kind))
			inject.failed = EOPNOTSUPP;
		if (may_not_return(p))
			tell(&asked, p, &inject, c);
		halt_as_asked(p);
		op.garbage = p->garbage;
		if (!inject.failed)
			op = finish(op, p, c, &inject);
		if (!may_not_return(p))
			tell(&asked, p, &inject, c);
	}
	shorten(&op, p, c);
	return op;
}
