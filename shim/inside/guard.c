/* SPDX-License-Identifier: MIT */
#include "inside/guard.h"

#include "base/clock.h"
#include "base/peek.h"
#include "base/process.h"
#include "inside/leave.h"
#include "inside/report.h"
#include "inside/spare.h"
#include "log/log.h"
#include "object/connection.h"
#include "object/look.h"
#include "rules/config.h"
#include "rules/live.h"
#include "rules/turn.h"
#include "who/module.h"
#include "who/stack.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* All signals, for as long as one that was raised is to wait. Returns the mask that was. */
static uint64_t block_all(void)
{
	uint64_t all = ~(uint64_t)0, mask = 0;

	pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, PG_SIGSET_BYTES);
	return mask;
}

static void unblock(uint64_t mask)
{
	pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, PG_SIGSET_BYTES);
}

/* The signal waits until what becomes of it has been logged. */
void pg_guard_injected_epipe(const struct pg_op *op, bool signals)
{
	enum pg_signal outcome = PG_SIG_NONE;
	uint64_t mask = block_all();

	if (signals)
		outcome = pg_sigpipe_outcome_under(mask);
	if (outcome == PG_SIG_FATAL && pg_spares(op))
		outcome = PG_SIG_SUPPRESSED;
	if (outcome == PG_SIG_FATAL || outcome == PG_SIG_CAUGHT || outcome == PG_SIG_BLOCKED)
		outcome = pg_sigpipe_queue(NULL) ? outcome : PG_SIG_NONE;
	if (outcome == PG_SIG_BLOCKED)
		pg_owed = PG_MARK(op->call, op->fd, 0);
	pg_report(PG_EV_EPIPE, op, outcome);
	pg_mark |= PG_MARK_LOGGED;
	if (outcome == PG_SIG_FATAL) {
		pg_guard_exit();
		pg_leave_all(PG_HOW_KILLED, SIGPIPE);
		pg_sigpipe_default();
	}
	unblock(mask);
}

/* ---- calls that write ---- */

static int64_t asked(const struct pg_op *op)
{
	if (op->shape == PG_IOV)
		return pg_iov_bytes(op->data, op->count);
	return op->shape == PG_MSG ? pg_msg_bytes(op->data) : op->len;
}

static bool is_lost(int err)
{
	return err == ETIMEDOUT || err == EHOSTUNREACH || err == ENETUNREACH || err == ENETRESET ||
	       err == ENETDOWN || err == EHOSTDOWN || err == ECONNABORTED;
}

/* Whose call it is: a FILE's read or write is made inside libc. */
static uintptr_t logged_caller(const struct pg_op *op)
{
	uintptr_t outside = op->via == PG_VIA_STDIO ? pg_stack_caller() : 0;

	return outside ? outside : op->caller;
}

static void out_failed(const struct pg_op *op)
{
	uintptr_t caller = logged_caller(op);

	if (op->err == EPIPE) {
		pg_report(PG_EV_EPIPE, op, PG_SIG_ASK);
	} else if (op->flags & MSG_FASTOPEN && op->err != ECONNRESET) {
		return; /* the connection did not come about: connect.c logs */
	} else if (op->err == ECONNRESET) {
		pg_report(PG_EV_RESET, op, PG_SIG_NONE);
		pg_fd_warn(op->fd, PG_RESET, op->call, ECONNRESET, caller);
	} else {
		pg_guard_warned(op->call, op->fd, op->err, caller);
	}
}

/* Bytes of a vector that the kernel has taken some of; -1: that would cost a system call. */
static int64_t quick_sum(const struct pg_op *op)
{
	const struct iovec *iov = op->data;
	int64_t sum = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		if (!pg_is_kept(&iov[i], sizeof iov[i]))
			return -1;
		sum += (int64_t)iov[i].iov_len;
	}
	return sum;
}

