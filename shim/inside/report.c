/* SPDX-License-Identifier: MIT */
#include "inside/report.h"

#include "base/peek.h"
#include "inside/witness.h"
#include "log/facts.h"
#include "log/line.h"
#include "log/modules.h"
#include "log/room.h"
#include "log/site.h"
#include "object/leaving.h"
#include "object/look.h"
#include "rules/config.h"
#include "who/stack.h"

#include <errno.h>
#include <fcntl.h>

static PG_START_DATA bool inherited_ignored;
static int logged_pid; /* the process that logged its inherited disposition */

void pg_report_start(enum pg_state state)
{
	inherited_ignored = state == PG_STATE_IGNORED;
}

/* Who made E, the nearest caller outside libc first; and, where it is logged or counted by, the
 * hash of it, which is of the same frames whatever PIPEGUARD_STACK says. */
static void add_stack(struct pg_room *s, const struct pg_op *op)
{
	struct pg_event *e = &s->event;
	unsigned n = pg_config.stack;

	if (pg_config.json && n < PG_SITE_FRAMES)
		n = PG_SITE_FRAMES;
	n = pg_stack_walk(&s->cursor, e->frame, n, op->uc);
	if (!n && op->caller) {
		e->frame[n++] = op->caller;
		s->cursor.proved = 1;
	}
	if (pg_config.json || e->ev == PG_EV_CALL)
		e->hash = pg_stack_site(&s->naming.module, e->frame, s->cursor.proved);
	e->frames = n < pg_config.stack ? n : pg_config.stack;
}

static void add_disposition(struct pg_event *e)
{
	int pid = e->pid;

	if (e->signal != PG_SIG_FATAL)
		e->changed = pg_sigpipe_last_change(e->signal, &e->change);
	if (inherited_ignored &&
	    (logged_pid != pid || (e->signal == PG_SIG_IGNORED && !e->changed))) {
		e->inherited = true;
		logged_pid = pid;
	}
}

/* A datagram that names whom it goes to, or a connection that never was: the address the program
 * gave. */
static void add_target(struct pg_event *e, const struct pg_op *op)
{
	struct pg_object *o = &e->object;
	struct sockaddr_storage ss;

	if (!op->to || o->peer.family || o->peer_path[0] || op->to_len > sizeof ss ||
	    (o->stream && pg_is_out(op->call) && !(op->flags & MSG_FASTOPEN)) ||
	    !pg_peek(&ss, op->to, op->to_len))
		return;
	pg_look_address(o, (const struct sockaddr *)&ss, op->to_len);
}

bool pg_waits_pending(void)
{
	uint64_t set = 0;

	pg_sys2(SYS_rt_sigpending, &set, PG_SIGSET_BYTES);
	return set >> (SIGPIPE - 1) & 1;
}

/* What became of the signal of a write that its wrapper logs: if it had been deadly, the handler
 * would have logged it. */
static enum pg_signal signal_of(const struct pg_op *op, const struct pg_object *o, uint64_t mask)
{
	enum pg_signal outcome;

	if (!pg_plan_raises(op->call, op->flags, o))
		return PG_SIG_NONE;
	outcome = pg_sigpipe_outcome_under(mask);
	if (outcome == PG_SIG_BLOCKED) {
		/* af_unix.c: a send that had waited for room breaks without one. */
		if (!pg_confined && !pg_waits_pending())
			return PG_SIG_NONE;
		pg_owed = PG_MARK(op->call, op->fd, 0);
	}
	return outcome == PG_SIG_FATAL ? PG_SIG_NONE : outcome;
}

/* Nobody let go of what a rule broke. */
static void add_ended(struct pg_event *e)
{
	if (pg_event_rule(e) < 0)
		e->has_ended = pg_leaving_find(e->op->fd, &e->object, &e->ended);
}

/* The first frame alone, for where an event is only counted. False: it is not told without the
 * others. */
static bool add_first(struct pg_room *s, const struct pg_op *op)
{
	struct pg_event *e = &s->event;

	e->frames = pg_stack_walk(&s->cursor, e->frame, 1, op->uc);
	return e->frames && pg_module_at(e->frame[0], &s->naming.module);
}

static void put(struct pg_room *s)
{
	if (pg_event_write(s))
		pg_witness_logged(&s->event);
}

/* Is it known enough of what is like E? Then of a new place, FIRST, what is counted is noted. */
static bool is_idle(struct pg_room *s, struct pg_place *first, const struct pg_op *op)
{
	struct pg_event *e = &s->event;

	if (!pg_witness_is_idle(e))
		return false;
	if (!first)
		return true;
	if (!e->frames && !pg_stack_begins_at(&s->naming.module, op->caller))
		add_stack(s, op);
	pg_site_describe(first, e, op->caller);
	return true;
}

