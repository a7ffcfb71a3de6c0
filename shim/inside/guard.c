/* SPDX-License-Identifier: MIT */
#include "inside/guard.h"

#include "base/clock.h"
#include "base/peek.h"
#include "base/process.h"
#include "log/line.h"
#include "log/log.h"
#include "log/room.h"
#include "log/site.h"
#include "object/look.h"
#include "rules/config.h"
#include "rules/match.h"
#include "who/module.h"
#include "who/stack.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Not in every <sys/uio.h>: write without SIGPIPE, Linux 6.18. */
#define PG_RWF_NOSIGNAL 0x100
enum { SIGSET_BYTES = 8 };

bool pg_watch_all;
bool pg_started;

static uint64_t early; /* broke before start-up */
static bool inherited_ignored;
static int told_pid; /* the process that was told of the inherited disposition */

/* ---- telling ---- */

/* Who made E, the nearest caller outside libc first; and, where it is told or counted by, the hash
 * of it, which is of the same frames whatever PIPEGUARD_STACK says. */
static void add_stack(struct pg_event *e, const struct pg_hit *hit)
{
	unsigned n = pg_config.stack;

	if (pg_config.json && n < PG_SITE_FRAMES)
		n = PG_SITE_FRAMES;
	n = pg_stack_walk(e->frame, n, hit->uc);
	if (!n && hit->caller)
		e->frame[n++] = hit->caller;
	if (pg_config.json || e->ev == PG_EV_CALL)
		e->hash = pg_match_site(e->frame, n);
	e->frames = n < pg_config.stack ? n : pg_config.stack;
}

static void add_disposition(struct pg_event *e)
{
	int pid = e->pid;

	if (e->signal != PG_SIG_FATAL)
		e->changed = pg_sigpipe_last_change(e->signal, &e->change);
	if (inherited_ignored &&
	    (told_pid != pid || (e->signal == PG_SIG_IGNORED && !e->changed))) {
		e->inherited = true;
		told_pid = pid;
	}
}

/* A datagram that names whom it goes to, or a connection that never was: the address the program
 * gave. */
static void add_target(struct pg_event *e, const struct pg_hit *hit)
{
	struct pg_object *o = &e->object;
	struct sockaddr_storage ss;

	if (!hit->to || o->peer.family || o->peer_path[0] || hit->to_len > sizeof ss ||
	    (o->stream && pg_is_out(hit->call) && !(hit->flags & MSG_FASTOPEN)) ||
	    !pg_peek(&ss, hit->to, hit->to_len))
		return;
	pg_look_address(o, (const struct sockaddr *)&ss, hit->to_len);
}

bool pg_guard_raises(enum pg_call call, int flags, const struct pg_object *o)
{
	bool sends = call == PG_CALL_send || call == PG_CALL_sendto || PG_IS(call, sendmsg) ||
		     PG_IS(call, sendmmsg) || call == PG_CALL___send;
	bool vector2 = call == PG_CALL_pwritev2 || call == PG_CALL_pwritev64v2;

	if ((sends && flags & MSG_NOSIGNAL) || (vector2 && flags & PG_RWF_NOSIGNAL))
		return false;
	return o->stream;
}

static bool waits_pending(void)
{
	uint64_t set = 0;

	pg_sys2(SYS_rt_sigpending, &set, SIGSET_BYTES);
	return set >> (SIGPIPE - 1) & 1;
}

/* What became of the signal of a write that its wrapper tells: if it had been deadly, the handler
 * would have told it. */
static enum pg_signal signal_of(const struct pg_hit *hit, const struct pg_object *o, uint64_t mask)
{
	enum pg_signal outcome;

	if (!pg_guard_raises(hit->call, hit->flags, o))
		return PG_SIG_NONE;
	outcome = pg_sigpipe_outcome_under(mask);
	if (outcome == PG_SIG_BLOCKED) {
		/* af_unix.c: a send that had waited for room breaks without one. */
		if (!pg_confined && !waits_pending())
			return PG_SIG_NONE;
		pg_owed = PG_MARK(hit->call, hit->fd, 0);
	}
	return outcome == PG_SIG_FATAL ? PG_SIG_NONE : outcome;
}

/*
 * An event that is only counted costs little: it is looked at closely once it
 * is known that it will be told. A handler knows the place from the stack
 * alone; stdio's places are all one.
 */
