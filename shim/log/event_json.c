/* SPDX-License-Identifier: MIT */
#include "log/event_json.h"

#include "base/clock.h"
#include "base/names.h"
#include "log/again.h"
#include "log/facts.h"
#include "log/log.h"
#include "rules/config.h"

/* Words without pointers, which the loader would relocate at every start. */
static const char ev_names[PG_EV_COUNT][12] = {
	[PG_EV_EPIPE] = "epipe",
	[PG_EV_RESET] = "reset",
	[PG_EV_REFUSED] = "refused",
	[PG_EV_EOF] = "eof",
	[PG_EV_DISPOSITION] = "disposition",
	[PG_EV_LOAD] = "load",
	[PG_EV_DOOMED] = "doomed",
	[PG_EV_CLOSED] = "closed",
	[PG_EV_EXIT] = "exit",
	[PG_EV_CALL] = "call",
	[PG_EV_KILLED] = "killed",
	[PG_EV_INJECT] = "inject",
	[PG_EV_MODULE] = "module",
	[PG_EV_UNREACHED] = "unreached",
};
static const char barriers[PG_BARRIERS][12] = {
	[PG_BARRIER_STATIC] = "static",		[PG_BARRIER_PRIVILEGED] = "privileged",
	[PG_BARRIER_MACHINE] = "machine",	[PG_BARRIER_ENVIRONMENT] = "environment",
	[PG_BARRIER_UNDUMPABLE] = "undumpable", [PG_BARRIER_LISTENER] = "listener",
	[PG_BARRIER_TRACER] = "tracer",
};
static const char via_names[][8] = {
	[PG_VIA_CALL] = "call",
	[PG_VIA_STDIO] = "stdio",
	[PG_VIA_SIGNAL] = "signal",
};
static const char signal_names[][12] = {
	[PG_SIG_NONE] = "none",	      [PG_SIG_FATAL] = "fatal",
	[PG_SIG_CAUGHT] = "caught",   [PG_SIG_IGNORED] = "ignored",
	[PG_SIG_BLOCKED] = "blocked", [PG_SIG_SUPPRESSED] = "suppressed",
};
static const char what_names[PG_WHATS][12] = {
	[PG_EOF] = "eof",	    [PG_RESET] = "reset", [PG_REFUSED] = "refused",
	[PG_SHUTDOWN] = "shutdown", [PG_ERROR] = "error",
};
static const char *const sides[] = {[PG_CLIENT] = "client", [PG_SERVER] = "server"};

const char *pg_event_word(const struct pg_event *e)
{
	return ev_names[e->ev];
}

const char *pg_event_signal(const struct pg_event *e)
{
	return pg_knows_signal(e) ? signal_names[e->signal] : NULL;
}

/*
 * A line that is cut would be no JSON. So all that comes before the lists
 * below has a bound, whatever names the system holds, and they take as many
 * entries as fit then; tests/fuzz/log.c knows the worst case.
 */
enum { LIST_RESERVE = 152 };

/* Takes back what began at BEFORE if it did not fit. */
static bool fits(struct pg_text *t, size_t before)
{
	if (t->len < t->cap)
		return true;
	t->len = before;
	return false;
}

/* Keeps that room free, as far as there is any. Returns what the line can hold in all. */
static size_t reserve(struct pg_text *t)
{
	size_t cap = t->cap;

	t->cap = t->len + LIST_RESERVE < cap ? cap - LIST_RESERVE : t->len;
	return cap;
}

/* ---- values: what the rows of keys.def say ---- */

static void name(struct pg_text *t, const char *s)
{
	pg_put_json(t, s, PG_NAME_SHOWN);
}

/* A longer one; "" is null. */
static void file(struct pg_text *t, const char *s, size_t size)
{
	pg_put_json(t, *s ? s : NULL, size);
}

static void number(struct pg_text *t, int64_t n)
{
	pg_put_i64(t, n);
}

/* A number, or null below zero. */
static void count(struct pg_text *t, int64_t n)
{
	if (n < 0)
		pg_put(t, "null");
	else
		pg_put_i64(t, n);
}

