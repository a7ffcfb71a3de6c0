/* SPDX-License-Identifier: MIT */
#include "log/event.h"

#include "base/clock.h"
#include "base/names.h"
#include "log/log.h"
#include "rules/config.h"

#include <sys/prctl.h>

#define INDENT "\n        "

enum { TAIL = 160, NAME_MAX_SHOWN = 108, GLOB_MAX = 64 };

static const char *const ev_names[] = {"epipe",	      "reset",	"refused", "eof",
				       "disposition", "load",	"doomed",  "exit",
				       "call",	      "killed", "inject"};
static const char *const via_names[] = {"call", "stdio", "signal"};
static const char *const signal_names[] = {"none",    "fatal",	 "caught",
					   "ignored", "blocked", "suppressed"};
static const char *const signal_words[] = {"no signal",	      "SIGPIPE kills",
					   "SIGPIPE caught",  "SIGPIPE ignored",
					   "SIGPIPE blocked", "SIGPIPE suppressed"};
static const char *const state_names[] = {"default", "ignored", "caught"};
static const char *const what_names[] = {"eof", "reset", "refused", "shutdown", "error"};

/* The order in which warnings were given: the indices of those there are, oldest first. */
static unsigned by_age(const struct pg_warning *w, unsigned *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PG_WHATS; i++) {
		unsigned at = n;

		if (!w[i].at)
			continue;
		for (; at && w[order[at - 1]].at > w[i].at; at--)
			order[at] = order[at - 1];
		order[at] = i;
		n++;
	}
	return n;
}

static uint64_t since(const struct pg_event *e, uint64_t at)
{
	return e->now > at ? e->now - at : 0;
}

/* ---- JSON ---- */

/*
 * A line that is cut would be no JSON. So all that comes before the lists
 * below has a bound, whatever names the system holds, and they take as many
 * entries as fit then; tests/fuzz/log.c knows the worst case.
 */
enum { LIST_RESERVE = 152, ACTIONS_MAX = 160 };

/* Takes back what began at BEFORE if it did not fit. */
static bool fits(struct pg_text *t, size_t before)
{
	if (t->len < t->cap)
		return true;
	t->len = before;
	return false;
}

static void key(struct pg_text *t, const char *name)
{
	pg_put_char(t, ',');
	pg_put_char(t, '"');
	pg_put(t, name);
	pg_put(t, "\":");
}

static void key_text(struct pg_text *t, const char *name, const char *value)
{
	key(t, name);
	pg_put_json(t, value, NAME_MAX_SHOWN);
}

/* A number, or null below zero. */
static void key_count(struct pg_text *t, const char *name, int64_t value)
{
	key(t, name);
	if (value < 0)
		pg_put(t, "null");
	else
		pg_put_i64(t, value);
}

static void key_addr(struct pg_text *t, const char *name, const struct pg_addr *a, const char *path)
{
	key(t, name);
	if (a->family) {
		pg_put_char(t, '"');
		pg_put_addr(t, a);
		pg_put_char(t, '"');
	} else {
		pg_put_json(t, path[0] ? path : NULL, NAME_MAX_SHOWN);
	}
}

/* Two names and an offset; longer where a name is escaped, and then cut. */
enum { FRAME_MAX = 192, CODE_MAX = 112 };

static void json_frame(struct pg_text *t, uintptr_t addr)
{
	char buf[FRAME_MAX];
	struct pg_text frame = {buf, 0, sizeof buf - 1};

	pg_stack_put_frame(&frame, addr);
	buf[frame.len] = 0;
	pg_put_json(t, buf, sizeof buf);
}

static void json_code(struct pg_text *t, const struct pg_code *code)
{
	char buf[CODE_MAX];
	struct pg_text frame = {buf, 0, sizeof buf - 1};

	pg_stack_put_code_frame(&frame, code);
	buf[frame.len] = 0;
	pg_put_json(t, buf, sizeof buf);
}

/* Bytes sent since W, where that is known. */
static int64_t sent_since(const struct pg_event *e, const struct pg_warning *w)
{
	return e->object.sent < 0 ? -1 : (int64_t)((uint64_t)e->object.sent - w->sent);
}

