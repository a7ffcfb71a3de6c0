/* SPDX-License-Identifier: MIT */
#include "inside/act.h"

#include "fault/fault.h"
#include "fault/reseat.h"
#include "inside/guard.h"
#include "inside/report.h"

#include <fcntl.h>
#include <signal.h>

void pg_act_remember(int fd, unsigned rule, const struct pg_object *o)
{
	pg_story_broken(o->story, (int32_t)rule);
	if (o->story)
		o->story->local = o->local;
	pg_fd_changed(fd);
}

static void decide(struct pg_op *op, int64_t ret, int err)
{
	pg_fault_cancel_point();
	op->skip = true;
	op->ret = ret;
	if (err)
		errno = err;
}

static void raise_epipe(const struct pg_op *asked)
{
	struct pg_op op = *asked;

	op.ret = -1;
	op.err = EPIPE;
	pg_guard_injected_epipe(&op, pg_plan_raises(op.call, op.flags, op.object));
}

/* error=EPIPE comes with the signal that the kernel would raise. A pipe takes no bytes without
 * looking for a reader. The object is as it was: what breaks later is not the rule's work, but
 * where no connection was made because of it. */
static void fail(struct pg_op *op, const struct pg_plan *p)
{
	int err = p->final->error;
	const struct pg_object *o = op->object;
	int32_t before = o->story && o->story->injected ? o->story->rule : -1;

	pg_story_broken(o->story, (int32_t)p->rule);
	if (err == EPIPE && pg_is_out(op->call)) {
		if (o->kind == PG_PIPE && !op->bytes)
			return;
		raise_epipe(op);
	}
	if (!pg_connects(op->call))
		pg_story_broken(o->story, before);
	if (err == EAGAIN)
		pg_reseat_wake(op->fd);
	decide(op, -1, err);
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

/* Is OP's descriptor what it was looked at as? While a call waits, another thread may close it, and
 * its number be another object's. */
static bool is_still(const struct pg_op *op)
{
	const struct pg_object *o = op->object;
	struct pg_stat st;

	return !o->ino || (!pg_fstat(op->fd, &st) && st.ino == o->ino && st.dev == o->dev &&
			   st.born == o->born);
}

/* As if the peer sent, or took, nothing. What it did send, or its end, would make poll() say that
 * there is something to read, for ever: it goes. A listener keeps who waits there. */
static void stall(struct pg_op *op)
{
	const struct pg_object *o = op->object;
	bool socket = pg_kind_is_socket(o->kind);
	bool reads = !pg_is_out(op->call);
	bool waits = !(socket && op->flags & MSG_DONTWAIT) &&
		     !(pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0) & O_NONBLOCK);
	int err = waits ? pg_fault_stall(socket ? patience(op->fd, reads) : 0) : EAGAIN, other;

	if (reads && (socket || !waits) && pg_call_role(op->call) != PG_ROLE_ACCEPT &&
	    is_still(op)) {
		other = pg_fault_silence(op->fd, o->kind);
		pg_fd_changed(op->fd); /* it may be another object now */
		if (other >= 0)
			pg_fd_keep(op->fd, other);
	}
	decide(op, -1, err);
}

/* A connection that does not come about; OP's data is a copy of the address. */
static void misconnect(struct pg_op *op, struct pg_plan *p)
{
	bool hangs = p->final->terminal == PG_F_STALL;
	int got = hangs ? pg_fault_hang(op->fd, op->data) : pg_fault_refuse(op->fd, op->data);

	if (got == -EAFNOSUPPORT)
		got = hangs ? -ETIMEDOUT : -ECONNREFUSED;
	if (got == -EMFILE || got == -ENFILE) { /* no dead end could be made to connect to */
		p->failed = -got;
		return;
	}
	pg_story_broken(op->object->story, (int32_t)p->rule);
	decide(op, got < 0 ? -1 : 0, got < 0 ? -got : 0);
}

void pg_act_at_end(struct pg_op *op)
{
	struct mmsghdr *msg = (struct mmsghdr *)(uintptr_t)op->data;

	if (op->shape == PG_MSG) {
		msg->msg_hdr.msg_namelen = 0;
		msg->msg_hdr.msg_controllen = 0;
		msg->msg_hdr.msg_flags = 0;
	}
	if (pg_call_has_messages(op->call))
		msg->msg_len = 0;
	decide(op, pg_call_has_messages(op->call), 0);
}

/* Of several messages, the first goes nowhere. */
static void lose(struct pg_op *op)
{
	if (!pg_call_has_messages(op->call)) {
		decide(op, op->bytes, 0);
		return;
	}
	((struct mmsghdr *)(uintptr_t)op->data)->msg_len = (unsigned)op->bytes;
	decide(op, 1, 0);
}

