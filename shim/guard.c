/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include "config.h"
#include "fault.h"
#include "log.h"
#include "match.h"
#include "room.h"
#include "site.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Not in every <sys/uio.h>: write without SIGPIPE, Linux 6.18. */
#define PG_RWF_NOSIGNAL 0x100

bool pg_watch_all;
bool pg_started;

static uint64_t early; /* broke before start-up */
static bool inherited_ignored;
static int told_pid; /* the process that was told of the inherited disposition */

/* Who made E, the nearest caller outside libc first; and, where it is told or counted by, the hash
 * of it, which is of the same frames whatever PIPEGUARD_STACK says. */
static void add_stack(struct pg_event *e, const struct pg_hit *hit)
{
	unsigned n = pg_config.stack;

	if (pg_config.json && n < PG_SITE_FRAMES)
		n = PG_SITE_FRAMES;
	n = pg_stack_walk(e->frame, n);
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

bool pg_guard_raises(enum pg_call call, int flags, const struct pg_object *o)
{
	bool sends = call == PG_CALL_send || call == PG_CALL_sendto || call == PG_CALL_sendmsg ||
		     call == PG_CALL_sendmmsg || call == PG_CALL___send;
	bool vector2 = call == PG_CALL_pwritev2 || call == PG_CALL_pwritev64v2;

	if ((sends && flags & MSG_NOSIGNAL) || (vector2 && flags & PG_RWF_NOSIGNAL))
		return false;
	return o->stream;
}

/* What became of the signal of a write that its wrapper tells: if it had been deadly, the handler
 * would have told it. */
static enum pg_signal signal_of(const struct pg_hit *hit, const struct pg_object *o, uint64_t mask)
{
	enum pg_signal outcome;

	if (!pg_guard_raises(hit->call, hit->flags, o))
		return PG_SIG_NONE;
	outcome = pg_sigpipe_outcome_under(mask);
	return outcome == PG_SIG_FATAL ? PG_SIG_NONE : outcome;
}

/* A twin is told under the name that programs write. */
static enum pg_call log_name(enum pg_call call)
{
	switch (call) {
	case PG_CALL___write:
		return PG_CALL_write;
	case PG_CALL___send:
		return PG_CALL_send;
	case PG_CALL___dprintf_chk:
		return PG_CALL_dprintf;
	case PG_CALL___vdprintf_chk:
		return PG_CALL_vdprintf;
	default:
		return call;
	}
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
	struct pg_stat st = pg_fd_stat(hit->fd);
	bool call = e->ev == PG_EV_CALL; /* each of its sites is told */
	bool walked = call || (!hit->caller && e->via != PG_VIA_STDIO);
	uintptr_t place = e->via == PG_VIA_STDIO ? 0 : hit->caller;

	e->pid = (int)pg_sys0(SYS_getpid);
	e->object.ino = st.ino;
	if (walked) {
		add_stack(e, hit);
		place = call ? (uintptr_t)e->hash : e->frames ? e->frame[0] : 0;
	}
	if (!pg_site_count(e, place, &first))
		return;
	pg_fd_look_at(hit->fd, &st, &e->object, PG_LOOK_ALL);
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

/* Fills in what the hit does not know, and logs it. */
static void tell(enum pg_ev ev, const struct pg_hit *hit, enum pg_signal signal)
{
	struct pg_room *s = pg_room_take();
	struct pg_event *e;

	if (!s)
		return;
	e = &s->event;
	__builtin_memset(e, 0, sizeof *e);
	e->ev = ev;
	e->via = hit->via;
	e->signal = signal;
	e->call = log_name(hit->call);
	e->fd = hit->fd;
	e->len = hit->len;
	e->ret = hit->ret;
	e->err = hit->err;
	e->inlined = hit->inlined;
	if (pg_confined) {
		if (ev == PG_EV_EPIPE)
			pg_event_write_confined(e);
		pg_room_give(s);
		return;
	}
	write_event(s, hit);
	pg_room_give(s);
}

static bool is_socket(int fd)
{
	struct pg_stat st;

	return !pg_confined && !pg_fstat(fd, &st) && S_ISSOCK(st.mode);
}

/* One more signal on this descriptor; false once the limit is reached: a program that ignores
 * errors must end. */
static bool within_limit(int fd)
{
	static uint32_t untracked;
	const struct pg_fd *f = pg_fd(fd);
	uint32_t *count = f ? &pg_fds[fd].suppressed : &untracked;

	return __atomic_fetch_add(count, 1, __ATOMIC_RELAXED) < pg_config.limit;
}

static bool suppresses(int fd)
{
	if (pg_mark & PG_MARK_NOSIGNAL)
		return within_limit(fd);
	if (pg_config.suppress == PG_KEEP)
		return false;
	return (pg_config.suppress == PG_SUPPRESS || is_socket(fd)) && within_limit(fd);
}

static bool on_broken(const struct pg_hit *hit, enum pg_signal signal)
{
	bool go_on = signal == PG_SIG_FATAL && suppresses(hit->fd);

	tell(PG_EV_EPIPE, hit, go_on ? PG_SIG_SUPPRESSED : signal);
	return go_on;
}

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
	__builtin_memset(e, 0, sizeof *e);
	e->ev = PG_EV_INJECT;
	e->via = hit->via;
	e->call = log_name(hit->call);
	e->fd = hit->fd;
	e->len = hit->len;
	e->rule = (int)inject->rule;
	e->held = inject->lost ? "the bytes are lost" : held[inject->held];
	e->seeded = inject->prob;
	e->pid = (int)pg_sys0(SYS_getpid);
	e->object = *inject->object;
	if (pg_site_count(e, hit->caller, &first)) {
		add_stack(e, hit);
		pg_event_write(e, s->line, s->mask);
	}
	if (first)
		pg_site_describe(first, e, hit->caller);
	pg_room_give(s);
}

void pg_guard_injected_epipe(const struct pg_hit *hit, bool signals)
{
	enum pg_signal outcome = signals ? pg_sigpipe_outcome() : PG_SIG_NONE;

	if (outcome == PG_SIG_FATAL && suppresses(hit->fd))
		outcome = PG_SIG_SUPPRESSED;
	tell(PG_EV_EPIPE, hit, outcome);
	pg_mark |= PG_MARK_LOGGED;
	if (outcome == PG_SIG_FATAL)
		pg_sigpipe_default();
	if (signals && outcome != PG_SIG_SUPPRESSED && outcome != PG_SIG_IGNORED)
		pg_fault_raise(SIGPIPE);
}

static void on_killed(int sender)
{
	struct pg_room *s;

	if (pg_config.verbose < 1 || pg_confined || !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_KILLED;
	s->event.pid = (int)pg_sys0(SYS_getpid);
	s->event.sender = sender;
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
	s->event.pid = (int)pg_sys0(SYS_getpid);
	s->event.change = *change;
	s->event.frames = pg_stack_walk(s->event.frame, pg_config.stack);
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
	errno = saved;
}

static int64_t asked(const struct pg_op *op)
{
	if (op->shape == PG_IOV)
		return pg_iov_bytes(op->data, op->count);
	return op->shape == PG_MSG ? pg_msg_bytes(op->data) : op->len;
}

static void out_failed(const struct pg_op *op, struct pg_hit *hit)
{
	switch (hit->err) {
	case EPIPE:
		tell(PG_EV_EPIPE, hit, PG_SIG_ASK);
		break;
	case ECONNRESET:
		tell(PG_EV_RESET, hit, PG_SIG_NONE);
		pg_fd_warn(op->fd, PG_RESET, hit->call, ECONNRESET, hit->caller + 1);
		break;
	case ECONNREFUSED:
		pg_guard_warned(hit->call, op->fd, ECONNREFUSED, hit->caller + 1);
		break;
	default:
		break;
	}
}

/* Fewer bytes than asked on something that may be a pipe: did its reader leave, with a signal that
 * nobody saw? */
static bool broke_midway(const struct pg_op *op, int64_t ret)
{
	if (ret <= 0 || op->shape == PG_MSG || pg_fd_is_connection(op->fd) || pg_confined)
		return false;
	return ret < asked(op) && pg_fd_is_broken_pipe(op->fd);
}

/* Where there are no marks, the handler that told of a call leaves where on the stack it was. */
static bool told_by_handler(void)
{
	enum { NEAR = 4096 };
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), told = pg_told;

	pg_told = 0;
	if (pg_mark & PG_MARK_LOGGED)
		return true;
	return told && told - here + NEAR < 2 * NEAR;
}

/* The handler has told of a signal that was raised; no other can be it. */
static bool is_told(const struct pg_op *op)
{
	struct pg_object o;

	if (!told_by_handler())
		return false;
	if (pg_confined || op->via != PG_VIA_CALL)
		return true;
	pg_fd_look(op->fd, &o);
	return !o.ino || pg_guard_raises(op->call, op->flags, &o);
}

static void look_at(const struct pg_op *op, int64_t ret, int err, uintptr_t caller)
{
	struct pg_hit hit = {.via = op->via,
			     .call = op->call,
			     .fd = op->fd,
			     .ret = ret,
			     .err = ret < 0 ? err : 0,
			     .flags = op->flags,
			     .caller = caller - 1};
	bool broke = ret < 0 && (err == EPIPE || err == ECONNRESET || err == ECONNREFUSED);
	bool midway = broke_midway(op, ret);

	if (broke || midway || pg_watch_all) /* else the kernel may not have read the vector */
		hit.len = asked(op);
	if (broke) {
		if (err != EPIPE || !is_told(op))
			out_failed(op, &hit);
	} else if (midway) {
		if (!is_told(op)) {
			pg_fd_sent(op->fd, -(uint64_t)ret); /* what was sent before it is told */
			tell(PG_EV_EPIPE, &hit, pg_sigpipe_outcome());
			pg_fd_sent(op->fd, (uint64_t)ret);
		}
	} else if (pg_watch_all) {
		tell(PG_EV_CALL, &hit, PG_SIG_NONE);
	}
}

void pg_guard_out(const struct pg_op *op, int64_t ret, uintptr_t caller)
{
	int saved = errno;

	if (op->skip || (op->clamped && ret == op->len)) /* a rule's own doing, and told */
		return;
	if (!pg_started)
		early += ret < 0 && saved == EPIPE;
	else if (pg_config.active)
		look_at(op, ret, saved, caller);
	errno = saved;
}

int64_t pg_guard_odd(enum pg_call call, struct pg_op *op, int64_t ret, uintptr_t caller)
{
	const struct pg_layout *l = pg_call_layout(call);
	struct pg_op whole = {.call = call, .fd = op->fd, .len = op->len, .outer = 0};

	if (l->flags >= 0)
		whole.flags = op->flags;
	if (l->shape == PG_IOV || l->shape == PG_MSG) {
		whole.shape = l->shape;
		whole.data = op->data;
		whole.count = l->shape == PG_IOV ? op->count : 0;
	}
	if (ret > 0)
		pg_fd_sent(op->fd, (uint64_t)ret);
	pg_guard_out(&whole, ret, caller);
	return ret;
}

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

static bool is_stream_socket(int fd)
{
	struct pg_object o;

	pg_fd_look(fd, &o);
	return o.stream && o.kind != PG_PIPE;
}

/* An event that only PIPEGUARD_VERBOSE=1 asks for. */
static void tell_verbose(enum pg_ev ev, enum pg_call call, int fd, int64_t len, int64_t ret,
			 int err, uintptr_t caller)
{
	struct pg_hit hit = {
		.call = call, .fd = fd, .len = len, .ret = ret, .err = err, .caller = caller - 1};

	if (pg_config.verbose >= 1 && pg_started)
		tell(ev, &hit, PG_SIG_NONE);
}

bool pg_guard_was_reset(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_stat st;

	return f && f->injected && pg_rules.rule[f->rule].terminal == PG_F_RESET &&
	       !pg_fstat(fd, &st) && st.ino == f->injected;
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

int64_t pg_guard_in(enum pg_call call, const struct pg_op *op, int64_t ret, uintptr_t caller)
{
	int saved = errno, fd = op->fd;
	int64_t len = op->len;

	if (!pg_config.active || (!ret && !len))
		return ret;
	if ((!ret || saved == EPIPE) && PG_UNLIKELY(pg_ruled) && pg_guard_was_reset(fd))
		ret = woken(fd, &saved);
	if (!ret) {
		if (pg_config.verbose >= 1 && !pg_confined && is_stream_socket(fd))
			tell_verbose(PG_EV_EOF, call, fd, len, 0, 0, caller);
		pg_fd_warn(fd, PG_EOF, call, 0, caller);
	} else if (saved == ECONNRESET) {
		tell_verbose(PG_EV_RESET, call, fd, len, -1, saved, caller);
		pg_fd_warn(fd, PG_RESET, call, saved, caller);
	} else if (saved == ECONNREFUSED) {
		pg_guard_warned(call, fd, saved, caller);
	}
	errno = saved;
	return ret;
}

void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller)
{
	int saved = errno;

	if (!pg_config.active)
		return;
	if (err == ECONNREFUSED) {
		tell_verbose(PG_EV_REFUSED, call, fd, -1, -1, err, caller);
		pg_fd_warn(fd, PG_REFUSED, call, err, caller);
	} else if (err == ECONNRESET || err == EPIPE) {
		tell_verbose(PG_EV_RESET, call, fd, -1, -1, err, caller);
		pg_fd_warn(fd, PG_RESET, call, err, caller);
	} else if (call == PG_CALL_shutdown) {
		pg_fd_warn(fd, PG_SHUTDOWN, call, 0, caller);
	}
	errno = saved;
}

void pg_guard_close(int fd)
{
	int saved = errno, unread = 0;
	const struct pg_fd *f = pg_fd(fd);
	struct pg_object o;

	if (pg_config.verbose < 1 || !pg_config.active || !f || !f->ino || pg_confined)
		return;
	if (!pg_sys3(SYS_ioctl, fd, FIONREAD, &unread) && unread > 0) {
		pg_fd_look(fd, &o);
		if (o.kind == PG_TCP)
			tell_verbose(PG_EV_DOOMED, PG_CALL_close, fd, -1, 0, 0, PG_CALLER);
	}
	errno = saved;
}

void pg_guard_exit(void)
{
	int saved = errno, pid;
	struct pg_room *s;

	if (!pg_started || !pg_config.active || pg_confined)
		return;
	if (pg_config.verbose < 1 && !pg_site_any() && !early && !pg_log_dropped())
		return;
	pid = (int)pg_sys0(SYS_getpid);
	if ((pg_config.verbose < 1 && !(early || pg_log_dropped() || pg_site_held_back(pid))) ||
	    !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_EXIT;
	s->event.pid = pid;
	s->event.early = early;
	pg_site_collect(&s->event);
	for (unsigned i = 0; i < pg_rules.n; i++)
		s->event.counts[i] = pg_match_fired(i);
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
	errno = saved;
}

static void tell_load(const char *gates, enum pg_state state)
{
	struct pg_room *s = pg_room_take();

	if (!s)
		return;
	s->event.ev = PG_EV_LOAD;
	s->event.pid = (int)pg_sys0(SYS_getpid);
	s->event.gates = gates;
	s->event.sender = (int)pg_sys0(SYS_getppid);
	s->event.change.to = state;
	s->event.inherited = inherited_ignored;
	pg_event_write(&s->event, s->line, s->mask);
	pg_room_give(s);
}

void pg_guard_start(const char *gates)
{
	enum pg_state state = pg_sigpipe_start(on_broken, on_killed);

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