static void boolean(struct pg_text *t, bool is)
{
	pg_put(t, is ? "true" : "false");
}

static void end(struct pg_text *t, const struct pg_addr *a, const char *path)
{
	if (!a->family) {
		name(t, path[0] ? path : NULL);
		return;
	}
	pg_put_char(t, '"');
	pg_put_addr(t, a);
	pg_put_char(t, '"');
}

static void own_end(struct pg_text *t, const struct pg_object *o)
{
	static const struct pg_addr none;

	end(t, pg_has_local(o) ? &o->local : &none, o->local_path);
}

/* Milliseconds from AT, where that is known, to the event. */
static int64_t ago_ms(const struct pg_event *e, uint64_t at)
{
	return at ? (int64_t)(pg_event_since(e, at) / 1000000) : -1;
}

/* Of a signal that kills and is no write's, there is none. */
static int fd_of(const struct pg_event *e)
{
	return e->ev == PG_EV_KILLED && !e->op->call ? -1 : e->op->fd;
}

enum { CODE_MAX = 112 };

static void frame(struct pg_text *t, const struct pg_event *e, uintptr_t addr)
{
	struct pg_naming *to = e->naming;
	struct pg_text part = {to->text, 0, sizeof to->text - 1};

	pg_stack_put_frame(&part, to, addr);
	to->text[part.len] = 0;
	pg_put_json(t, to->text, sizeof to->text);
}

static void code(struct pg_text *t, const struct pg_event *e, const struct pg_code *code)
{
	struct pg_naming *to = e->naming;
	struct pg_text part = {to->text, 0, CODE_MAX - 1};

	pg_stack_put_code_frame(&part, to, code);
	to->text[part.len] = 0;
	pg_put_json(t, to->text, CODE_MAX);
}

static void instead(struct pg_text *t, const struct pg_event *e)
{
	char buf[64];
	struct pg_text part = {buf, 0, sizeof buf - 1};
	bool any = pg_put_instead(&part, e);

	buf[part.len] = 0;
	pg_put_json(t, any ? buf : NULL, sizeof buf);
}

/* One inside an object. */
static void key(struct pg_text *t, const char *name)
{
	pg_put_char(t, ',');
	pg_put_char(t, '"');
	pg_put(t, name);
	pg_put(t, "\":");
}

static void history(struct pg_text *t, const struct pg_event *e)
{
	unsigned order[PG_WHATS], n = pg_by_age(e->object.warned, order);

	pg_put_char(t, '[');
	for (unsigned i = 0; i < n; i++) {
		const struct pg_warning *w = &e->object.warned[order[i]];

		pg_put(t, i ? ",{\"what\":\"" : "{\"what\":\"");
		pg_put(t, what_names[order[i]]);
		pg_put_char(t, '"');
		key(t, "call");
		name(t, pg_call_name((enum pg_call)w->call));
		key(t, "ago_ms");
		pg_put_u64(t, pg_event_since(e, w->at) / 1000000);
		key(t, "errno");
		name(t, w->err ? pg_errno_name(w->err) : NULL);
		key(t, "sent_since");
		count(t, pg_sent_since(e, w));
		key(t, "caller");
		code(t, e, &w->caller);
		pg_put_char(t, '}');
	}
	pg_put_char(t, ']');
}

static void ended_caller(struct pg_text *t, const struct pg_ending *w)
{
	char buf[80];
	struct pg_text part = {buf, 0, sizeof buf - 1};

	if (!w->module[0]) {
		pg_put(t, "null");
		return;
	}
	pg_put_name(&part, w->module, sizeof w->module);
	pg_put_char(&part, '+');
	pg_put_hex(&part, w->offset);
	if (w->symbol[0]) {
		pg_put_char(&part, ' ');
		pg_put_name(&part, w->symbol, sizeof w->symbol);
	}
	buf[part.len] = 0;
	pg_put_json(t, buf, sizeof buf);
}