/* Once: a second reset would report the error again. The object is remembered before a thread that
 * waits on it wakes: pg_guard_in says why. The read that a rule fires on is the one that gets the
 * error, so what waits unread is lost; at a write it is kept. */
static int reset(const struct pg_op *op, const struct pg_plan *p)
{
	const struct pg_object *o = op->object;
	int waits, ret;

	if (pg_guard_was_reset(op->fd))
		return 0;
	pg_story_broken(o->story, (int32_t)p->rule);
	waits = -1;
	if (o->kind == PG_TCP && !pg_fault_flush(op->fd))
		ret = -EBADF;
	else
		ret = pg_fault_reset(op->fd, o->kind, pg_is_out(op->call), &waits);
	if (!ret)
		pg_act_remember(op->fd, p->rule, o);
	else
		pg_story_broken(o->story, -1);
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

	if (!ret)
		pg_story_lingers(s);
	return ret;
}

/* The fault that the final action is. Returns 0 or -errno. */
static int make(const struct pg_op *op, const struct pg_plan *p)
{
	const struct pg_object *o = op->object;
	int ret;

	if (p->final->terminal == PG_F_RESET)
		return reset(op, p);
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
static void change(struct pg_op *op, struct pg_plan *p)
{
	const struct pg_object *o = op->object;
	bool ends = p->final->terminal == PG_F_EOF;
	bool resets = p->final->terminal == PG_F_RESET && o->kind == PG_TCP &&
		      !pg_guard_was_reset(op->fd);

	p->already = !ends && pg_look_is_broken(op->fd);
	if (p->already)
		return;
	p->failed = -make(op, p);
	if (!p->failed && resets && is_mptcp(op->fd)) /* and no other took its place */
		decide(op, -1, ECONNRESET);
	if (p->failed || !ends || o->kind == PG_PIPE)
		return;
	pg_story_ended(o->story);
	pg_act_at_end(op);
}

/* The final action: the object is changed, or the result decided. */
static void finish(struct pg_op *op, struct pg_plan *p)
{
	switch (p->final ? p->final->terminal : PG_F_COUNT) {
	case PG_F_RESET:
	case PG_F_BREAK:
	case PG_F_FIN:
	case PG_F_EOF:
	case PG_F_LINGER:
		op->midway = p->midway;
		op->rule = p->rule;
		if (!p->midway)
			change(op, p);
		return;
	case PG_F_DROP:
		p->lost = true;
		lose(op);
		return;
	case PG_F_REFUSE:
		misconnect(op, p);
		return;
	case PG_F_STALL:
		if (pg_connects(op->call))
			misconnect(op, p);
		else
			stall(op);
		return;
	case PG_F_ERROR:
		fail(op, p);
		return;
	default:
		return;
	}
}

static void signal_here(int sig)
{
	pg_sys3(SYS_tgkill, pg_pid(), pg_sys0(SYS_gettid), sig);
}

static void wait_as_asked(const struct pg_op *op, struct pg_plan *p)
{
	int left = -1;

	if (p->delay)
		pg_fault_sleep(p->delay);
	if (p->hold)
		left = pg_fault_hold(op->fd, op->object->kind, p->hold);
	if ((p->delay || p->hold) && !is_still(op)) {
		p->failed = p->final ? EBADF : 0;
		return;
	}
	if (left >= 0)
		p->held = left ? PG_HELD : PG_HELD_IN_VAIN;
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

static void log_inject(const struct pg_op *op, const struct pg_plan *p)
{
	if (p->logs)
		pg_report_inject(op, p);
}

/* At most P's bytes. */
static void shorten(struct pg_op *op, const struct pg_plan *p)
{
	if (op->skip || op->bytes < 0 || p->most >= (uint64_t)op->bytes || !pg_plan_may_cut(op))
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

/* What was done is logged when it has been done; but not what leaves no time for it. A hold is
 * logged when it is over. */
static void fire(struct pg_op *op, struct pg_plan *p)
{
	const struct pg_op asked = *op;

	wait_as_asked(op, p);
	if (!p->failed && is_unheard_of(p, op->fd, op->object->kind))
		p->failed = EOPNOTSUPP;
	if (may_not_return(p))
		log_inject(&asked, p);
	halt_as_asked(p);
	op->garbage = p->garbage;
	if (!p->failed)
		finish(op, p);
	if (!may_not_return(p))
		log_inject(&asked, p);
}

void pg_act(struct pg_op *op, struct pg_plan *p)
{
	if (p->fires)
		fire(op, p);
	shorten(op, p);
}
