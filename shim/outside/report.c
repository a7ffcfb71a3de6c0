/* SPDX-License-Identifier: MIT */
#include "outside/report.h"

#include "outside/expected.h"
#include "outside/frames.h"
#include "outside/memory.h"
#include "outside/owed.h"
#include "outside/source.h"
#include "outside/stories.h"
#include "outside/thing.h"

#include "log/line.h"
#include "log/log.h"
#include "log/modules.h"
#include "log/site.h"

#include "object/leaving.h"
#include "who/symbol.h"

#include "rules/live.h"
#include "rules/turn.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

uint64_t pg_reported;

static struct pg_room room = {.mask = ~(uint64_t)0};

struct pg_event *pg_report_room(enum pg_ev ev, struct pg_tracee *t)
{
	struct pg_event *e = &room.event;

	memset(e, 0, sizeof *e);
	e->ev = ev;
	e->outside = true;
	e->pid = t->pid;
	e->object.rule = -1;
	return e;
}

static bool is_sourced(const struct pg_event *e)
{
	char text[128];
	bool any = false;

	pg_source_try(e->frame, e->frames);
	for (unsigned i = 0; i < e->frames && !any; i++)
		any = pg_source_at(e->frame[i], &(struct pg_text){text, 0, sizeof text});
	return any;
}

void pg_report_event(struct pg_tracee *t, int tid, struct pg_event *e)
{
	e->tid = tid;
	if (!e->comm[0])
		pg_tracee_comm(tid, e->comm);
	pg_tracee_now = t;
	pg_log_of(t->pid);
	e->sourced = is_sourced(e);
	pg_event_write(&room);
}

void pg_report_modules(struct pg_tracee *t)
{
	pg_tracee_now = t;
	pg_modules_log(&room);
}

void pg_report_stack(struct pg_event *e)
{
	unsigned n = pg_config.stack;

	if (pg_config.json && n < PG_SITE_FRAMES)
		n = PG_SITE_FRAMES;
	n = pg_stack_walk(&room.cursor, e->frame, n, NULL);
	e->hash = pg_stack_site(&room.naming.module, e->frame, room.cursor.proved);
	e->frames = n < pg_config.stack ? n : pg_config.stack;
}

/* ---- a signal ---- */

/* The last of the numbers of PID, that in its own namespace, as signals name it. */
static int own_number(int tid)
{
	char text[256], *last;

	if (!pg_tracee_status(tid, "NStgid:", text, sizeof text))
		return -1;
	last = strrchr(text, '\t');
	return atoi(last ? last : text);
}

/* Which write ended so; PG_NO_CALL: none. A pipe's may return a count, too. */
static enum pg_call call_of(const struct pg_registers *r)
{
	enum pg_call call = r->number < 0 ? PG_NO_CALL : pg_call_made_raw(r->number, r->arg);

	return pg_is_out(call) && (r->result == -EPIPE || r->result > 0) ? call : PG_NO_CALL;
}

static struct pg_event *event_of(struct pg_tracee *t, const struct pg_registers *r,
				 enum pg_call call, enum pg_via via)
{
	const struct pg_layout *l = pg_call_raw_layout(call);
	struct pg_event *e = pg_report_room(PG_EV_EPIPE, t);
	static struct pg_op op;

	op = (struct pg_op){
		.via = via,
		.call = call,
		.inlined = true,
		.fd = r->arguments || l->fd > 0 ? (int)r->arg[l->fd] : -1,
		.bytes = pg_thing_length(pg_tracee_by(t), call, r->arg, r->narrow_call),
		.ret = r->result < 0 ? -1 : r->result,
		.err = r->result < 0 ? (int)-r->result : 0,
	};
	e->op = &op;
	return e;
}

/* Is one more signal to be taken away on this object? A program that ignores errors must end. */
static bool spares(struct pg_tracee *t, const struct pg_object *o)
{
	unsigned at = (unsigned)(o->ino % PG_SPARED);

	if (pg_config.suppress == PG_KEEP ||
	    (pg_config.suppress == PG_SUPPRESS_SOCKETS && !pg_kind_is_socket(o->kind)))
		return false;
	if (t->spared[at].ino != o->ino) {
		t->spared[at].ino = o->ino;
		t->spared[at].count = 0;
	}
	return t->spared[at].count++ < pg_config.limit;
}

static void add_inherited(struct pg_tracee *t, struct pg_event *e)
{
	e->inherited = t->ignored && e->signal == PG_SIG_IGNORED;
	t->inherited_logged |= e->inherited;
}

