/* SPDX-License-Identifier: MIT */
#include "log/event_text.h"

#include "base/clock.h"
#include "base/names.h"
#include "log/again.h"
#include "log/facts.h"
#include "log/log.h"
#include "rules/config.h"

#define INDENT "\n        "

static const char *const signal_words[] = {
	[PG_SIG_NONE] = "no signal",	      [PG_SIG_FATAL] = "SIGPIPE kills",
	[PG_SIG_CAUGHT] = "SIGPIPE caught",   [PG_SIG_IGNORED] = "SIGPIPE ignored",
	[PG_SIG_BLOCKED] = "SIGPIPE blocked", [PG_SIG_SUPPRESSED] = "SIGPIPE suppressed",
};

/* A name in which none of MARKS stands: they would end it. */
static void text_name(struct pg_text *t, const char *name, size_t max, const char *marks)
{
	for (size_t i = 0; i < max && name[i]; i++) {
		const char *mark = marks;

		while (*mark && *mark != name[i])
			mark++;
		if (!*mark)
			pg_put_name(t, name + i, 1);
		else
			pg_put_byte(t, (unsigned char)*mark);
	}
}

/* ---- a terminal ---- */

enum paint { PLAIN, FAINT = 2, RED = 31, GREEN = 32, YELLOW = 33, CYAN = 36 };

/* From here on, where a terminal reads it. */
static void paint(struct pg_text *t, const struct pg_event *e, enum paint how)
{
	if (!e->columns || pg_config.plain)
		return;
	pg_put(t, "\033[");
	pg_put_u64(t, how);
	pg_put_char(t, 'm');
}

static enum paint paint_of(const struct pg_event *e)
{
	switch (e->ev) {
	case PG_EV_EPIPE:
		return e->signal == PG_SIG_FATAL ? RED : YELLOW;
	case PG_EV_KILLED:
		return RED;
	case PG_EV_INJECT:
		return CYAN;
	case PG_EV_RESET:
	case PG_EV_REFUSED:
	case PG_EV_DOOMED:
		return YELLOW;
	default:
		return PLAIN;
	}
}

/* ---- words ---- */

/* "once", "twice", "3 times". */
static void text_times(struct pg_text *t, uint64_t n)
{
	if (n > 2)
		pg_put_u64(t, n);
	pg_put(t, n > 2 ? " times" : n == 2 ? "twice" : n ? "once" : "0 times");
}

/* N of WHAT, which has an "s" unless it is one. */
static void text_count(struct pg_text *t, uint64_t n, const char *what)
{
	pg_put_u64(t, n);
	pg_put(t, what);
	pg_put(t, n == 1 ? "" : "s");
}

static void text_path(struct pg_text *t, const char *path)
{
	text_name(t, path, PG_NAME_SHOWN, " ,");
}

static void text_addr(struct pg_text *t, const struct pg_addr *a, const char *path)
{
	if (a->family)
		pg_put_addr(t, a);
	else if (path[0])
		text_path(t, path);
	else
		pg_put_char(t, '?');
}

/* A TCP socket that nothing was sent on, and of whose beginning nothing is known. */
static bool never_connected(const struct pg_object *o)
{
	return o->kind == PG_TCP && !o->since && !o->sent;
}

static void text_ends(struct pg_text *t, const struct pg_object *o)
{
	static const char *const arrows[] = {
		[PG_NO_SIDE] = " <> ", [PG_CLIENT] = " -> ", [PG_SERVER] = " <- "};
	bool local = pg_has_local(o) || o->local_path[0];

	if (o->side == PG_NO_SIDE && !o->peer.family && never_connected(o)) {
		pg_put(t, ", never connected");
		return;
	}
	if (local || o->side == PG_NO_SIDE) {
		pg_put_char(t, ' ');
		text_addr(t, &o->local, o->local_path);
	}
	pg_put(t, arrows[o->side]);
	text_addr(t, &o->peer, o->peer_path);
}