/* Milliseconds, and three digits of their fraction. */
static void fine_ms(struct pg_text *t, uint64_t ns)
{
	pg_put_u64(t, ns / 1000000);
	pg_put_char(t, '.');
	pg_put_padded(t, ns / 1000 % 1000, 3);
}

static void ending(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_ending *w = &e->ended;

	pg_put(t, "{\"pid\":");
	pg_put_i64(t, w->pid);
	key(t, "comm");
	pg_put_json(t, w->comm, sizeof w->comm);
	key(t, "how");
	name(t, pg_how_name(w->how));
	key(t, "status");
	count(t, w->how == PG_HOW_EXIT ? w->status : -1);
	key(t, "signal");
	name(t, w->how == PG_HOW_KILLED ? pg_signal_name(w->status) : NULL);
	key(t, "call");
	name(t, pg_ending_call(w));
	key(t, "unread");
	count(t, w->unread);
	key(t, "ago_ms");
	if (w->at)
		fine_ms(t, pg_event_since(e, w->at));
	else
		pg_put(t, "null");
	key(t, "caller");
	ended_caller(t, w);
	pg_put_char(t, '}');
}

/* Where names of others have filled the line, it is left out: at most so much comes behind it, the
 * lists being empty. */
static void ended(struct pg_text *t, const struct pg_event *e)
{
	enum { REST_MAX = 600 };
	size_t before = t->len;

	if (e->has_ended && e->ended.how != PG_HOW_NONE)
		ending(t, e);
	if (t->len > before && t->len + REST_MAX <= t->cap)
		return;
	t->len = before;
	pg_put(t, "null");
}

static void stack(struct pg_text *t, const struct pg_event *e)
{
	size_t cap;

	pg_put_char(t, '[');
	cap = reserve(t);
	for (unsigned i = 0; i < e->frames; i++) {
		size_t before = t->len;

		if (i)
			pg_put_char(t, ',');
		frame(t, e, e->frame[i]);
		if (!fits(t, before))
			break;
	}
	t->cap = cap;
	pg_put_char(t, ']');
}

static void source(struct pg_text *t, const struct pg_event *e)
{
	char buf[PG_SOURCES_MAX];
	struct pg_text part = {buf, 0, sizeof buf - 1};

	pg_put_sources(&part, e);
	buf[part.len] = 0;
	pg_put_json(t, buf, sizeof buf);
}

static void disposition(struct pg_text *t, const struct pg_event *e)
{
	if (!e->changed && !e->inherited) {
		pg_put(t, "null");
		return;
	}
	pg_put(t, "{\"state\":\"");
	pg_put(t, pg_state_name(e->changed ? e->change.to : PG_STATE_IGNORED));
	pg_put(t, "\",\"by\":");
	if (e->changed && e->change.by.at)
		code(t, e, &e->change.by);
	else
		pg_put(t, "\"inherited\"");
	key(t, "tid");
	count(t, e->changed && e->change.tid ? e->change.tid : -1);
	key(t, "ago_ms");
	count(t, e->changed ? (int64_t)(pg_event_since(e, e->change.at) / 1000000) : -1);
	pg_put_char(t, '}');
}

static void rules(struct pg_text *t, const struct pg_event *e)
{
	pg_put_char(t, '{');
	for (unsigned i = 0; i < pg_rules.n; i++) {
		pg_put(t, i ? ",\"" : "\"");
		pg_put(t, pg_rules.rule[i].id);
		pg_put(t, "\":");
		pg_put_u64(t, e->exit.counts[i]);
	}
	pg_put_char(t, '}');
}

static void sites(struct pg_text *t, const struct pg_event *e)
{
	size_t cap;

	pg_put_char(t, '[');
	cap = reserve(t);
	for (unsigned i = 0; i < e->exit.sites; i++) {
		size_t before = t->len;

		pg_put(t, i ? ",{\"call\":" : "{\"call\":");
		pg_put_json(t, e->exit.site[i].call, PG_NAME_SHOWN);
		key(t, "fd");
		count(t, e->exit.site[i].fd);
		key(t, "caller");
		if (e->exit.site[i].caller.at)
			code(t, e, &e->exit.site[i].caller);
		else
			pg_put(t, "null");
		key(t, "count");
		count(t, (int64_t)e->exit.site[i].count);
		pg_put_char(t, '}');
		if (!fits(t, before))
			break;
	}
	t->cap = cap;
	pg_put_char(t, ']');
}