/* Did OP take less than it was asked to, RET bytes? */
static bool is_short(const struct pg_op *op, int64_t ret)
{
	int64_t all = op->shape == PG_IOV ? quick_sum(op) : op->len;

	return all < 0 || ret < all;
}

/* Sixteen hexadecimal digits. */
static uint64_t hex_word(const char *s)
{
	uint64_t v = 0;

	for (int i = 0; i < 16; i++)
		v = v << 4 | (uint64_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	return v;
}

/* Does this process catch any signal but SIGPIPE, and those of libc's own for threads? Then one may
 * have cut a write short. True, too, if that cannot be known. */
static PG_COLD bool catches_others(void)
{
	static const char key[] = "\nSigCgt:\t";
	enum { WHOLE = sizeof key - 1 + 16, FIRST_OF_LIBC = 32 };
#ifdef __GLIBC__
	enum { LIBCS = 3 }; /* SIGRTMIN is 34 */
#else
	enum { LIBCS = 7 }; /* musl: 35 */
#endif
	char buf[512];
	size_t have = 0;
	uint64_t caught = ~(uint64_t)0;
	int fd = pg_open("/proc/thread-self/status", O_RDONLY);
	long n;

	while (fd >= 0 && (n = pg_sys3(SYS_read, fd, buf + have, sizeof buf - have)) > 0) {
		have += (size_t)n;
		for (size_t at = 0; at + WHOLE <= have; at++)
			if (!__builtin_memcmp(buf + at, key, sizeof key - 1))
				caught = hex_word(buf + at + sizeof key - 1);
		if (have < WHOLE)
			continue;
		for (size_t i = 0; i < WHOLE; i++) /* it may go on in the next part */
			buf[i] = buf[have - WHOLE + i];
		have = WHOLE;
	}
	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	return caught &
	       ~((uint64_t)1 << (SIGPIPE - 1) | (pg_page() ? (uint64_t)1 << (SIGBUS - 1) : 0) |
		 (uint64_t)LIBCS << (FIRST_OF_LIBC - 1));
}

/* Is OP a call that, where it waits, goes on until a pipe has taken all, and that only its reader
 * or a signal cuts short? What comes from another descriptor may run dry. */
static bool takes_all(const struct pg_op *op)
{
	enum { SPLICE_NONBLOCK = 2, RWF_NO_WAIT = 8 };
	const struct pg_layout *l = pg_call_layout(op->call);

	if (op->via != PG_VIA_CALL || pg_fd_is_connection(op->fd))
		return false;
	if (l->shape == PG_IOV)
		return !(op->flags & (SPLICE_NONBLOCK | RWF_NO_WAIT | PG_RWF_NOSIGNAL));
	return l->shape == PG_BUF;
}

static bool waits(int fd)
{
	return !(pg_sys3(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK);
}

/*
 * Fewer bytes than asked on a pipe without a reader: did its reader leave, with
 * a signal? Where a handler stands it has logged it, or there was none. Where
 * the signal is blocked it waits, perhaps since an earlier write; then, and
 * where it is ignored, it is known only of a call that nothing else cuts short.
 */
static enum pg_signal midway_signal(const struct pg_op *op, int64_t ret)
{
	int64_t all;

	if (ret <= 0 || pg_confined || !takes_all(op) || !is_short(op, ret) ||
	    !pg_look_is_broken_pipe(op->fd) || !waits(op->fd))
		return PG_SIG_NONE;
	all = asked(op);
	if (all < 0 || ret >= all)
		return PG_SIG_NONE;
	switch (pg_sigpipe_outcome()) {
	case PG_SIG_BLOCKED:
		return pg_waits_pending() && (!pg_owed || !catches_others()) ? PG_SIG_BLOCKED
									     : PG_SIG_NONE;
	case PG_SIG_IGNORED:
		return catches_others() ? PG_SIG_NONE : PG_SIG_IGNORED;
	default:
		return PG_SIG_NONE;
	}
}

static bool logged_by_handler(uintptr_t cfa)
{
	if (!PG_MARKS && cfa)
		return pg_hit_take_logged(cfa);
	return pg_mark & PG_MARK_LOGGED;
}

static void log_midway(struct pg_op *op, enum pg_signal signal)
{
	op->bytes = asked(op);
	pg_fd_sent(op->fd, -(uint64_t)op->ret); /* what was sent before it is logged */
	pg_report(PG_EV_EPIPE, op, signal);
	pg_fd_sent(op->fd, (uint64_t)op->ret);
}

static void look_at(struct pg_op *op)
{
	int err = op->err;
	bool broke = err == EPIPE || err == ECONNRESET || err == ECONNREFUSED || is_lost(err);
	enum pg_signal midway = broke ? PG_SIG_NONE : midway_signal(op, op->ret);

	op->bytes = broke || pg_watch_all ? asked(op) : -1;
	if (broke) {
		if (err != EPIPE || !logged_by_handler(op->cfa))
			out_failed(op);
	} else if (midway != PG_SIG_NONE) {
		log_midway(op, midway);
	} else if (pg_watch_all) {
		pg_report(PG_EV_CALL, op, PG_SIG_NONE);
	}
}

void pg_guard_out(struct pg_op *op, int64_t ret)
{
	int saved = errno;

	if (op->skip || (op->clamped && ret == op->len)) /* a rule's own doing, and logged */
		return;
	op->ret = ret;
	op->err = ret < 0 ? saved : 0;
	if (!pg_started)
		pg_early += op->err == EPIPE;
	else if (pg_config.active)
		look_at(op);
	errno = saved;
}

/* What OP, a wrapper's, holds of CALL, as far as its layout has it. A wrapper of a plain buffer
 * stores its length alone, and so does that of a call that reads several messages. */
static void take_stored(struct pg_op *whole, enum pg_call call, const struct pg_op *op)
{
	const struct pg_layout *l = pg_call_layout(call);
	bool kept = (l->shape == PG_IOV || l->shape == PG_MSG) &&
		    (pg_is_out(call) || !pg_call_has_messages(call));

	__builtin_memset(whole, 0, sizeof *whole);
	whole->call = call;
	whole->fd = op->fd;
	whole->len = op->len;
	whole->shape = (enum pg_shape)l->shape;
	whole->bytes = -1;
	if (l->flags >= 0)
		whole->flags = op->flags;
	if (kept)
		whole->data = op->data;
	if (l->shape == PG_IOV)
		whole->count = op->count;
	if (l->to < 0)
		return;
	whole->to = op->to;
	whole->to_len = op->to_len;
}

/* Is there nothing to log of OP, which wrote RET bytes of what SHAPE holds? Only a pipe breaks in
 * the midst of a write, and no message goes into one. */
static bool is_unremarkable(const struct pg_op *op, enum pg_shape shape, int64_t ret)
{
	int64_t all;

	if (ret < 0 || pg_watch_all)
		return false;
	if (shape != PG_IOV)
		return shape == PG_MSG;
	all = quick_sum(op);
	return all >= 0 && ret >= all;
}

/* CALL on FD returned RET: a rule that waits may have counted it in passing. */
static void uncount(enum pg_call call, int fd, int64_t ret)
{
	if (PG_ASKS_IN_PASSING && ret < 0 && pg_front.ruled & PG_BIT(call))
		pg_turn_refused(fd, PG_BIT(call), errno);
}

int64_t pg_guard_odd_out(enum pg_call call, const struct pg_op *op, int64_t ret, uintptr_t caller,
			 uintptr_t cfa)
{
	struct pg_op whole;

	if (ret > 0)
		pg_fd_sent(op->fd, (uint64_t)ret);
	else
		uncount(call, op->fd, ret);
	if (is_unremarkable(op, pg_call_layout(call)->shape, ret))
		return ret;
	take_stored(&whole, call, op);
	whole.caller = caller;
	whole.cfa = cfa;
	pg_guard_out(&whole, ret);
	return ret;
}

/* ---- connections, and descriptors' ends ---- */

/* A call about FD that moves no bytes, and failed with ERR or not. */
static struct pg_op about(enum pg_call call, int fd, int err, uintptr_t caller)
{
	return (struct pg_op){.call = call,
			      .fd = fd,
			      .bytes = -1,
			      .ret = err ? -1 : 0,
			      .err = err,
			      .caller = caller};
}

void pg_guard_connected(enum pg_call call, int fd, int ret, uintptr_t caller)
{
	int saved = errno;
	struct pg_op op = about(call, fd, ret ? saved : 0, caller);

	if (pg_started)
		pg_report(PG_EV_CALL, &op, PG_SIG_NONE);
	errno = saved;
}

static PG_COLD bool is_stream(int fd)
{
	struct pg_object o;

	pg_look(fd, &o);
	return o.stream;
}

/* An event that only PIPEGUARD_VERBOSE=1 asks for. */
static void log_verbose(enum pg_ev ev, const struct pg_op *op)
{
	if (pg_config.verbose >= 1 && pg_started)
		pg_report(ev, op, PG_SIG_NONE);
}

bool pg_guard_was_reset(int fd)
{
	struct pg_stat st = pg_look_stat(fd);
	const struct pg_story *s = pg_fd_story(fd, &st, false);

	return s && s->injected && pg_rule_terminal(s->rule) == PG_F_RESET;
}

/* What a reader returns that a rule's reset woke with an end of stream or EPIPE: as with a received
 * RST the first takes the error, for the others the stream is at its end. */
static int64_t woken(int fd, int *err)
{
	int pending = 0;
	socklen_t len = sizeof pending;

	pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &pending, &len);
	if (!pending)
		return 0;
	*err = pending;
	return -1;
}

/* Zero bytes are an end where some were asked for, and no messages where there may be some; but
 * what the error queue holds is none. */
static bool is_end(const struct pg_op *op)
{
	if (op->flags & MSG_ERRQUEUE)
		return false;
	if (pg_call_has_messages(op->call))
		return op->len != 0;
	return asked(op) != 0;
}

static void at_end(const struct pg_op *op)
{
	if (pg_config.verbose >= 1 && !pg_confined && is_stream(op->fd))
		log_verbose(PG_EV_EOF, op);
	pg_fd_warn(op->fd, PG_EOF, op->call, 0, op->caller);
}

/* OP has come to its end, or to an error. */
static void log_read(const struct pg_op *op)
{
	if (!op->ret) {
		at_end(op);
	} else if (op->err == ECONNRESET) {
		log_verbose(PG_EV_RESET, op);
		pg_fd_warn(op->fd, PG_RESET, op->call, op->err, op->caller);
	} else {
		pg_guard_warned(op->call, op->fd, op->err, op->caller);
	}
}

int64_t pg_guard_in(const struct pg_op *asked, int64_t ret)
{
	int saved = errno;
	struct pg_op op;

	if (!pg_config.active || (!ret && !is_end(asked)))
		return ret;
	op = *asked;
	if (pg_config.verbose >= 1 || pg_fd_is_followed(op.fd)) /* a file's end is no news */
		op.caller = logged_caller(asked);
	if ((!ret || saved == EPIPE) && PG_UNLIKELY(pg_front.ruled) && pg_guard_was_reset(op.fd))
		ret = woken(op.fd, &saved);
	op.bytes = op.shape == PG_IOV || op.shape == PG_MSG ? -1 : op.len;
	op.ret = ret;
	op.err = ret < 0 ? saved : 0;
	log_read(&op);
	errno = saved;
	return ret;
}

int64_t pg_guard_odd_in(enum pg_call call, const struct pg_op *op, int64_t ret, uintptr_t caller)
{
	struct pg_op whole;

	if (ret > 0) {
		pg_fd_was_read(op->fd);
		return ret;
	}
	uncount(call, op->fd, ret);
	take_stored(&whole, call, op);
	whole.caller = caller;
	return pg_guard_in(&whole, ret);
}

void pg_guard_refused(enum pg_call call, int fd, const void *addr, uint32_t len, uintptr_t caller)
{
	int saved = errno;
	struct pg_op op = about(call, fd, ECONNREFUSED, caller);

	op.to = addr;
	op.to_len = len;
	log_verbose(PG_EV_REFUSED, &op);
	pg_fd_warn(fd, PG_REFUSED, call, ECONNREFUSED, caller);
	errno = saved;
}

/*
 * FD is about to be let go of by CALL, and its peer is still there: with bytes
 * unread the kernel resets it. Logged where this is the last number of it, as far
 * as that can be seen: a child that was made without fork (posix_spawn) has
 * the descriptor unless it closes on exec.
 */
static PG_COLD void log_closed(enum pg_call call, int fd, uintptr_t caller)
{
	int unread = 0;
	struct pg_op op = about(call, fd, 0, caller);
	struct pg_object o;
	bool resets;

	if (pg_sys3(SYS_ioctl, fd, FIONREAD, &unread))
		return;
	resets = unread > 0 && call != PG_CALL_shutdown; /* which leaves them to be read */
	if (!resets && pg_look_hung_up(fd))
		return;
	if (pg_process_is_vforked()) /* its parent has it */
		return;
	pg_look(fd, &o);
	op.perhaps = !(pg_sys3(SYS_fcntl, fd, F_GETFD, 0) & FD_CLOEXEC);
	if (o.kind == PG_TCP && (resets || o.since) && o.story && pg_story_is_ours_alone(o.story))
		log_verbose(resets ? PG_EV_DOOMED : PG_EV_CLOSED, &op);
}

void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller)
{
	int saved = errno;
	struct pg_op op;

	if (!pg_config.active)
		return;
	if (err == ECONNREFUSED) {
		pg_guard_refused(call, fd, NULL, 0, caller);
	} else if (err == ECONNRESET || err == EPIPE) {
		op = about(call, fd, err, caller);
		log_verbose(PG_EV_RESET, &op);
		pg_fd_warn(fd, PG_RESET, call, err, caller);
	} else if (is_lost(err)) {
		pg_fd_warn(fd, PG_ERROR, call, err, caller);
	} else if (call == PG_CALL_shutdown) {
		pg_fd_warn(fd, PG_SHUTDOWN, call, 0, caller);
	}
	errno = saved;
}