/* E, which is counted, is logged. WALKED: its stack is known. */
static void write_counted(struct pg_room *s, const struct pg_op *op, const struct pg_stat *st,
			  bool walked, struct pg_place *first)
{
	struct pg_event *e = &s->event;
	bool call = e->ev == PG_EV_CALL, asks = e->signal == PG_SIG_ASK;

	if (!asks && is_idle(s, first, op))
		return;
	pg_look_at(op->fd, st, &e->object, PG_LOOK_ALL, true);
	add_target(e, op);
	if (asks)
		e->signal = signal_of(op, &e->object, s->mask);
	if (asks && is_idle(s, first, op))
		return;
	if (call) {
		e->nonblock = (pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0) & O_NONBLOCK) != 0;
		e->own = e->object.kind == PG_PIPE && pg_look_reads(st);
	}
	if (!walked)
		add_stack(s, op);
	if (first)
		pg_site_describe(first, e, op->caller);
	if (e->ev == PG_EV_EPIPE)
		add_disposition(e);
	if (e->ev == PG_EV_EPIPE || e->ev == PG_EV_RESET)
		add_ended(e);
	put(s);
	pg_modules_log(s);
}

/*
 * An event that is only counted costs little: it is looked at closely once it
 * is known that it will be logged. A handler knows the place from the stack
 * alone; stdio's places are all one.
 */
static void write_event(struct pg_room *s, const struct pg_op *op)
{
	struct pg_event *e = &s->event;
	struct pg_place *first;
	struct pg_stat st = pg_look_stat(op->fd);
	bool call = e->ev == PG_EV_CALL; /* each of its sites is logged */
	bool asks = call || (!op->caller && op->via != PG_VIA_STDIO), walked;
	uintptr_t place = op->via == PG_VIA_STDIO ? 0 : op->caller;

	e->pid = pg_pid();
	e->object.ino = st.ino;
	e->object.dev = st.dev;
	walked = asks && !(pg_witness_has_enough(e) && add_first(s, op));
	if (walked)
		add_stack(s, op);
	if (asks)
		place = call ? (uintptr_t)e->hash : e->frames ? e->frame[0] : 0;
	if (op->inlined)
		pg_fd_passed_by(op->fd);
	if (pg_site_count(e, place, &first))
		write_counted(s, op, &st, walked, first);
}

static void fill(struct pg_event *e, enum pg_ev ev, const struct pg_op *op, enum pg_signal signal)
{
	__builtin_memset(e, 0, sizeof *e);
	e->ev = ev;
	e->op = op;
	e->signal = signal;
}

/* Fills in what is not known of OP, and logs it. */
void pg_report(enum pg_ev ev, const struct pg_op *op, enum pg_signal signal)
{
	struct pg_room *s;

	if (ev == PG_EV_CALL && (pg_endings_await() || pg_witness_is_over(op->fd)))
		return;
	s = pg_room_take();
	if (!s)
		return;
	fill(&s->event, ev, op, signal);
	if (!pg_confined)
		write_event(s, op);
	else if (ev == PG_EV_EPIPE)
		pg_event_write_confined(s);
	pg_room_give(s);
}

void pg_report_killed(int sender, bool by_itself, uint64_t owed)
{
	struct pg_op op = {.call = PG_NO_CALL, .fd = (int)(uint32_t)owed};
	struct pg_room *s;

	if (owed)
		op.call = (enum pg_call)(owed >> 32 & 0x3fff);
	if (pg_config.verbose < 1 || pg_confined || !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_KILLED;
	s->event.pid = pg_pid();
	s->event.op = &op;
	s->event.killed.sender = sender;
	s->event.killed.by_itself = by_itself;
	pg_event_write(s);
	pg_room_give(s);
}

void pg_report_change(const struct pg_change *change)
{
	struct pg_room *s;
	int saved = errno;

	if (pg_confined || !(s = pg_room_take()))
		return;
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_DISPOSITION;
	s->event.pid = pg_pid();
	s->event.change = *change;
	s->event.frames = pg_stack_walk(&s->cursor, s->event.frame, pg_config.stack, NULL);
	pg_event_write(s);
	pg_modules_log(s);
	pg_room_give(s);
	errno = saved;
}

void pg_report_inject(const struct pg_op *op, const struct pg_plan *plan)
{
	struct pg_room *s;
	struct pg_place *first;
	struct pg_event *e;
	bool logged;

	if (pg_confined || !(s = pg_room_take()))
		return;
	e = &s->event;
	fill(e, PG_EV_INJECT, op, PG_SIG_NONE);
	e->plan = plan;
	e->pid = pg_pid();
	e->object = *op->object;
	if (plan->held == PG_HELD)
		e->has_ended = pg_leaving_find(e->op->fd, &e->object, &e->ended);
	logged = pg_site_count(e, op->caller, &first);
	if (logged) {
		add_target(e, op);
		add_stack(s, op);
		put(s);
	}
	if (first)
		pg_site_describe(first, e, op->caller);
	if (logged)
		pg_modules_log(s);
	pg_room_give(s);
}

void pg_report_load(const char *gates, enum pg_state state)
{
	struct pg_room *s = pg_room_take();

	if (!s)
		return;
	s->event.ev = PG_EV_LOAD;
	s->event.pid = pg_pid();
	s->event.load.gates = gates;
	s->event.load.ppid = (int)pg_sys0(SYS_getppid);
	s->event.load.sigpipe = state;
	s->event.inherited = inherited_ignored;
	pg_event_write(s);
	pg_room_give(s);
}