static void json_history(struct pg_text *t, const struct pg_event *e)
{
	unsigned order[PG_WHATS], n = by_age(e->object.told, order);

	key(t, "history");
	pg_put_char(t, '[');
	for (unsigned i = 0; i < n; i++) {
		const struct pg_warning *w = &e->object.told[order[i]];

		pg_put(t, i ? ",{\"what\":\"" : "{\"what\":\"");
		pg_put(t, what_names[order[i]]);
		pg_put_char(t, '"');
		key_text(t, "call", pg_call_name((enum pg_call)w->call));
		key(t, "ago_ms");
		pg_put_u64(t, since(e, w->at) / 1000000);
		key_text(t, "errno", w->err ? pg_errno_name(w->err) : NULL);
		key_count(t, "sent_since", sent_since(e, w));
		key(t, "caller");
		json_code(t, &w->caller);
		pg_put_char(t, '}');
	}
	pg_put_char(t, ']');
}

static void json_stack(struct pg_text *t, const struct pg_event *e)
{
	key(t, "stack");
	pg_put_char(t, '[');
	t->cap -= LIST_RESERVE;
	for (unsigned i = 0; i < e->frames; i++) {
		size_t before = t->len;

		if (i)
			pg_put_char(t, ',');
		json_frame(t, e->frame[i]);
		if (!fits(t, before))
			break;
	}
	t->cap += LIST_RESERVE;
	pg_put_char(t, ']');
}

static void json_disposition(struct pg_text *t, const struct pg_event *e)
{
	key(t, "disposition");
	if (!e->changed && !e->inherited) {
		pg_put(t, "null");
		return;
	}
	pg_put(t, "{\"state\":\"");
	pg_put(t, state_names[e->changed ? e->change.to : PG_STATE_IGNORED]);
	pg_put(t, "\",\"by\":");
	if (e->changed && e->change.by.at)
		json_code(t, &e->change.by);
	else
		pg_put(t, "\"inherited\"");
	key_count(t, "tid", e->changed && e->change.tid ? e->change.tid : -1);
	key_count(t, "ago_ms", e->changed ? (int64_t)(since(e, e->change.at) / 1000000) : -1);
	pg_put_char(t, '}');
}

static void json_object(struct pg_text *t, const struct pg_event *e)
{
	static const char *const sides[] = {NULL, "client", "server"};
	const struct pg_object *o = &e->object;

	key_text(t, "kind", o->ino ? pg_kind_name(o->kind) : NULL);
	key_text(t, "side", sides[o->side]);
	key_addr(t, "local", &o->local, o->local_path);
	key_addr(t, "peer", &o->peer, o->peer_path);
	key_count(t, "ino", o->ino ? (int64_t)o->ino : -1);
}

/* The rule behind E, from 0; -1: none. */
static int rule_of(const struct pg_event *e)
{
	return e->ev == PG_EV_INJECT ? e->rule : e->object.rule;
}

/* The fields of E's rule that say what it does to E's call: "reset", "hold=3s:delay=1ms". Numbers
 * with a hundred zeros in front are left out. */
static void put_actions(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_rule *r = &pg_rules.rule[e->rule];
	uint64_t bit = e->via == PG_VIA_STDIO ? PG_STDIO_BIT : (uint64_t)1 << (e->call & 63);
	uint64_t can = pg_rule_actions(r, bit);
	size_t end = t->len + ACTIONS_MAX;
	bool some = false;

	for (unsigned f = PG_F_HOLD; f < PG_F_COUNT; f++) {
		if (!(can >> f & 1) || t->len + r->raw[f].len + 1 > end)
			continue;
		if (some)
			pg_put_char(t, ':');
		pg_put_bytes(t, pg_rules.text + r->raw[f].at, r->raw[f].len);
		some = true;
	}
}

static void json_action(struct pg_text *t, const struct pg_event *e)
{
	if (e->ev != PG_EV_INJECT)
		return;
	pg_put(t, ",\"action\":\"");
	put_actions(t, e);
	pg_put_char(t, '"');
	key_text(t, "held", e->held);
	key(t, "seed");
	if (e->seeded)
		pg_put_u64(t, pg_config.seed);
	else
		pg_put(t, "null");
	key_text(t, "failed", e->failed ? pg_errno_name(e->failed) : NULL);
}