void pg_guard_shutdown(int fd, uintptr_t caller)
{
	int saved = errno;

	if (pg_config.active && pg_config.verbose >= 1 && !pg_confined && pg_fd_is_connection(fd))
		log_closed(PG_CALL_shutdown, fd, caller);
	errno = saved;
}

void pg_guard_leaves(void)
{
	static int logged; /* the process that did */
	enum { MOST = 64 };
	int saved = errno;
	unsigned n = 0;

	if (pg_config.verbose < 1 || !pg_started || pg_confined || PG_GET(logged) == pg_pid() ||
	    pg_process_is_vforked())
		return;
	PG_PUT(logged, pg_pid());
	for (int fd = 0; fd < PG_FD_LOW && n < MOST; fd++) {
		if (!pg_fd_is_connection(fd))
			continue;
		log_closed(PG_CALL__exit, fd, 0);
		n++;
	}
	errno = saved;
}

/* Programs that close stderr when they exit (close_stdout of coreutils) leave nothing to say the
 * last word to. */
static void log_ends(void)
{
	if (pg_guard_has_last_word() && pg_stack_passes("exit"))
		pg_guard_exit();
}

void pg_guard_close(int fd)
{
	int saved = errno;

	if (!pg_config.active || pg_confined)
		return;
	if (PG_UNLIKELY(pg_config.verbose >= 1) && pg_fd_is_connection(fd))
		log_closed(PG_CALL_close, fd, PG_CALLER);
	if (PG_UNLIKELY(pg_log_goes_to(fd)))
		log_ends();
	errno = saved;
}