static void write_event(struct pg_room *s, const struct pg_hit *hit)
{
	struct pg_event *e = &s->event;
	struct pg_place *first;
	struct pg_stat st = pg_look_stat(hit->fd);
	bool call = e->ev == PG_EV_CALL; /* each of its sites is told */
	bool walked = call || (!hit->caller && e->via != PG_VIA_STDIO);
	uintptr_t place = e->via == PG_VIA_STDIO ? 0 : hit->caller;

	e->pid = pg_pid();
	e->object.ino = st.ino;
	e->object.dev = st.dev;
	if (walked) {
		add_stack(e, hit);
		place = call ? (uintptr_t)e->hash : e->frames ? e->frame[0] : 0;
	}
	if (hit->inlined)
		pg_fd_passed_by(hit->fd);
	if (!pg_site_count(e, place, &first))
		return;
	pg_look_at(hit->fd, &st, &e->object, PG_LOOK_ALL, true);
	add_target(e, hit);
	if (e->signal == PG_SIG_ASK)
		e->signal = signal_of(hit, &e->object, s->mask);
	e->nonblock = call && pg_sys3(SYS_fcntl, hit->fd, F_GETFL, 0) & O_NONBLOCK;
	if (!walked)
		add_stack(e, hit);
	if (first)
		pg_site_describe(first, e, hit->caller);
	if (e->ev == PG_EV_EPIPE)
		add_disposition(e);
	pg_event_write(e, s->line, s->mask);
}

static void fill(struct pg_event *e, enum pg_ev ev, const struct pg_hit *hit, enum pg_signal signal)
{
	__builtin_memset(e, 0, sizeof *e);
	e->ev = ev;
	e->via = hit->via;
	e->signal = signal;
	e->call = pg_call_plain(hit->call);
	e->fd = hit->fd;
	e->len = hit->len;
	e->ret = hit->ret;
	e->err = hit->err;
	e->inlined = hit->inlined;
	e->perhaps = hit->perhaps;
}

/* Fills in what the hit does not know, and logs it. */
static void tell(enum pg_ev ev, const struct pg_hit *hit, enum pg_signal signal)
{
	struct pg_room *s = pg_room_take();

	if (!s)
		return;
	fill(&s->event, ev, hit, signal);
	if (!pg_confined)
		write_event(s, hit);
	else if (ev == PG_EV_EPIPE)
		pg_event_write_confined(&s->event, s->line);
	pg_room_give(s);
}

/* ---- what the signal gate asks ---- */

/* One more signal on this descriptor's object; false once the limit is reached: a program that
 * ignores errors must end. */
static bool within_limit(int fd, const struct pg_stat *st)
{
	static uint32_t untracked;
	struct pg_story *story = pg_fd_story(fd, st, true);

	return __atomic_fetch_add(story ? &story->suppressed : &untracked, 1, __ATOMIC_RELAXED) <
	       pg_config.limit;
}

static bool spares(const struct pg_hit *hit)
{
	bool sockets = pg_config.suppress == PG_SUPPRESS_SOCKETS;
	bool ruled = hit->marked && pg_mark & PG_MARK_NOSIGNAL;
	struct pg_stat st = {.ino = 0};

	if (!ruled && pg_config.suppress == PG_KEEP)
		return false;
	if (!pg_confined)
		st = pg_look_stat(hit->fd);
	if (!ruled && sockets && !S_ISSOCK(st.mode))
		return false;
	return within_limit(hit->fd, &st);
}

/* Of a write that would kill: taken away, and told? */
static bool spared(const struct pg_hit *hit)
{
	if (!spares(hit))
		return false;
	if (hit->call)
		tell(PG_EV_EPIPE, hit, PG_SIG_SUPPRESSED);
	return true;
}

static void on_broken(const struct pg_hit *hit, enum pg_signal signal)
{
	tell(PG_EV_EPIPE, hit, signal);
}

