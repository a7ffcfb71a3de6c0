/* SPDX-License-Identifier: MIT */
#include "inside/guard.h"

#include "base/clock.h"
#include "base/peek.h"
#include "base/process.h"
#include "inside/leave.h"
#include "inside/report.h"
#include "inside/spare.h"
#include "log/log.h"
#include "object/look.h"
#include "rules/config.h"
#include "rules/live.h"
#include "rules/match.h"
#include "who/module.h"
#include "who/stack.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { SIGSET_BYTES = 8 };

/* All signals, for as long as one that was raised is to wait. Returns the mask that was. */
static uint64_t block_all(void)
{
	uint64_t all = ~(uint64_t)0, mask = 0;

	pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, SIGSET_BYTES);
	return mask;
}

static void unblock(uint64_t mask)
{
	pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, SIGSET_BYTES);
}

/* The signal waits until what becomes of it has been told. */
void pg_guard_injected_epipe(const struct pg_hit *hit, bool signals)
{
	enum pg_signal outcome = PG_SIG_NONE;
	uint64_t mask = block_all();

	if (signals)
		outcome = pg_sigpipe_outcome_under(mask);
	if (outcome == PG_SIG_FATAL && pg_spares(hit))
		outcome = PG_SIG_SUPPRESSED;
	if (outcome == PG_SIG_FATAL || outcome == PG_SIG_CAUGHT || outcome == PG_SIG_BLOCKED)
		outcome = pg_sigpipe_queue(NULL) ? outcome : PG_SIG_NONE;
	if (outcome == PG_SIG_BLOCKED)
		pg_owed = PG_MARK(hit->call, hit->fd, 0);
	pg_report(PG_EV_EPIPE, hit, outcome);
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

/* Who is told: a FILE's read or write is made inside libc. */
static uintptr_t told_at(const struct pg_op *op, uintptr_t caller)
{
	uintptr_t outside;

	if (op->via != PG_VIA_STDIO || !pg_stack_walk(&outside, 1, NULL))
		return caller;
	return outside + 1;
}

static void out_failed(const struct pg_op *op, struct pg_hit *hit)
{
	uintptr_t caller = told_at(op, hit->caller + 1);

	if (hit->err == EPIPE) {
		pg_report(PG_EV_EPIPE, hit, PG_SIG_ASK);
	} else if (hit->flags & MSG_FASTOPEN && hit->err != ECONNRESET) {
		return; /* the connection did not come about: connect.c tells */
	} else if (hit->err == ECONNRESET) {
		pg_report(PG_EV_RESET, hit, PG_SIG_NONE);
		pg_fd_warn(op->fd, PG_RESET, hit->call, ECONNRESET, caller);
	} else {
		pg_guard_warned(hit->call, op->fd, hit->err, caller);
	}
}

/* Bytes of a vector that the kernel has taken some of; -1: that would cost a system call. */
static int64_t quick_sum(const struct pg_op *op)
{
	const struct iovec *iov = op->data;
	int64_t sum = 0;

	for (uint64_t i = 0; i < op->count; i++) {
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
 * a signal? Where a handler stands it has told so, or there was none. Where
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

static bool told_by_handler(uintptr_t cfa)
{
	if (!PG_MARKS && cfa)
		return pg_hit_take_told(cfa);
	return pg_mark & PG_MARK_LOGGED;
}

static void tell_midway(const struct pg_op *op, struct pg_hit *hit, enum pg_signal signal)
{
	hit->len = asked(op);
	pg_fd_sent(op->fd, -(uint64_t)hit->ret); /* what was sent before it is told */
	pg_report(PG_EV_EPIPE, hit, signal);
	pg_fd_sent(op->fd, (uint64_t)hit->ret);
}

static struct pg_hit hit_of(const struct pg_op *op, int64_t ret, int err, uintptr_t caller)
{
	return (struct pg_hit){.via = op->via,
			       .call = op->call,
			       .fd = op->fd,
			       .len = -1,
			       .ret = ret,
			       .err = ret < 0 ? err : 0,
			       .flags = op->flags,
			       .to = op->to,
			       .to_len = op->to_len,
			       .caller = caller - 1};
}

static void look_at(const struct pg_op *op, int64_t ret, int err, uintptr_t caller, uintptr_t cfa)
{
	struct pg_hit hit = hit_of(op, ret, err, caller);
	bool broke = ret < 0 &&
		     (err == EPIPE || err == ECONNRESET || err == ECONNREFUSED || is_lost(err));
	enum pg_signal midway = broke ? PG_SIG_NONE : midway_signal(op, ret);

	if (broke || pg_watch_all)
		hit.len = asked(op);
	if (broke) {
		if (err != EPIPE || !told_by_handler(cfa))
			out_failed(op, &hit);
	} else if (midway != PG_SIG_NONE) {
		tell_midway(op, &hit, midway);
	} else if (pg_watch_all) {
		pg_report(PG_EV_CALL, &hit, PG_SIG_NONE);
	}
}

void pg_guard_out(const struct pg_op *op, int64_t ret, uintptr_t caller, uintptr_t cfa)
{
	int saved = errno;

	if (op->skip || (op->clamped && ret == op->len)) /* a rule's own doing, and told */
		return;
	if (!pg_started)
		pg_early += ret < 0 && saved == EPIPE;
	else if (pg_config.active)
		look_at(op, ret, saved, caller, cfa);
	errno = saved;
}

int64_t pg_guard_odd(enum pg_call call, struct pg_op *op, int64_t ret, uintptr_t caller,
		     uintptr_t cfa)
{
	const struct pg_layout *l = pg_call_layout(call);
	struct pg_op whole = {.call = call, .fd = op->fd, .len = op->len};

	if (l->flags >= 0)
		whole.flags = op->flags;
	if (l->shape == PG_IOV || l->shape == PG_MSG) {
		whole.shape = (enum pg_shape)l->shape;
		whole.data = op->data;
		whole.count = l->shape == PG_IOV ? op->count : 0;
	}
	if (l->to >= 0) {
		whole.to = op->to;
		whole.to_len = op->to_len;
	}
	if (ret > 0)
		pg_fd_sent(op->fd, (uint64_t)ret);
	pg_guard_out(&whole, ret, caller, cfa);
	return ret;
}

/* ---- connections, and what descriptors tell ---- */

void pg_guard_connected(enum pg_call call, int fd, int ret, uintptr_t caller)
{
	int saved = errno;
	struct pg_hit hit = {.call = call,
			     .fd = fd,
			     .len = -1,
			     .ret = ret,
			     .err = ret ? saved : 0,
			     .caller = caller - 1};

	if (pg_started)
		pg_report(PG_EV_CALL, &hit, PG_SIG_NONE);
	errno = saved;
}

static PG_COLD bool is_stream(int fd)
{
	struct pg_object o;

	pg_look(fd, &o);
	return o.stream;
}

/* An event that only PIPEGUARD_VERBOSE=1 asks for. */
static void tell_verbose(enum pg_ev ev, const struct pg_hit *hit)
{
	if (pg_config.verbose >= 1 && pg_started)
		pg_report(ev, hit, PG_SIG_NONE);
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

/* Zero bytes are an end where some were asked for; but what the error queue holds is none. */
static bool is_end(const struct pg_op *op)
{
	if (op->flags & MSG_ERRQUEUE)
		return false;
	return op->shape == PG_IOV || op->shape == PG_MSG ? asked(op) != 0 : op->len != 0;
}

static void at_end(const struct pg_op *op, const struct pg_hit *hit)
{
	if (pg_config.verbose >= 1 && !pg_confined && is_stream(op->fd))
		tell_verbose(PG_EV_EOF, hit);
	pg_fd_warn(op->fd, PG_EOF, hit->call, 0, hit->caller + 1);
}

int64_t pg_guard_in(enum pg_call call, const struct pg_op *op, int64_t ret, uintptr_t caller)
{
	int saved = errno, fd = op->fd;
	struct pg_hit hit;

	if (!pg_config.active || (!ret && !is_end(op)))
		return ret;
	caller = told_at(op, caller);
	if ((!ret || saved == EPIPE) && PG_UNLIKELY(pg_front.ruled) && pg_guard_was_reset(fd))
		ret = woken(fd, &saved);
	hit = hit_of(op, ret, saved, caller);
	hit.call = call;
	hit.len = op->shape == PG_IOV || op->shape == PG_MSG ? -1 : op->len;
	if (!ret) {
		at_end(op, &hit);
	} else if (saved == ECONNRESET) {
		tell_verbose(PG_EV_RESET, &hit);
		pg_fd_warn(fd, PG_RESET, call, saved, caller);
	} else {
		pg_guard_warned(call, fd, saved, caller);
	}
	errno = saved;
	return ret;
}

int64_t pg_guard_in_buffer(enum pg_call call, const struct pg_asked *asked, int64_t ret,
			   uintptr_t caller)
{
	const struct pg_op op = {.fd = asked->fd, .len = (int64_t)asked->len};

	return pg_guard_in(call, &op, ret, caller);
}

int64_t pg_guard_in_flagged(enum pg_call call, const struct pg_asked *asked, int64_t ret,
			    uintptr_t caller)
{
	const struct pg_op op = {
		.fd = asked->fd, .len = (int64_t)asked->len, .flags = asked->flags};

	return pg_guard_in(call, &op, ret, caller);
}

int64_t pg_guard_in_vector(enum pg_call call, const struct pg_asked *asked, int64_t ret,
			   uintptr_t caller)
{
	const struct pg_op op = {.fd = asked->fd,
				 .shape = PG_IOV,
				 .data = asked->data,
				 .count = asked->count < 0 ? 0 : (uint64_t)asked->count};

	return pg_guard_in(call, &op, ret, caller);
}

int64_t pg_guard_in_message(enum pg_call call, const struct pg_asked *asked, int64_t ret,
			    uintptr_t caller)
{
	const struct pg_op op = {
		.fd = asked->fd, .shape = PG_MSG, .data = asked->data, .flags = asked->flags};

	return pg_guard_in(call, &op, ret, caller);
}

void pg_guard_refused(enum pg_call call, int fd, const void *addr, uint32_t len, uintptr_t caller)
{
	int saved = errno;
	struct pg_hit hit = {.call = call,
			     .fd = fd,
			     .len = -1,
			     .ret = -1,
			     .err = ECONNREFUSED,
			     .to = addr,
			     .to_len = len,
			     .caller = caller - 1};

	tell_verbose(PG_EV_REFUSED, &hit);
	pg_fd_warn(fd, PG_REFUSED, call, ECONNREFUSED, caller);
	errno = saved;
}

void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller)
{
	int saved = errno;
	struct pg_hit hit = {
		.call = call, .fd = fd, .len = -1, .ret = -1, .err = err, .caller = caller - 1};

	if (!pg_config.active)
		return;
	if (err == ECONNREFUSED) {
		pg_guard_refused(call, fd, NULL, 0, caller);
	} else if (err == ECONNRESET || err == EPIPE) {
		tell_verbose(PG_EV_RESET, &hit);
		pg_fd_warn(fd, PG_RESET, call, err, caller);
	} else if (is_lost(err)) {
		pg_fd_warn(fd, PG_ERROR, call, err, caller);
	} else if (call == PG_CALL_shutdown) {
		pg_fd_warn(fd, PG_SHUTDOWN, call, 0, caller);
	}
	errno = saved;
}

/* Told where the close is the last one, as far as that can be seen: a child that was made without
 * fork (posix_spawn) has the descriptor unless it closes on exec. */
static PG_COLD void tell_doomed(int fd, uintptr_t caller)
{
	int unread = 0;
	struct pg_hit hit = {.call = PG_CALL_close, .fd = fd, .len = -1, .caller = caller - 1};
	struct pg_object o;

	if (pg_sys3(SYS_ioctl, fd, FIONREAD, &unread) || unread <= 0)
		return;
	if (pg_process_is_vforked()) /* its parent has it */
		return;
	pg_look(fd, &o);
	hit.perhaps = !(pg_sys3(SYS_fcntl, fd, F_GETFD, 0) & FD_CLOEXEC);
	if (o.kind == PG_TCP && o.story && pg_story_is_ours_alone(o.story))
		tell_verbose(PG_EV_DOOMED, &hit);
}

/* Programs that close stderr when they exit (close_stdout of coreutils) leave nothing to say the
 * last word to. */
static void log_ends(void)
{
	if (pg_stack_passes("exit"))
		pg_guard_exit();
}

void pg_guard_close(int fd)
{
	int saved = errno;

	if (!pg_config.active || pg_confined)
		return;
	if (PG_UNLIKELY(pg_config.verbose >= 1) && pg_fd_is_connection(fd))
		tell_doomed(fd, PG_CALLER);
	if (PG_UNLIKELY(pg_log_goes_to(fd)))
		log_ends();
	errno = saved;
}