/* A name as a glob in a rule: what a rule, or JSON, would need to protect is any one letter. */
static void put_glob(struct pg_text *t, const char *name)
{
	for (unsigned i = 0; name[i]; i++) {
		bool plain = (name[i] >= 'a' && name[i] <= 'z') ||
			     (name[i] >= 'A' && name[i] <= 'Z') ||
			     (name[i] >= '0' && name[i] <= '9') || name[i] == '.' ||
			     name[i] == '_' || name[i] == '-' || name[i] == '+';

		if (i == GLOB_MAX) { /* a word of a rule is not much longer */
			pg_put_char(t, '*');
			return;
		}
		pg_put_char(t, plain ? name[i] : '?');
	}
}

static void put_caller(struct pg_text *t, uintptr_t addr)
{
	struct pg_module room;
	const struct pg_module *m = pg_module_at(addr, &room);

	if (!m || pg_len(m->name) > GLOB_MAX)
		return;
	pg_put(t, ":caller=");
	put_glob(t, m->name);
	pg_put_char(t, '+');
	pg_put_hex(t, addr - m->base);
}

/* What the program had been told, which tells this write from others where bytes cannot; a null
 * pointer: nothing. */
static const char *seen(const struct pg_object *o)
{
	static const char *const words[PG_WHATS] = {
		[PG_EOF] = "eof", [PG_RESET] = "reset", [PG_REFUSED] = "refused"};

	for (int what = 0; pg_kind_is_socket(o->kind) && what < PG_WHATS; what++)
		if (words[what] && o->told[what].at)
			return words[what];
	return NULL;
}

/* Does a rule reach E's write, and no other one before it? Not one that no wrapper sees, nor what a
 * rule cannot break, nor what nothing tells from the writes before. */
static bool has_again(const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	return e->ev == PG_EV_EPIPE && !e->inlined && e->call && e->fd >= 0 && o->kind >= PG_PIPE &&
	       o->kind <= PG_SOCKET && (!o->stream || o->offset >= 0 || seen(o));
}

/*
 * The rule that breaks the same write again, once: the program, the n-th
 * connection, or the descriptor, and the offset in its stream; where that is
 * not known, what was told before, and who called.
 */
static void put_again(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	pg_put(t, e->via == PG_VIA_STDIO ? "%stdio" : pg_call_name(e->call));
	pg_put(t, ":comm=");
	put_glob(t, pg_program_name());
	if (o->number) {
		pg_put(t, o->side == PG_SERVER ? ":side=server:conn=" : ":side=client:conn=");
		pg_put_u64(t, o->number);
	} else {
		pg_put(t, ":fd=");
		pg_put_i64(t, e->fd);
	}
	if (o->stream && o->offset >= 0) {
		pg_put(t, ":at=");
		pg_put_u64(t, (uint64_t)o->offset + (e->err ? 0 : (uint64_t)e->ret));
	} else {
		if (seen(o)) {
			pg_put(t, ":seen=");
			pg_put(t, seen(o));
		}
		if (e->frames)
			put_caller(t, e->frame[0]);
	}
	pg_put(t, ":when=1:break");
}

static void json_again(struct pg_text *t, const struct pg_event *e)
{
	key(t, "again");
	if (!has_again(e)) {
		pg_put(t, "null");
		return;
	}
	pg_put_char(t, '"');
	put_again(t, e);
	pg_put_char(t, '"');
}

/* The stack's hash, as site= wants it. */
static void json_site(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, ",\"site\":\"");
	for (int shift = 60; shift >= 0; shift -= 4)
		pg_put_char(t, "0123456789abcdef"[e->hash >> shift & 15]);
	pg_put_char(t, '"');
	if (e->ev == PG_EV_CALL)
		pg_put(t, e->nonblock ? ",\"nonblock\":true" : ",\"nonblock\":false");
}

/* A program that confined itself cannot be asked what became of it. */
static bool knows_signal(const struct pg_event *e)
{
	return e->ev == PG_EV_EPIPE && e->signal != PG_SIG_ASK;
}