/* Of a call that is about a connection itself, nothing was sent yet; who reads may send nothing. */
static bool prints_sent(const struct pg_event *e)
{
	enum pg_role role = pg_call_role(e->op->call);

	if (role == PG_ROLE_CONNECT || role == PG_ROLE_ACCEPT || e->object.sent < 0)
		return false;
	return e->object.sent || (role != PG_ROLE_IN && !never_connected(&e->object));
}

static void text_age(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	if (o->since) {
		pg_put(t, o->side == PG_SERVER ? ", accepted " : ", connected ");
		pg_put_duration(t, pg_event_since(e, o->since));
		pg_put(t, " ago");
	}
	if (prints_sent(e)) {
		pg_put(t, ", ");
		pg_put_i64(t, o->sent);
		pg_put(t, " bytes sent");
	}
	if (o->idle_ms >= 1000) {
		pg_put(t, ", idle for ");
		pg_put_duration(t, (uint64_t)o->idle_ms * 1000000);
	}
	if (o->unread > 0) {
		pg_put(t, ", ");
		pg_put_i64(t, o->unread);
		pg_put(t, " bytes wait unread");
	}
}

static void text_object(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;
	const char *kind = pg_kind_name(o->kind);

	pg_put(t, "  ");
	if (e->confined) {
		pg_put(t, "of a program that confined itself");
		return;
	}
	pg_put(t, o->ino && kind ? kind : "unknown object");
	if (o->kind == PG_PIPE && o->local_path[0]) {
		pg_put_char(t, ' ');
		text_path(t, o->local_path);
	} else if (o->kind >= PG_TCP && o->kind <= PG_UNIX) {
		text_ends(t, o);
	}
	if (o->peer_pid) {
		pg_put(t, " (pid ");
		pg_put_i64(t, o->peer_pid);
		pg_put_char(t, ')');
	}
	text_age(t, e);
}

static void text_name_of_call(struct pg_text *t, const struct pg_event *e)
{
	const char *name = pg_event_call(e);

	pg_put(t, name ? name : "a write");
}

/* "write(4": a null pointer, or a negative number, is not known. */
static void text_what(struct pg_text *t, const char *call, int fd)
{
	pg_put(t, call ? call : "a write");
	pg_put_char(t, '(');
	if (fd >= 0)
		pg_put_i64(t, fd);
	else
		pg_put_char(t, '?');
}

static void text_call(struct pg_text *t, const struct pg_event *e)
{
	const char *err = e->op->err ? pg_errno_name(e->op->err) : NULL;

	text_what(t, pg_event_call(e), e->op->fd);
	if (e->op->bytes >= 0) {
		pg_put(t, ", ");
		pg_put_i64(t, e->op->bytes);
	}
	pg_put(t, ") = ");
	if (err)
		pg_put(t, err);
	else
		pg_put_i64(t, e->op->ret);
}

static void text_history(struct pg_text *t, const struct pg_event *e)
{
	unsigned order[PG_WHATS], n = pg_by_age(e->object.warned, order);

	for (unsigned i = 0; i < n; i++) {
		const struct pg_warning *w = &e->object.warned[order[i]];
		const char *err = pg_errno_name(w->err);

		pg_put(t, INDENT);
		pg_put(t, pg_call_name((enum pg_call)w->call));
		if (order[i] == PG_SHUTDOWN)
			pg_put(t, "() closed this side ");
		else
			pg_put(t, "() returned "), pg_put(t, err ? err : "EOF"),
				pg_put_char(t, ' ');
		pg_put_duration(t, pg_event_since(e, w->at));
		pg_put(t, " before, in ");
		pg_stack_put_code(t, e->naming, &w->caller);
		if (pg_sent_since(e, w) <= 0) {
			pg_put(t, i + 1 == n && e->ev == PG_EV_EPIPE ? ", and the program wrote on"
								     : "");
			continue;
		}
		pg_put(t, ", ");
		pg_put_i64(t, pg_sent_since(e, w));
		pg_put(t, " bytes sent since");
	}
}