/* What rules did to it, and saw of it before. */
static void add_story(struct pg_object *o)
{
	const struct pg_story *s = pg_stories_of(o, false);

	if (!s)
		return;
	if (s->injected) {
		o->rule = s->rule;
		o->local = s->local.family ? s->local : o->local;
	}
	if (!o->peer.family)
		o->peer = s->peer;
	if (o->side == PG_NO_SIDE)
		o->side = (enum pg_side)s->side;
	o->number = s->number;
}

/* What E is about. Returns a copy of its descriptor, or a negative number. */
static int add_object(struct pg_tracee *t, int tid, struct pg_event *e, int rule)
{
	int copy = pg_thing_look(t, tid, e->op->fd, &e->object);

	add_story(&e->object);
	if (rule >= 0)
		e->object.rule = rule;
	if (copy >= 0 && e->object.rule < 0)
		e->has_ended = pg_leaving_find(copy, &e->object, &e->ended);
	return copy;
}

/* E is counted, and logged if its place has not been logged too often. */
static void report_counted(struct pg_tracee *t, int tid, struct pg_event *e)
{
	struct pg_place *first;
	bool counted;

	pg_report_stack(e);
	pg_reported++;
	t->logged = true;
	counted = pg_site_count(e, (uintptr_t)e->hash, &first);
	if (counted)
		pg_report_event(t, tid, e);
	if (first)
		pg_site_describe(first, e, 0);
	if (counted)
		pg_report_modules(t);
}

static int report_write(struct pg_tracee *t, int tid, const struct pg_registers *r,
			enum pg_call call, int rule)
{
	struct pg_event *e;
	bool taken;
	int copy;

	pg_report_closed(t);
	e = event_of(t, r, call, PG_VIA_SIGNAL);
	copy = add_object(t, tid, e, rule);
	e->signal = pg_tracee_sigpipe(tid);
	if (e->signal == PG_SIG_FATAL && (pg_takes_away(tid) || spares(t, &e->object)))
		e->signal = PG_SIG_SUPPRESSED;
	taken = e->signal == PG_SIG_SUPPRESSED;
	pg_frames_climb(t, tid, r);
	add_inherited(t, e);
	report_counted(t, tid, e);
	if (copy >= 0)
		close(copy);
	return taken ? 0 : SIGPIPE;
}

void pg_report_silent(struct pg_tracee *t, int tid, const struct pg_registers *r,
		      enum pg_signal signal)
{
	struct pg_event *e;
	int copy;

	pg_tracee_now = t;
	pg_tracee_name(t);
	pg_memory_map(t);
	if (t->left_out || t->guarded)
		return;
	pg_report_held(t);
	pg_report_closed(t);
	e = event_of(t, r, call_of(r), PG_VIA_CALL);
	copy = add_object(t, tid, e, -1);
	e->signal = signal;
	pg_frames_climb(t, tid, r);
	report_counted(t, tid, e);
	if (copy >= 0)
		close(copy);
}

static void report_killed(struct pg_tracee *t, int tid, const siginfo_t *si, int own)
{
	static const struct pg_op none = {.call = PG_NO_CALL};
	struct pg_event *e;

	if (pg_config.verbose < 1 || pg_tracee_sigpipe(tid) != PG_SIG_FATAL)
		return;
	e = pg_report_room(PG_EV_KILLED, t);
	e->op = &none;
	e->killed.sender = si->si_pid;
	e->killed.by_itself = si->si_pid == own && si->si_code == SI_TKILL;
	pg_report_event(t, tid, e);
}

int pg_report_sigpipe(struct pg_tracee *t, int tid)
{
	struct pg_registers r;
	enum pg_call call;
	siginfo_t si;
	int own, rule = -1;
	bool owed;

	pg_tracee_now = t;
	pg_tracee_name(t);
	pg_memory_map(t);
	if (t->left_out || t->guarded || ptrace(PTRACE_GETSIGINFO, tid, 0, &si) ||
	    !pg_registers_read_call(tid, &r))
		return SIGPIPE;
	pg_report_held(t);
	own = own_number(tid);
	owed = pg_owes(tid, &rule);
	if (owed) { /* as the kernel has it */
		si.si_code = SI_USER;
		si.si_pid = own;
		ptrace(PTRACE_SETSIGINFO, tid, 0, &si);
	}
	call = owed || (si.si_code == SI_USER && si.si_pid == own) ? call_of(&r) : PG_NO_CALL;
	if (call)
		return report_write(t, tid, &r, call, owed ? rule : -1);
	report_killed(t, tid, &si, own);
	return SIGPIPE;
}