static void action(struct pg_text *t, const struct pg_event *e)
{
	pg_put_char(t, '"');
	pg_put_actions(t, e);
	pg_put_char(t, '"');
}

static void seed(struct pg_text *t, const struct pg_event *e)
{
	if (e->plan->seeded)
		pg_put_u64(t, pg_config.seed);
	else
		pg_put(t, "null");
}

static void again(struct pg_text *t, const struct pg_event *e)
{
	if (!pg_has_again(e)) {
		pg_put(t, "null");
		return;
	}
	pg_put_char(t, '"');
	pg_put_again(t, e);
	pg_put_char(t, '"');
}

/* The stack's hash, as site= wants it. */
static void site(struct pg_text *t, const struct pg_event *e)
{
	pg_put_char(t, '"');
	for (int shift = 60; shift >= 0; shift -= 4)
		pg_put_char(t, "0123456789abcdef"[e->hash >> shift & 15]);
	pg_put_char(t, '"');
}

static void realtime(struct pg_text *t)
{
	int64_t sec;
	uint32_t nsec;

	pg_realtime(&sec, &nsec);
	if (!sec) {
		pg_put(t, "null");
		return;
	}
	pg_put_char(t, '"');
	pg_put_time(t, sec, nsec);
	pg_put_char(t, '"');
}

static void seconds(struct pg_text *t, uint64_t now)
{
	if (!now) {
		pg_put(t, "null");
		return;
	}
	pg_put_u64(t, now / 1000000000u);
	pg_put_char(t, '.');
	pg_put_padded(t, now / 1000 % 1000000, 6);
}

/* ---- the line ---- */

#define KEY(key, type, events, value, meaning)                                                     \
	static void put_##key(struct pg_text *t, const struct pg_event *e)                         \
	{                                                                                          \
		(void)e;                                                                           \
		value;                                                                             \
	}
#include "keys.def"
#undef KEY

/* Which lines have a key: bits. */
enum {
	IF_CONFINED = 1u << 29,
	IF_LIMITED = 1u << 30,
	IF_SOURCED = 1u << 28,
#define ON(event) (1u << PG_EV_##event)
#define IF(condition) IF_##condition
	WRITES = ON(EPIPE) | ON(RESET) | ON(REFUSED) | ON(EOF) | ON(DOOMED) | ON(CLOSED) |
		 ON(CALL) | ON(INJECT),
	ALL = (1u << PG_EV_COUNT) - 1
};

/* Apart from the functions, which the loader has to relocate at every start. */
static const struct key {
	char name[20];
	unsigned events;
} keys[] = {
#define KEY(key, type, events, value, meaning) {#key, events},
#include "keys.def"
#undef KEY
};
/* C takes a string without its end for such a member. */
#define KEY(key, ...) _Static_assert(sizeof #key <= sizeof keys->name, #key);
#include "keys.def"
#undef KEY

static void (*const put_value[])(struct pg_text *t, const struct pg_event *e) = {
#define KEY(key, type, events, value, meaning) put_##key,
#include "keys.def"
#undef KEY
};

void pg_event_json(struct pg_text *t, const struct pg_event *e)
{
	unsigned has = 1u << e->ev | (e->confined ? IF_CONFINED : 0u) |
		       (e->missing.limited ? IF_LIMITED : 0u) |
		       (e->sourced && 1u << e->ev & WRITES ? IF_SOURCED : 0u);

	for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (!(keys[i].events & has))
			continue;
		pg_put(t, i ? ",\"" : "{\"");
		pg_put(t, keys[i].name);
		pg_put(t, "\":");
		put_value[i](t, e);
	}
	pg_put_char(t, '}');
}