/* Frames that fit; the rest is left out rather than cut. */
static void text_frames(struct pg_text *t, const struct pg_event *e, unsigned n,
			const char *between)
{
	for (unsigned i = 0; i < n; i++) {
		size_t before = t->len;

		pg_put(t, i ? between : INDENT "at ");
		pg_stack_put_place(t, e->naming, e->frame[i]);
		if (t->len == t->cap) {
			t->len = before;
			return;
		}
	}
}

/* One a line on a terminal that is too narrow for all of them in one. */
static void text_stack(struct pg_text *t, const struct pg_event *e)
{
	unsigned n =
		pg_stack_above_start(e->naming, e->frame, e->frames, e->frames < pg_config.stack);
	size_t before = t->len;

	text_frames(t, e, n, " < ");
	if (!e->columns || t->len - before - 1 <= e->columns)
		return;
	t->len = before;
	text_frames(t, e, n, INDENT "< ");
}

static void text_sources(struct pg_text *t, const struct pg_event *e)
{
	size_t before = t->len;

	if (!e->sourced)
		return;
	pg_put(t, INDENT "source: ");
	pg_put_sources(t, e);
	if (t->len == t->cap)
		t->len = before;
}

/* Once for each process, and again after a change: all events of an interpreter's have the same. */
static bool was_logged(const struct pg_event *e)
{
	static int pid;
	static pg_shared64 at;
	uint64_t now = e->changed ? e->change.at : 0;
	bool logged = PG_GET(pid) == e->pid && PG_GET(at) == now;

	PG_PUT(pid, e->pid);
	PG_PUT(at, now);
	return logged;
}

/* "with 158 bytes unread", and where. */
static void text_ended_how(struct pg_text *t, const struct pg_ending *w)
{
	if (w->unread > 0) {
		pg_put(t, " with ");
		pg_put_i64(t, w->unread);
		pg_put(t, " bytes unread");
	}
	if (!w->module[0] || w->how == PG_HOW_EXIT)
		return;
	pg_put(t, ", in ");
	if (w->symbol[0]) {
		pg_put_name(t, w->symbol, sizeof w->symbol);
		pg_put_char(t, '+');
		pg_put_hex(t, w->symbol_offset);
		pg_put(t, " (");
	}
	pg_put_name(t, w->module, sizeof w->module);
	pg_put_char(t, '+');
	pg_put_hex(t, w->offset);
	pg_put(t, w->symbol[0] ? ")" : "");
}

static void text_signal(struct pg_text *t, int sig)
{
	if (pg_signal_name(sig))
		pg_put(t, pg_signal_name(sig));
	else
		pg_put(t, "signal "), pg_put_i64(t, sig);
}

/* A name that begins the line could pass for another kind of line ("again: ", "at "). */
static void text_leaver(struct pg_text *t, const struct pg_ending *w, bool begins)
{
	text_name(t, w->comm, sizeof w->comm, begins ? "[ :" : "[");
	pg_put_char(t, '[');
	pg_put_i64(t, w->pid);
	pg_put_char(t, ']');
}

static void text_verb(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_ending *w = &e->ended;

	if (w->pid == e->pid && (w->how == PG_HOW_CLOSE || w->how == PG_HOW_SHUTDOWN)) {
		pg_put(t, "this process, closed by ");
		pg_put(t, pg_ending_call(w) ? pg_ending_call(w) : "close");
		pg_put(t, "()");
		return;
	}
	text_leaver(t, w, e->object.kind != PG_PIPE && w->pid != e->pid);
	if (w->how == PG_HOW_EXIT && w->status < 0)
		pg_put(t, " exited");
	else if (w->how == PG_HOW_EXIT)
		pg_put(t, " exited with status "), pg_put_i64(t, w->status);
	else if (w->how == PG_HOW_KILLED)
		pg_put(t, " was killed by "), text_signal(t, w->status);
	else if (w->how == PG_HOW_GONE)
		pg_put(t, " has gone without a word");
	else
		pg_put(t, w->how == PG_HOW_SHUTDOWN ? " shut it down" : " closed it");
}