static void on_killed(int sender, bool by_itself, uint64_t owed)
{
	struct pg_room *s;

	if (pg_config.verbose < 1 || pg_confined || !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_KILLED;
	s->event.pid = pg_pid();
	s->event.sender = sender;
	s->event.by_itself = by_itself;
	s->event.call = owed ? pg_call_plain((enum pg_call)(owed >> 32 & 0x3fff)) : PG_NO_CALL;
	s->event.fd = (int)(uint32_t)owed;
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
}

static void on_change(const struct pg_change *change)
{
	struct pg_room *s;
	int saved = errno;

	if (pg_confined || !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_DISPOSITION;
	s->event.pid = pg_pid();
	s->event.change = *change;
	s->event.frames = pg_stack_walk(s->event.frame, pg_config.stack, NULL);
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
	errno = saved;
}

/* ---- rules ---- */

void pg_guard_tell_inject(const struct pg_hit *hit, const struct pg_inject *inject)
{
	static const char *const held[] = {NULL, "held until the peer left",
					   "held in vain: the peer is still there"};
	struct pg_room *s;
	struct pg_place *first;
	struct pg_event *e;

	if (pg_confined || !(s = pg_room_take()))
		return;
	e = &s->event;
	fill(e, PG_EV_INJECT, hit, PG_SIG_NONE);
	e->rule = (int)inject->rule;
	e->held = inject->already ? "it was broken before"
		  : inject->lost  ? "the bytes are lost"
				  : held[inject->held];
	e->failed = inject->failed;
	e->seeded = inject->prob;
	e->pid = pg_pid();
	e->object = *inject->object;
	if (pg_site_count(e, hit->caller, &first)) {
		add_target(e, hit);
		add_stack(e, hit);
		pg_event_write(e, s->line, s->mask);
	}
	if (first)
		pg_site_describe(first, e, hit->caller);
	pg_room_give(s);
}

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
	if (outcome == PG_SIG_FATAL && spares(hit))
		outcome = PG_SIG_SUPPRESSED;
	if (outcome == PG_SIG_FATAL || outcome == PG_SIG_CAUGHT || outcome == PG_SIG_BLOCKED)
		outcome = pg_sigpipe_queue(NULL) ? outcome : PG_SIG_NONE;
	if (outcome == PG_SIG_BLOCKED)
		pg_owed = PG_MARK(hit->call, hit->fd, 0);
	tell(PG_EV_EPIPE, hit, outcome);
	pg_mark |= PG_MARK_LOGGED;
	if (outcome == PG_SIG_FATAL) {
		pg_guard_exit();
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
		tell(PG_EV_EPIPE, hit, PG_SIG_ASK);
	} else if (hit->flags & MSG_FASTOPEN && hit->err != ECONNRESET) {
		return; /* the connection did not come about: connect.c tells */
	} else if (hit->err == ECONNRESET) {
		tell(PG_EV_RESET, hit, PG_SIG_NONE);
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
	return caught & ~((uint64_t)1 << (SIGPIPE - 1) | (uint64_t)LIBCS << (FIRST_OF_LIBC - 1));
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
		return waits_pending() && (!pg_owed || !catches_others()) ? PG_SIG_BLOCKED
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
	tell(PG_EV_EPIPE, hit, signal);
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
		tell(PG_EV_CALL, &hit, PG_SIG_NONE);
	}
}

void pg_guard_out(const struct pg_op *op, int64_t ret, uintptr_t caller, uintptr_t cfa)
{
	int saved = errno;

	if (op->skip || (op->clamped && ret == op->len)) /* a rule's own doing, and told */
		return;
	if (!pg_started)
		early += ret < 0 && saved == EPIPE;
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
		tell(PG_EV_CALL, &hit, PG_SIG_NONE);
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
		tell(ev, hit, PG_SIG_NONE);
}

bool pg_guard_was_reset(int fd)
{
	struct pg_stat st = pg_look_stat(fd);
	const struct pg_story *s = pg_fd_story(fd, &st, false);

	return s && s->injected && pg_rules.rule[s->rule].terminal == PG_F_RESET;
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
	if ((!ret || saved == EPIPE) && PG_UNLIKELY(pg_ruled) && pg_guard_was_reset(fd))
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

/* ---- the end ---- */

static bool lines_missing(void)
{
	struct pg_log_missing missing = pg_log_missing();

	return missing.dropped || missing.limited;
}

bool pg_guard_has_last_word(void)
{
	bool any = pg_config.verbose >= 1 || early || lines_missing();

	if (!pg_started || !pg_config.active || pg_confined || (!any && !pg_site_any()) ||
	    pg_process_is_vforked()) /* last: it may ask the kernel */
		return false;
	return any || pg_site_held_back(pg_pid());
}

void pg_guard_exit(void)
{
	static int told; /* the process whose last word was said */
	int saved = errno, pid;
	struct pg_room *s;

	if (!pg_guard_has_last_word())
		return;
	pid = pg_pid();
	if (PG_GET(told) == pid || !(s = pg_room_take()))
		return;
	PG_PUT(told, pid);
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_EXIT;
	s->event.pid = pid;
	s->event.early = early;
	s->event.uncounted = pg_match_uncounted();
	pg_site_collect(&s->event);
	for (unsigned i = 0; i < pg_rules.n; i++)
		s->event.counts[i] = pg_match_fired(i);
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
	errno = saved;
}

/* ---- start ---- */

static void tell_load(const char *gates, enum pg_state state)
{
	struct pg_room *s = pg_room_take();

	if (!s)
		return;
	s->event.ev = PG_EV_LOAD;
	s->event.pid = pg_pid();
	s->event.gates = gates;
	s->event.sender = (int)pg_sys0(SYS_getppid);
	s->event.change.to = state;
	s->event.inherited = inherited_ignored;
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
}

void pg_guard_start(const char *gates)
{
	static const struct pg_sigpipe_calls calls = {spared, on_broken, on_killed, pg_guard_exit};
	enum pg_state state = pg_sigpipe_start(&calls);

	pg_room_start();
	pg_site_start();
	inherited_ignored = state == PG_STATE_IGNORED;
	pg_watch_all = pg_config.verbose > 1;
	if (pg_config.verbose >= 1)
		pg_sigpipe_changed = on_change;
	pg_started = true;
	if (pg_config.verbose >= 1)
		tell_load(gates, state);
}