static void json_write(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	key_text(t, "via", via_names[e->via]);
	key_text(t, "call", e->call ? pg_call_name(e->call) : NULL);
	key_count(t, "fd", e->fd);
	json_object(t, e);
	key_count(t, "len", e->len);
	key(t, "ret");
	pg_put_i64(t, e->ret);
	key_text(t, "errno", e->err ? pg_errno_name(e->err) : NULL);
	key_text(t, "signal", knows_signal(e) ? signal_names[e->signal] : NULL);
	key_count(t, "sent", o->sent);
	key_count(t, "age_ms", o->since ? (int64_t)(since(e, o->since) / 1000000) : -1);
	key_count(t, "idle_ms", o->idle_ms);
	key_count(t, "unread", o->unread);
	key_count(t, "peer_pid", o->peer_pid ? o->peer_pid : -1);
	json_history(t, e);
	json_disposition(t, e);
	key_count(t, "repeated", (int64_t)e->repeated);
	key(t, "injected");
	pg_put(t, rule_of(e) < 0 ? "false" : "true");
	key_text(t, "rule", rule_of(e) < 0 ? NULL : pg_rules.rule[rule_of(e)].id);
	json_action(t, e);
	json_again(t, e);
	json_stack(t, e);
	json_site(t, e);
}

static void json_rules(struct pg_text *t, const struct pg_event *e)
{
	key(t, "rules");
	pg_put_char(t, '{');
	for (unsigned i = 0; i < pg_rules.n; i++) {
		pg_put(t, i ? ",\"" : "\"");
		pg_put(t, pg_rules.rule[i].id);
		pg_put(t, "\":");
		pg_put_u64(t, e->counts[i]);
	}
	pg_put_char(t, '}');
}

static void json_sites(struct pg_text *t, const struct pg_event *e)
{
	key(t, "sites");
	pg_put_char(t, '[');
	t->cap -= LIST_RESERVE;
	for (unsigned i = 0; i < e->sites; i++) {
		size_t before = t->len;

		pg_put(t, i ? ",{\"call\":" : "{\"call\":");
		pg_put_json(t, e->site[i].call, NAME_MAX_SHOWN);
		key_count(t, "fd", e->site[i].fd);
		key(t, "caller");
		if (e->site[i].caller.at)
			json_code(t, &e->site[i].caller);
		else
			pg_put(t, "null");
		key_count(t, "count", (int64_t)e->site[i].count);
		pg_put_char(t, '}');
		if (!fits(t, before))
			break;
	}
	t->cap += LIST_RESERVE;
	pg_put_char(t, ']');
}

static void json_exit(struct pg_text *t, const struct pg_event *e)
{
	key_count(t, "events", (int64_t)e->events);
	key_count(t, "early", (int64_t)e->early);
	key_count(t, "uncounted", (int64_t)e->uncounted);
	json_rules(t, e);
	json_sites(t, e);
}

static void json_load(struct pg_text *t, const struct pg_event *e)
{
	key_text(t, "program", pg_program_name());
	key_text(t, "gates", e->gates);
	key_count(t, "ppid", e->sender);
	key_text(t, "sigpipe", state_names[e->change.to]);
	key(t, "inherited_ignored");
	pg_put(t, e->inherited ? "true" : "false");
}

static void json_change(struct pg_text *t, const struct pg_event *e)
{
	key_text(t, "from", state_names[e->change.from]);
	key_text(t, "to", state_names[e->change.to]);
	key(t, "by");
	json_code(t, &e->change.by);
	json_stack(t, e);
}

static void json_body(struct pg_text *t, const struct pg_event *e)
{
	switch (e->ev) {
	case PG_EV_EXIT:
		json_exit(t, e);
		break;
	case PG_EV_LOAD:
		json_load(t, e);
		break;
	case PG_EV_DISPOSITION:
		json_change(t, e);
		break;
	case PG_EV_KILLED:
		key_count(t, "sender", e->sender);
		key(t, "by_itself");
		pg_put(t, e->by_itself ? "true" : "false");
		key_text(t, "call", e->call ? pg_call_name(e->call) : NULL);
		key_count(t, "fd", e->call ? e->fd : -1);
		break;
	default:
		json_write(t, e);
	}
}

static void json_time(struct pg_text *t, int64_t sec, uint32_t nsec)
{
	if (!sec) {
		pg_put(t, "null");
		return;
	}
	pg_put_char(t, '"');
	pg_put_time(t, sec, nsec);
	pg_put_char(t, '"');
}

static void json_mono(struct pg_text *t, uint64_t now)
{
	if (!now) {
		pg_put(t, "null");
		return;
	}
	pg_put_u64(t, now / 1000000000u);
	pg_put_char(t, '.');
	pg_put_padded(t, now / 1000 % 1000000, 6);
}