/* Who let go of the other end. */
static void text_ended(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_ending *w = &e->ended;
	bool pipe = e->object.kind == PG_PIPE, own = w->pid == e->pid;

	if (!e->has_ended || (w->how == PG_HOW_NONE && !pipe))
		return;
	pg_put(t, INDENT);
	if (w->how == PG_HOW_NONE) {
		pg_put(t, "reader: gone; who let go last is not known");
		return;
	}
	pg_put(t, pipe ? "reader" : own ? "other end" : "");
	pg_put(t, own ? ": " : pipe ? " " : "");
	text_verb(t, e);
	text_ended_how(t, w);
	if (!w->at)
		return;
	pg_put(t, ", ");
	pg_put_duration(t, pg_event_since(e, w->at));
	pg_put(t, " before");
}

static void text_disposition(struct pg_text *t, const struct pg_event *e)
{
	if (!(e->inherited || e->changed) || was_logged(e))
		return;
	if (e->inherited)
		pg_put(t, INDENT "SIGPIPE was already ignored when this program started");
	if (!e->changed)
		return;
	pg_put(t, INDENT "SIGPIPE was set to ");
	pg_put(t, pg_state_name(e->change.to));
	pg_put_char(t, ' ');
	pg_put_duration(t, pg_event_since(e, e->change.at));
	pg_put(t, " before, by ");
	pg_stack_put_code(t, e->naming, &e->change.by);
}

static void text_again(struct pg_text *t, const struct pg_event *e)
{
	size_t before = t->len;

	if (!pg_has_again(e))
		return;
	pg_put(t, INDENT "again: ");
	paint(t, e, GREEN);
	pg_put_again(t, e);
	paint(t, e, PLAIN);
	if (t->len == t->cap)
		t->len = before;
}

static const char *rule_word(int serial)
{
	const char *id = pg_rule_id(serial);

	return id ? id : "a rule that has gone";
}

/* A descriptor is let go of. */
static void text_closed(struct pg_text *t, const struct pg_event *e)
{
	if (e->op->call == PG_CALL__exit)
		pg_put(t, "ends with ");
	else
		text_name_of_call(t, e), pg_put_char(t, '(');
	pg_put_i64(t, e->op->fd);
	pg_put(t, e->op->call == PG_CALL__exit ? " open" : ")");
	pg_put(t, e->ev == PG_EV_DOOMED ? " with unread bytes: " : ": ");
	pg_put(t, e->op->perhaps ? "unless a child has it, too, " : "");
	pg_put(t, e->ev == PG_EV_DOOMED ? "the kernel resets the peer" : "the peer is still there");
}

static void text_write(struct pg_text *t, const struct pg_event *e)
{
	if (e->ev == PG_EV_DOOMED || e->ev == PG_EV_CLOSED)
		text_closed(t, e);
	else
		text_call(t, e);
	if (e->ev == PG_EV_EPIPE) {
		pg_put(t, e->op->err ? "" : ", then the reader left");
		if (pg_knows_signal(e))
			pg_put(t, ", "), pg_put(t, signal_words[e->signal]);
	}
	paint(t, e, PLAIN);
	text_object(t, e);
	if (e->repeated > 1) {
		pg_put(t, ", repeated ");
		text_times(t, e->repeated);
	}
	if (e->ev == PG_EV_EPIPE && pg_event_rule(e) >= 0) {
		pg_put(t, " (INJECTED by ");
		pg_put(t, rule_word(pg_event_rule(e)));
		pg_put_char(t, ')');
	}
	text_history(t, e);
	text_ended(t, e);
	text_disposition(t, e);
	text_stack(t, e);
	text_sources(t, e);
	text_again(t, e);
}