/* ---- programs ---- */

static int parent_of(int pid)
{
	char text[64];

	return pg_tracee_status(pid, "PPid:", text, sizeof text) ? atoi(text) : -1;
}

static void report_load(struct pg_tracee *t)
{
	struct pg_event *e = pg_report_room(PG_EV_LOAD, t);

	e->load.gates = "signal";
	e->load.ppid = parent_of(t->pid);
	e->inherited = t->ignored;
	e->load.sigpipe = t->ignored ? PG_STATE_IGNORED : PG_STATE_DEFAULT;
	pg_report_event(t, t->pid, e);
}

void pg_report_started(struct pg_tracee *t)
{
	pg_tracee_now = t;
	pg_tracee_name(t);
	if (pg_config.verbose < 1 || t->left_out)
		return;
	t->held = pg_library_expected(pg_tracee_by(t));
	if (!t->held)
		report_load(t);
}

void pg_report_held(struct pg_tracee *t)
{
	if (!t->held || t->guarded)
		return;
	t->held = false;
	pg_tracee_now = t;
	report_load(t);
}

static void report_barrier(struct pg_tracee *t, enum pg_barrier barrier, bool reachable)
{
	struct pg_event *e = pg_report_room(PG_EV_UNREACHED, t);

	e->unreached.child = t->pid;
	e->unreached.barrier = barrier;
	e->unreached.reachable = reachable;
	pg_report_event(t, t->pid, e);
}

void pg_report_closed(struct pg_tracee *t)
{
	pg_tracee_now = t;
	pg_tracee_name(t);
	if (t->left_out || t->closed_logged || !pg_tracee_is_closed(pg_tracee_by(t)))
		return;
	t->closed_logged = true;
	report_barrier(t, PG_BARRIER_UNDUMPABLE, true);
}

void pg_report_listener(struct pg_tracee *t)
{
	pg_tracee_now = t;
	pg_tracee_name(t);
	if (t->left_out || t->listener_logged)
		return;
	t->listener_logged = true;
	report_barrier(t, PG_BARRIER_LISTENER, true);
}

static bool is_told(const char *program)
{
	enum { PROGRAMS = 16 };
	static uint64_t told[PROGRAMS];
	static unsigned next;
	uint64_t name = 1;

	for (const char *c = program; *c; c++)
		name = pg_mix(name, (uint8_t)*c);
	for (unsigned i = 0; i < PROGRAMS; i++)
		if (told[i] == name)
			return true;
	told[next++ % PROGRAMS] = name;
	return false;
}

void pg_report_tracer(struct pg_tracee *t, bool entered)
{
	pg_tracee_now = t;
	pg_tracee_name(t);
	if (!t->left_out && !is_told(t->program))
		report_barrier(t, PG_BARRIER_TRACER, entered);
}

/* Rules of a tree that fired nowhere, where its first process ends and no counts are logged. */
static uint64_t idle_rules(const struct pg_tracee *t)
{
	unsigned n = pg_page() ? 0 : pg_first_rules.n;

	if (!n || pg_config.verbose || pg_config.log_kind == PG_LOG_OFF || !pg_endings_stand())
		return 0;
	return pg_endings_idle(~(uint64_t)0 >> (64 - n), t->pid);
}

static bool has_last_word(const struct pg_tracee *t)
{
	struct pg_log_missing missing = pg_log_missing();

	if (t->left_out || t->guarded || t->held)
		return false;
	if (pg_config.verbose >= 1 || missing.dropped || missing.limited)
		return t->logged || t->born || t->counts;
	return (t->logged && pg_site_held_back(t->pid)) || idle_rules(t);
}

static void report_last(struct pg_tracee *t)
{
	struct pg_rule_set *before;
	struct pg_event *e = pg_report_room(PG_EV_EXIT, t);

	pg_site_collect(e);
	e->exit.idle = idle_rules(t);
	before = pg_live_enter();
	if (t->counts)
		pg_counts_take(t->counts);
	for (unsigned i = 0; i < pg_rules.n && t->counts; i++)
		e->exit.counts[i] = pg_turn_fired(i);
	pg_report_event(t, t->pid, e);
	pg_live_leave(before);
}

void pg_report_ended(struct pg_tracee *t)
{
	pg_tracee_now = t;
	pg_tracee_name(t);
	if (has_last_word(t))
		report_last(t);
	pg_endings_close(t->pid);
}