static void json_event(struct pg_text *t, const struct pg_event *e)
{
	struct pg_log_missing missing = pg_log_missing();
	int64_t sec;
	uint32_t nsec;

	pg_realtime(&sec, &nsec);
	pg_put(t, "{\"v\":1");
	key(t, "t");
	json_time(t, sec, nsec);
	key(t, "mono");
	json_mono(t, e->now);
	key_count(t, "pid", e->pid);
	key_count(t, "tid", e->tid);
	key_text(t, "comm", e->comm);
	key_text(t, "ev", ev_names[e->ev]);
	json_body(t, e);
	key_text(t, "engine", e->outside ? "outside" : "inside");
	if (e->confined)
		pg_put(t, ",\"confined\":true");
	key_count(t, "dropped", (int64_t)missing.dropped);
	if (missing.limited)
		key_count(t, "limited", (int64_t)missing.limited);
	pg_put_char(t, '}');
}

/* ---- text ---- */

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

static void text_path(struct pg_text *t, const char *path)
{
	text_name(t, path, NAME_MAX_SHOWN, " ,");
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

static void text_ends(struct pg_text *t, const struct pg_object *o)
{
	static const char *const arrows[] = {" <> ", " -> ", " <- "};
	bool local = o->local.family || o->local_path[0];

	if (local || o->side == PG_NO_SIDE) {
		pg_put_char(t, ' ');
		text_addr(t, &o->local, o->local_path);
	}
	pg_put(t, arrows[o->side]);
	text_addr(t, &o->peer, o->peer_path);
}

/* Of a call that is about a connection itself, nothing was sent yet. */
static bool is_transfer(const struct pg_event *e)
{
	return e->call != PG_CALL_connect && e->call != PG_CALL___connect &&
	       e->call != PG_CALL_accept && e->call != PG_CALL_accept4;
}

static void text_age(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	if (o->since) {
		pg_put(t, o->side == PG_SERVER ? ", accepted " : ", connected ");
		pg_put_duration(t, since(e, o->since));
		pg_put(t, " ago");
	}
	if (o->sent >= 0 && is_transfer(e)) {
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

static void text_call(struct pg_text *t, const struct pg_event *e)
{
	const char *err = e->err ? pg_errno_name(e->err) : NULL;

	pg_put(t, e->call ? pg_call_name(e->call) : "a write");
	pg_put_char(t, '(');
	if (e->fd >= 0)
		pg_put_i64(t, e->fd);
	else
		pg_put_char(t, '?');
	if (e->len >= 0) {
		pg_put(t, ", ");
		pg_put_i64(t, e->len);
	}
	pg_put(t, ") = ");
	if (err)
		pg_put(t, err);
	else
		pg_put_i64(t, e->ret);
}

static void text_history(struct pg_text *t, const struct pg_event *e)
{
	unsigned order[PG_WHATS], n = by_age(e->object.told, order);

	for (unsigned i = 0; i < n; i++) {
		const struct pg_warning *w = &e->object.told[order[i]];
		const char *err = pg_errno_name(w->err);

		pg_put(t, INDENT);
		pg_put(t, pg_call_name((enum pg_call)w->call));
		if (order[i] == PG_SHUTDOWN)
			pg_put(t, "() closed this side ");
		else
			pg_put(t, "() returned "), pg_put(t, err ? err : "EOF"),
				pg_put_char(t, ' ');
		pg_put_duration(t, since(e, w->at));
		pg_put(t, " before, in ");
		pg_stack_put_code(t, &w->caller);
		if (sent_since(e, w) <= 0) {
			pg_put(t, i + 1 == n && e->ev == PG_EV_EPIPE ? ", and the program wrote on"
								     : "");
			continue;
		}
		pg_put(t, ", ");
		pg_put_i64(t, sent_since(e, w));
		pg_put(t, " bytes sent since");
	}
}

/* Frames that fit; the rest is left out rather than cut. */
static void text_stack(struct pg_text *t, const struct pg_event *e)
{
	for (unsigned i = 0; i < e->frames; i++) {
		size_t before = t->len;

		pg_put(t, i ? " < " : INDENT "at ");
		pg_stack_put_place(t, e->frame[i]);
		if (t->len == t->cap) {
			t->len = before;
			return;
		}
	}
}

static void text_disposition(struct pg_text *t, const struct pg_event *e)
{
	if (e->inherited)
		pg_put(t, INDENT "SIGPIPE was already ignored when this program started");
	if (!e->changed)
		return;
	pg_put(t, INDENT "SIGPIPE was set to ");
	pg_put(t, state_names[e->change.to]);
	pg_put_char(t, ' ');
	pg_put_duration(t, since(e, e->change.at));
	pg_put(t, " before, by ");
	pg_stack_put_code(t, &e->change.by);
}

static void text_again(struct pg_text *t, const struct pg_event *e)
{
	size_t before = t->len;

	if (!has_again(e))
		return;
	pg_put(t, INDENT "again: ");
	put_again(t, e);
	if (t->len == t->cap)
		t->len = before;
}

static void text_write(struct pg_text *t, const struct pg_event *e)
{
	if (e->ev == PG_EV_DOOMED) {
		pg_put(t, "close(");
		pg_put_i64(t, e->fd);
		pg_put(t, ") with unread bytes: ");
		pg_put(t, e->perhaps ? "unless a child has it, too, " : "");
		pg_put(t, "the kernel resets the peer");
	} else {
		text_call(t, e);
	}
	if (e->ev == PG_EV_EPIPE) {
		pg_put(t, e->err ? "" : ", then the reader left");
		if (knows_signal(e))
			pg_put(t, ", "), pg_put(t, signal_words[e->signal]);
	}
	text_object(t, e);
	if (e->repeated > 1) {
		pg_put(t, ", repeated ");
		pg_put_u64(t, e->repeated);
		pg_put(t, " times");
	}
	if (e->ev == PG_EV_EPIPE && rule_of(e) >= 0) {
		pg_put(t, " (INJECTED by ");
		pg_put(t, pg_rules.rule[rule_of(e)].id);
		pg_put_char(t, ')');
	}
	text_history(t, e);
	text_disposition(t, e);
	text_stack(t, e);
	text_again(t, e);
}

static void text_inject(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "rule ");
	pg_put(t, pg_rules.rule[e->rule].id);
	pg_put(t, ": ");
	put_actions(t, e);
	pg_put(t, " on ");
	pg_put(t, e->via == PG_VIA_STDIO ? "stdio's " : "");
	pg_put(t, pg_call_name(e->call));
	pg_put_char(t, '(');
	pg_put_i64(t, e->fd);
	if (e->len >= 0)
		pg_put(t, ", "), pg_put_i64(t, e->len);
	pg_put_char(t, ')');
	if (e->failed) {
		pg_put(t, ", which could not be made: ");
		pg_put(t, pg_errno_name(e->failed) ? pg_errno_name(e->failed) : "an error");
	}
	if (e->held)
		pg_put(t, ", "), pg_put(t, e->held);
	if (e->seeded)
		pg_put(t, ", seed "), pg_put_u64(t, pg_config.seed);
	text_object(t, e);
	text_stack(t, e);
}

static void text_exit(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "exit: ");
	pg_put_u64(t, e->events);
	pg_put(t, " broken writes");
	if (e->early) {
		pg_put(t, ", ");
		pg_put_u64(t, e->early);
		pg_put(t, " before start-up");
	}
	for (unsigned i = 0; i < pg_rules.n; i++) {
		pg_put(t, INDENT "rule ");
		pg_put(t, pg_rules.rule[i].id);
		if (!e->counts[i]) {
			pg_put(t, " never fired");
			continue;
		}
		pg_put(t, " fired ");
		pg_put_u64(t, e->counts[i]);
		pg_put(t, " times");
	}
	if (e->uncounted) {
		pg_put(t, INDENT);
		pg_put_u64(t, e->uncounted);
		pg_put(t, " calls were not counted for rules: there was no room");
	}
	for (unsigned i = 0; i < e->sites; i++) {
		pg_put(t, INDENT);
		pg_put_u64(t, e->site[i].count);
		pg_put(t, " times ");
		pg_put(t, e->site[i].call);
		pg_put_char(t, '(');
		pg_put_i64(t, e->site[i].fd);
		pg_put(t, ")");
		if (!e->site[i].caller.at)
			continue;
		pg_put(t, " at ");
		pg_stack_put_code(t, &e->site[i].caller);
	}
}

static void text_load(struct pg_text *t, const struct pg_event *e)
{
	pg_put(t, "load: ");
	pg_put_name(t, pg_program_name(), NAME_MAX_SHOWN);
	pg_put(t, ", gates ");
	pg_put(t, e->gates);
	pg_put(t, ", SIGPIPE ");
	pg_put(t, state_names[e->change.to]);
	if (e->inherited)
		pg_put(t, ": SIGPIPE was already ignored when this program started");
}

static void text_killed(struct pg_text *t, const struct pg_event *e)
{
	if (e->call) {
		pg_put(t, "SIGPIPE of ");
		pg_put(t, pg_call_name(e->call));
		pg_put_char(t, '(');
		pg_put_i64(t, e->fd);
		pg_put(t, "), which was blocked until now, kills");
	} else if (e->by_itself) {
		pg_put(t, "SIGPIPE that the program raised itself kills");
	} else if (e->sender == e->pid) {
		pg_put(t, "SIGPIPE that was pending in this process kills");
	} else {
		pg_put(t, "SIGPIPE sent by process ");
		pg_put_i64(t, e->sender);
		pg_put(t, " kills; no write broke");
	}
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
		pg_put(t, state_names[e->change.from]);
		pg_put(t, " to ");
		pg_put(t, state_names[e->change.to]);
		pg_put(t, " by ");
		pg_stack_put_code(t, &e->change.by);
		break;
	case PG_EV_INJECT:
		text_inject(t, e);
		break;
	case PG_EV_KILLED:
		text_killed(t, e);
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
	pg_put_u64(t, n);
	pg_put(t, what);
}

static void text_number(struct pg_text *t, int n)
{
	if (n > 0)
		pg_put_i64(t, n);
	else
		pg_put_char(t, '?');
}

static void text_event(struct pg_text *t, const struct pg_event *e)
{
	struct pg_log_missing missing = pg_log_missing();

	pg_put(t, "pipeguard[");
	text_number(t, e->pid);
	pg_put_char(t, ':');
	text_number(t, e->tid);
	pg_put_char(t, ' ');
	text_comm(t, e);
	pg_put(t, "] ");
	text_body(t, e);
	if (t->len == t->cap) /* cut: not within an indentation */
		while (t->buf[t->len - 1] == ' ' || t->buf[t->len - 1] == '\n')
			t->len--;
	t->cap += TAIL - 1;
	text_missing(t, missing.dropped, " lines before this one were lost");
	text_missing(t, missing.limited, " lines before this one were left out: too many a second");
}

/* Who this was when it was last asked. */
static struct {
	int pid, tid;
	char comm[16];
} noted;

void pg_event_note_process(void)
{
	noted.pid = pg_pid();
	noted.tid = (int)pg_sys0(SYS_gettid);
	pg_sys2(SYS_prctl, PR_GET_NAME, noted.comm);
}

static void put_line(struct pg_event *e, char *line, uint64_t mask)
{
	struct pg_text t = {line, 0, PG_LINE_MAX - 1};

	if (pg_config.json) {
		json_event(&t, e);
	} else {
		t.cap -= TAIL - 1;
		text_event(&t, e);
	}
	t.cap = PG_LINE_MAX;
	pg_put_char(&t, '\n');
	pg_log_write(line, t.len, mask);
}

/* What is said once, or ends it all, is always said. */
static bool is_rare(const struct pg_event *e)
{
	return e->ev == PG_EV_EXIT || e->ev == PG_EV_LOAD || e->ev == PG_EV_KILLED ||
	       e->signal == PG_SIG_FATAL;
}

void pg_event_write(struct pg_event *e, char *line, uint64_t mask)
{
	e->now = pg_now();
	if (!is_rare(e) && !pg_log_allows(e->now))
		return;
	if (!e->outside) {
		e->tid = (int)pg_sys0(SYS_gettid);
		pg_sys2(SYS_prctl, PR_GET_NAME, e->comm);
	}
	put_line(e, line, mask);
}

void pg_event_write_confined(struct pg_event *e, char *line)
{
	e->confined = true;
	e->pid = noted.pid;
	e->tid = -1; /* which thread it is cannot be asked */
	__builtin_memcpy(e->comm, noted.comm, sizeof e->comm);
	e->object.sent = e->object.offset = e->object.unread = e->object.idle_ms = -1;
	e->object.rule = -1;
	put_line(e, line, 0);
}