static void text_inject(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "rule ");
	pg_put(t, rule_word(pg_event_rule(e)));
	pg_put(t, ": ");
	pg_put_actions(t, e);
	pg_put(t, " on ");
	pg_put(t, e->op->via == PG_VIA_STDIO ? "stdio's " : "");
	text_name_of_call(t, e);
	pg_put_char(t, '(');
	pg_put_i64(t, e->op->fd);
	if (e->op->bytes >= 0)
		pg_put(t, ", "), pg_put_i64(t, e->op->bytes);
	pg_put_char(t, ')');
	if (e->plan->failed) {
		pg_put(t, ", which could not be made: ");
		pg_put(t, pg_errno_name(e->plan->failed) ? pg_errno_name(e->plan->failed)
							 : "an error");
	}
	if (pg_event_outcome(e))
		pg_put(t, ", "), pg_put(t, pg_event_outcome(e));
	if (e->plan->seeded)
		pg_put(t, ", seed "), pg_put_u64(t, pg_config.seed);
	paint(t, e, PLAIN);
	text_object(t, e);
	text_ended(t, e);
	text_stack(t, e);
	text_sources(t, e);
}

static void text_idle(struct pg_text *t, uint64_t rules)
{
	pg_put(t, "; never fired in any process:");
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (rules >> i & 1)
			pg_put_char(t, ' '), pg_put(t, pg_rules.rule[i].id);
}

/* How often rule I fired. */
static void text_rule(struct pg_text *t, const struct pg_event *e, unsigned i)
{
	pg_put(t, INDENT "rule ");
	pg_put(t, pg_rules.rule[i].id);
	if (e->exit.counts[i]) {
		pg_put(t, " fired ");
		text_times(t, e->exit.counts[i]);
		return;
	}
	pg_put(t, " never fired");
	if (e->exit.passed >> i & 1)
		pg_put(t, ": what wrote there was stdio (%stdio, or %out for both)");
}

static void text_exit(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "exit: ");
	text_count(t, e->exit.events, " broken write");
	if (e->exit.early) {
		pg_put(t, ", ");
		pg_put_u64(t, e->exit.early);
		pg_put(t, " before start-up");
	}
	if (e->exit.idle)
		text_idle(t, e->exit.idle);
	for (unsigned i = 0; i < pg_rules.n && !e->exit.idle; i++)
		text_rule(t, e, i);
	if (e->exit.uncounted) {
		pg_put(t, INDENT);
		text_count(t, e->exit.uncounted, " call");
		pg_put(t, " not counted for rules: there was no room");
	}
	for (unsigned i = 0; i < e->exit.sites; i++) {
		pg_put(t, INDENT);
		text_times(t, e->exit.site[i].count);
		pg_put_char(t, ' ');
		text_what(t, e->exit.site[i].call, e->exit.site[i].fd);
		pg_put_char(t, ')');
		if (!e->exit.site[i].caller.at)
			continue;
		pg_put(t, " at ");
		pg_stack_put_code(t, e->naming, &e->exit.site[i].caller);
	}
}

static void text_load(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "load: ");
	pg_put_name(t, pg_program_name(), PG_NAME_SHOWN);
	pg_put(t, ", gates ");
	pg_put(t, e->load.gates);
	pg_put(t, ", SIGPIPE ");
	pg_put(t, pg_state_name(e->load.sigpipe));
	if (e->inherited)
		pg_put(t, ": SIGPIPE was already ignored when this program started");
}

static void text_killed(struct pg_text *t, const struct pg_event *e)
{
	if (e->op->call) {
		pg_put(t, "SIGPIPE of ");
		text_name_of_call(t, e);
		pg_put_char(t, '(');
		pg_put_i64(t, e->op->fd);
		pg_put(t, "), which was blocked until now, kills");
	} else if (e->killed.by_itself) {
		pg_put(t, "SIGPIPE that the program raised itself kills");
	} else if (e->killed.sender == e->pid) {
		pg_put(t, "SIGPIPE that was pending in this process kills");
	} else {
		pg_put(t, "SIGPIPE sent by process ");
		pg_put_i64(t, e->killed.sender);
		pg_put(t, " kills; no write broke");
	}
}

static const struct {
	const char *is, *so;
} barriers[] = {
	[PG_NO_BARRIER] = {"is not entered", "not seen from here"},
	[PG_BARRIER_STATIC] = {"is statically linked", "not seen from here"},
	[PG_BARRIER_PRIVILEGED] = {"is privileged (setuid or the like)", "not seen from here"},
	[PG_BARRIER_MACHINE] = {"is for another machine", "not seen from here"},
	[PG_BARRIER_ENVIRONMENT] = {"is started without LD_PRELOAD", "not seen from here"},
	[PG_BARRIER_UNDUMPABLE] = {"is not dumpable",
				   "what it writes to is not known here, and no rule reaches it"},
	[PG_BARRIER_LISTENER] = {"wants seccomp notifications of its own",
				 "EBUSY, since rules from outside have them"},
	[PG_BARRIER_TRACER] = {"traces others itself",
			       "EPERM, since a process has one tracer, which is pipeguard here"},
};

static void text_unreached(struct pg_text *t, const struct pg_event *e)
{
	const char *name = e->path[0] ? e->path : e->outside ? e->comm : "?";
	size_t before;

	if (e->unreached.child < 0)
		pg_put(t, "a child");
	else
		pg_put(t, "pid "), pg_put_i64(t, e->unreached.child);
	pg_put(t, " (");
	text_name(t, name, sizeof e->path, ")");
	pg_put(t, ") ");
	pg_put(t, barriers[e->unreached.barrier].is);
	pg_put(t, ": ");
	pg_put(t, barriers[e->unreached.barrier].so);
	before = t->len;
	pg_put(t, "; ");
	if (pg_put_instead(t, e))
		pg_put(t, " reaches it");
	else
		t->len = before;
}

static void text_body(struct pg_text *t, const struct pg_event *e)
{
	switch (e->ev) {
	case PG_EV_EXIT:
		text_exit(t, e);
		break;
	case PG_EV_LOAD:
		text_load(t, e);
		break;
	case PG_EV_DISPOSITION:
		pg_put(t, "SIGPIPE set from ");
		pg_put(t, pg_state_name(e->change.from));
		pg_put(t, " to ");
		pg_put(t, pg_state_name(e->change.to));
		pg_put(t, " by ");
		pg_stack_put_code(t, e->naming, &e->change.by);
		break;
	case PG_EV_INJECT:
		text_inject(t, e);
		break;
	case PG_EV_KILLED:
		text_killed(t, e);
		break;
	case PG_EV_UNREACHED:
		text_unreached(t, e);
		break;
	default:
		text_write(t, e);
	}
}

static void text_comm(struct pg_text *t, const struct pg_event *e)
{
	text_name(t, e->comm, sizeof e->comm, "]");
}

static void text_missing(struct pg_text *t, uint64_t n, const char *what)
{
	if (!n)
		return;
	pg_put(t, INDENT);
	text_count(t, n, " line");
	pg_put(t, n == 1 ? " before this one was " : " before this one were ");
	pg_put(t, what);
}

static void text_number(struct pg_text *t, int n)
{
	if (n > 0)
		pg_put_i64(t, n);
	else
		pg_put_char(t, '?');
}

static void text_time(struct pg_text *t)
{
	int64_t sec;
	uint32_t nsec;

	pg_realtime(&sec, &nsec);
	if (sec)
		pg_put_time(t, sec, nsec), pg_put_char(t, ' ');
}

static void text_head(struct pg_text *t, const struct pg_event *e)
{
	paint(t, e, FAINT);
	pg_put(t, "pipeguard[");
	text_number(t, e->pid);
	pg_put_char(t, ':');
	text_number(t, e->tid);
	pg_put_char(t, ' ');
	text_comm(t, e);
	pg_put(t, "] ");
	if (pg_config.time)
		text_time(t);
	paint(t, e, PLAIN);
}

void pg_event_text(struct pg_text *t, const struct pg_event *e)
{
	text_head(t, e);
	if (paint_of(e) != PLAIN)
		paint(t, e, paint_of(e));
	text_body(t, e);
	if (t->len == t->cap) /* cut: not within an indentation */
		while (t->buf[t->len - 1] == ' ' || t->buf[t->len - 1] == '\n')
			t->len--;
	t->cap += PG_TEXT_TAIL - 1;
	paint(t, e, PLAIN);
	text_missing(t, e->missing.dropped, "lost");
	text_missing(t, e->missing.limited, "left out: too many a second");
}
