/* SPDX-License-Identifier: MIT */
/* libFuzzer's target: what the log promises of any event, whatever names the system holds. */
#include "base/clock.h"
#include "log/event.h"
#include "log/line.h"
#include "log/log.h"
#include "rules/config.h"
#include "who/symbol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char line[PG_LINE_MAX + 1];
static size_t line_len;

static void broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n%zu bytes: %.*s\n", promise, line_len, (int)line_len,
		line);
	abort();
}

/* ---- what the writer asks of the rest of the library ---- */

struct pg_config pg_config;

/* How long ago a thing was is of some length: that of a machine's own clock depends on when it was
 * started. */
uint64_t pg_now(void)
{
	return (uint64_t)5 * 24 * 3600 * 1000000000;
}

uint64_t pg_since_boot(void)
{
	return pg_now();
}

void pg_realtime(int64_t *sec, uint32_t *nsec)
{
	*sec = 1800000000;
	*nsec = 123456789;
}

static bool writing; /* else the sanitizer's own unwinder asks */
static char module[PG_MODULE_NAME], symbol[PG_SYMBOL_MAX], program[256];
static unsigned unknown;
static uint64_t dropped;

struct pg_log_missing pg_log_missing(void)
{
	return (struct pg_log_missing){dropped, dropped / 3};
}

bool pg_log_allows(uint64_t now)
{
	(void)now;
	return true;
}

static unsigned columns; /* of the terminal that a text goes to */

unsigned pg_log_columns(void)
{
	return columns;
}

bool pg_log_write(const struct pg_text *head, const char *s, size_t len, uint64_t mask)
{
	(void)head;
	(void)mask;
	if (len > PG_LINE_MAX)
		broken("a line has at most PG_LINE_MAX bytes");
	memcpy(line, s, len);
	line[len] = 0;
	line_len = len;
	return true;
}

const struct pg_module *pg_module_at(uintptr_t addr, struct pg_module *room)
{
	if (!writing || (addr & 7) < (unknown & 7))
		return NULL;
	*room = (struct pg_module){.base = addr & 0xfff0};
	memcpy(room->name, module, sizeof module);
	if (!room->name[0])
		room->name[0] = '?';
	return room;
}

const struct pg_module *pg_code_module(const struct pg_code *code, struct pg_module *room)
{
	return pg_module_at(code->at, room);
}

bool pg_symbol_at(const struct pg_module *m, uintptr_t addr, char *buf, size_t size,
		  uintptr_t *offset)
{
	(void)m;
	*offset = addr & 0xffff;
	pg_copy(buf, size, symbol);
	return addr & 8;
}

void pg_symbol_show(const struct pg_module *m, uintptr_t addr, char *name, size_t size)
{
	(void)m, (void)addr, (void)name, (void)size;
}

bool pg_source_at(uintptr_t addr, struct pg_text *t)
{
	pg_put_name(t, symbol, 64);
	return addr & 16;
}

const char *pg_program_name(void)
{
	return program;
}

struct pg_code pg_code_at(uintptr_t at)
{
	return (struct pg_code){at, 1};
}

bool pg_module_has(const struct pg_module *m, uintptr_t p, size_t n)
{
	(void)m;
	(void)p;
	(void)n;
	return false;
}

struct pg_span pg_module_part(const struct pg_module *m, uintptr_t p)
{
	(void)m;
	(void)p;
	return (struct pg_span){0, 0};
}

bool pg_module_is_own(uintptr_t addr)
{
	(void)addr;
	return false;
}

/* ---- an event from bytes ---- */

static const uint8_t *bytes;
static size_t left;

static uint8_t byte(void)
{
	if (!left)
		return 0;
	left--;
	return *bytes++;
}

/* A number of the size that its first byte says. */
static uint64_t number(void)
{
	uint64_t n = 0;

	for (unsigned i = byte() % 9; i; i--)
		n = n << 8 | byte();
	return n;
}

/* A name of any bytes; its first byte says how long, and whether it is one byte again and again. */
static void name(char *buf, size_t size)
{
	size_t len = byte() % size;
	bool same = byte() & 1;
	char first = (char)byte();

	buf[0] = first;
	for (size_t i = 1; i < len; i++)
		buf[i] = same ? first : (char)byte();
	buf[len] = 0;
}

static void address(struct pg_addr *a)
{
	static const uint16_t families[] = {0, AF_INET, AF_INET6, AF_INET6};

	a->family = families[byte() & 3];
	a->port = (uint16_t)number();
	for (int i = 0; a->family && i < 16; i++)
		a->ip[i] = byte();
}

static struct pg_code code(void)
{
	return (struct pg_code){(uintptr_t)number(), number()};
}

static void object(struct pg_object *o)
{
	o->dev = number();
	o->ino = number();
	o->kind = (enum pg_kind)(byte() % (PG_TTY + 1));
	o->side = (enum pg_side)(byte() % 3);
	o->sent = (int64_t)number();
	o->offset = (int64_t)number();
	o->stream = byte() & 1;
	o->since = number();
	o->unread = (int64_t)number();
	o->idle_ms = (int64_t)number();
	o->peer_pid = (int)number();
	address(&o->local);
	address(&o->peer);
	name(o->local_path, sizeof o->local_path);
	name(o->peer_path, sizeof o->peer_path);
	o->rule = byte() & 1 ? byte() % (int)pg_rules.n : -1;
	o->number = (uint32_t)number();
	for (int i = 0; i < PG_WHATS; i++)
		o->warned[i] = (struct pg_warning){number(), number(), code(),
						   byte() % (PG_CALL_COUNT + 1), byte() % 140};
}

static struct pg_op op;
static struct pg_plan plan;

static void call(struct pg_event *e)
{
	e->op = &op;
	e->ev = (enum pg_ev)(byte() % (PG_EV_COUNT));
	op.via = (enum pg_via)(byte() % 3);
	e->signal = (enum pg_signal)(byte() % (PG_SIG_ASK + 1));
	op.call = (enum pg_call)(byte() % PG_CALL_COUNT);
	op.fd = (int)number();
	op.bytes = (int64_t)number();
	op.ret = (int64_t)number();
	op.err = byte() % 140;
	e->inherited = byte() & 1;
	e->changed = byte() & 1;
	e->change = (struct pg_change){(enum pg_state)(byte() % 3), (enum pg_state)(byte() % 3),
				       code(), number(), (int)number()};
	e->repeated = number();
	e->plan = e->ev == PG_EV_INJECT ? &plan : NULL;
	plan.rule = byte() % pg_rules.n;
	plan.held = (enum pg_held)(byte() % (PG_HELD_IN_VAIN + 1));
	plan.seeded = byte() & 1;
	plan.already = byte() % 8 == 0;
	plan.lost = byte() % 8 == 0;
	plan.failed = byte() & 1 ? byte() % 140 : 0;
	op.inlined = byte() & 1;
	op.perhaps = byte() & 1;
	e->nonblock = byte() & 1;
	e->confined = byte() % 8 == 0;
	e->outside = byte() % 8 == 0;
	e->sourced = e->outside;
	e->pid = (int)number();
	name(e->path, sizeof e->path);
}

static void places(struct pg_event *e)
{
	e->frames = byte() % (PG_FRAMES_MAX + 1);
	for (unsigned i = 0; i < e->frames; i++)
		e->frame[i] = (uintptr_t)number();
}

static void exit_line(struct pg_event *e)
{
	struct pg_site *site = e->exit.site;

	e->exit.events = number();
	e->exit.early = number();
	e->exit.uncounted = byte() & 1 ? number() : 0;
	e->exit.idle = byte() & 1 ? number() : 0;
	e->exit.passed = number();
	e->exit.sites = byte() % (sizeof e->exit.site / sizeof *site + 1);
	for (unsigned i = 0; i < e->exit.sites; i++)
		site[i] = (struct pg_site){pg_call_name((enum pg_call)(byte() % PG_CALL_COUNT)),
					   code(), number(), (int)number()};
	for (unsigned i = 0; i < PG_RULES_MAX; i++)
		e->exit.counts[i] = number();
}

/* What events of its kind alone have. */
static void kind(struct pg_event *e)
{
	switch (e->ev) {
	case PG_EV_EXIT:
		exit_line(e);
		break;
	case PG_EV_LOAD:
		e->load.gates = "call stdio signal";
		e->load.ppid = (int)number();
		e->load.sigpipe = (enum pg_state)(byte() % 3);
		break;
	case PG_EV_KILLED:
		e->killed.sender = (int)number();
		e->killed.by_itself = byte() & 1;
		break;
	case PG_EV_MODULE:
		name(e->module.name, sizeof e->module.name);
		name(e->module.build_id, sizeof e->module.build_id);
		break;
	case PG_EV_UNREACHED:
		e->unreached.barrier = (enum pg_barrier)(byte() % PG_BARRIERS);
		e->unreached.child = (int)number();
		e->unreached.by_root = byte() & 1;
		e->unreached.reachable = byte() & 1;
		break;
	default:
		break;
	}
}

static void ended(struct pg_event *e)
{
	struct pg_ending *w = &e->ended;

	e->has_ended = byte() & 1;
	w->how = byte() % PG_HOWS;
	w->pid = (int)number();
	w->status = (int)number();
	w->at = number();
	w->unread = (int64_t)number();
	w->offset = number();
	w->symbol_offset = number();
	name(w->comm, sizeof w->comm);
	name(w->call, sizeof w->call);
	name(w->module, sizeof w->module);
	name(w->symbol, sizeof w->symbol);
}

/* All bytes of E are ones. */
static void worst_ended(struct pg_event *e)
{
	struct pg_ending *w = &e->ended;

	e->has_ended = true;
	w->how = PG_HOW_SHUTDOWN;
	w->pid = w->status = INT32_MIN;
	w->unread = INT64_MAX;
	w->at = 1;
	w->comm[sizeof w->comm - 1] = 0;
	pg_copy(w->call, sizeof w->call, "close_range");
	w->module[sizeof w->module - 1] = w->symbol[sizeof w->symbol - 1] = 0;
}

static void event(struct pg_event *e)
{
	char comm[16];

	memset(e, 0, sizeof *e);
	name(comm, sizeof comm);
	prctl(PR_SET_NAME, comm);
	name(module, sizeof module);
	name(symbol, sizeof symbol);
	name(program, sizeof program);
	unknown = byte();
	dropped = number();
	pg_rules.n = 1 + byte() % PG_RULES_MAX;
	pg_config.seed = number();
	call(e);
	object(&e->object);
	places(e);
	ended(e);
	kind(e);
}

/* ---- JSON, strictly, in ASCII ---- */

static const char *at;

static void value(int depth);

static void expect(char c)
{
	if (*at++ != c)
		broken("JSON: an expected character");
}

static bool next_is(char c)
{
	if (*at != c)
		return false;
	at++;
	return true;
}

static void string(void)
{
	expect('"');
	while (!next_is('"')) {
		if (*at < 0x20 || *at > 0x7e)
			broken("JSON: a string holds printable ASCII alone");
		if (*at++ != '\\')
			continue;
		if (next_is('\\'))
			continue;
		if (*at++ != 'u')
			broken("JSON: \\\\ and \\u are the only escapes");
		for (int i = 0; i < 4; i++, at++)
			if (!strchr("0123456789abcdef", *at) || !*at)
				broken("JSON: four hexadecimal digits");
	}
}

static void digits(void)
{
	if (*at < '0' || *at > '9')
		broken("JSON: a digit");
	while (*at >= '0' && *at <= '9')
		at++;
}

static void json_number(void)
{
	next_is('-');
	if (*at == '0' && at[1] >= '0' && at[1] <= '9')
		broken("JSON: no leading zero");
	digits();
	if (next_is('.'))
		digits();
}

static void word(const char *w)
{
	if (strncmp(at, w, strlen(w)))
		broken("JSON: a value");
	at += strlen(w);
}

static void object_or_list(int depth, char end)
{
	if (depth > 4)
		broken("JSON: not nested deeper than four");
	at++;
	if (next_is(end))
		return;
	do {
		if (end == '}') {
			string();
			expect(':');
		}
		value(depth + 1);
	} while (next_is(','));
	expect(end);
}

static void value(int depth)
{
	switch (*at) {
	case '{':
		object_or_list(depth, '}');
		break;
	case '[':
		object_or_list(depth, ']');
		break;
	case '"':
		string();
		break;
	case 't':
		word("true");
		break;
	case 'f':
		word("false");
		break;
	case 'n':
		word("null");
		break;
	default:
		json_number();
	}
}

static void check_json(void)
{
	at = line;
	if (strncmp(line, "{\"v\":1,", 7))
		broken("JSON: an object whose first key is v");
	value(0);
	expect('\n');
	if (at != line + line_len)
		broken("JSON: one object, one newline, and nothing behind it");
}

/* ---- text ---- */

static void check_text(void)
{
	const char *comm = strchr(line, ' '), *end = strchr(line, ']');

	if (strncmp(line, "pipeguard[", 10) || !end || end[1] != ' ')
		broken("text: a record begins with pipeguard[...] ");
	if (!comm || comm > end || strcspn(line + 10, "0123456789:-?") != 0)
		broken("text: the process, the thread and the name stand in front");
	if (!line_len || line[line_len - 1] != '\n')
		broken("text: a record ends with a newline");
	for (const char *c = line; c < line + line_len; c++) {
		if (*c != '\n' && (*c < 0x20 || *c > 0x7e))
			broken("text: printable ASCII alone");
		if (*c != '\n' || c + 1 == line + line_len)
			continue;
		if (strncmp(c + 1, "        ", 8) || c[9] <= ' ')
			broken("text: a further line is set in by eight blanks, and not empty");
	}
}

/* ---- */

static void init(void)
{
	static char text[PG_RULE_TEXT];
	struct pg_rule_error error;

	for (int i = 0; i < PG_RULES_MAX; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "long.name-%d-%d=%s:fd=%d:%s\n", i + 100, i % 10, i % 4 ? "send" : "%out",
			 i,
			 i % 4 ? "hold=2000ms:delay=10ms:short=10:reset" : "error=EPIPE:nosignal");
	if (!pg_rules_parse(&pg_rules, text, &error)) {
		struct pg_text t = {line, 0, sizeof line};

		pg_rule_put_error(&t, &error);
		line_len = t.len;
		broken("the rules are right");
	}
}

static void write_both(const struct pg_event *made)
{
	static struct pg_room room;

	pg_config.plain = true;
	for (int form = 0; form < 3; form++) {
		int json = form == 1;

		pg_config.json = json;
		columns = form == 2 ? 40 : 0;
		room.event = *made;
		line_len = 0;
		writing = true;
		pg_event_write(&room);
		writing = false;
		json ? check_json() : check_text();
		room.event = *made;
		writing = true;
		pg_event_write_confined(&room);
		writing = false;
		json ? check_json() : check_text();
	}
}

static void worst_exit(struct pg_event *e, unsigned nth)
{
	memset(&e->exit, 0xff, sizeof e->exit);
	e->exit.events >>= nth % 64;
	for (unsigned i = 0; i < nth && i < PG_RULES_MAX; i++)
		e->exit.counts[i] = 1;
	e->exit.sites = sizeof e->exit.site / sizeof *e->exit.site;
	for (unsigned i = 0; i < e->exit.sites; i++)
		e->exit.site[i].call = "__vdprintf_chk";
}

/* The NTH of it, each of another length. */
static void worst_kind(struct pg_event *e, unsigned nth)
{
	switch (e->ev) {
	case PG_EV_EXIT:
		worst_exit(e, nth);
		break;
	case PG_EV_LOAD:
		e->load.gates = "call signal (no stdio: this libc has no such slot)";
		e->load.ppid = INT32_MIN;
		e->load.sigpipe = PG_STATE_DEFAULT;
		break;
	case PG_EV_KILLED:
		e->killed.sender = INT32_MIN;
		e->killed.by_itself = true;
		break;
	case PG_EV_MODULE:
		memset(&e->module, 0xff, sizeof e->module);
		break;
	case PG_EV_UNREACHED:
		e->unreached.barrier = PG_BARRIER_UNDUMPABLE;
		e->unreached.child = INT32_MIN;
		e->unreached.by_root = e->unreached.reachable = true;
		break;
	default:
		break;
	}
}

static void every_kind(struct pg_event *e, unsigned nth)
{
	for (int ev = 0; ev < PG_EV_COUNT; ev++) {
		e->ev = (enum pg_ev)ev;
		e->plan = ev == PG_EV_INJECT ? &plan : NULL;
		worst_kind(e, nth);
		write_both(e);
	}
}

/* Every name as long as it can be, of bytes that take the most room; every number the largest. */
static void worst(struct pg_event *e)
{
	memset(e, 0xff, sizeof *e);
	memset(module, 0xff, sizeof module - 1);
	memset(symbol, 0xff, sizeof symbol - 1);
	memset(program, 0xff, sizeof program - 1);
	prctl(PR_SET_NAME, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	pg_rules.n = PG_RULES_MAX;
	pg_config.seed = INT64_MAX;
	dropped = INT64_MAX;
	e->signal = PG_SIG_SUPPRESSED;
	op = (struct pg_op){.via = PG_VIA_SIGNAL,
			    .call = PG_CALL___vdprintf_chk,
			    .fd = INT32_MIN,
			    .ret = INT64_MIN,
			    .bytes = INT64_MAX,
			    .err = EAFNOSUPPORT,
			    .perhaps = true};
	plan = (struct pg_plan){
		.rule = 1, .seeded = true, .failed = EAFNOSUPPORT, .held = PG_HELD_IN_VAIN};
	e->op = &op;
	e->pid = e->change.tid = e->object.peer_pid = INT32_MIN;
	e->object.unread = e->object.idle_ms = INT64_MAX;
	e->change.from = e->change.to = PG_STATE_DEFAULT;
	e->object.kind = PG_SOCKET;
	e->object.side = PG_SERVER;
	e->object.local.family = e->object.peer.family = 0;
	e->object.local_path[107] = e->object.peer_path[107] = 0;
	e->object.sent = e->object.since = INT64_MAX;
	e->object.rule = 1;
	e->nonblock = e->inherited = e->changed = e->object.stream = true;
	e->confined = e->outside = e->own = e->sourced = e->has_ended = true;
	e->ended.how = PG_HOW_CLOSE;
	e->tid = INT32_MIN;
	e->comm[sizeof e->comm - 1] = 0;
	worst_ended(e);
	e->object.story = NULL;
	e->object.offset = INT64_MAX;
	e->frames = PG_FRAMES_MAX;
	for (int i = 0; i < PG_WHATS; i++)
		e->object.warned[i] = (struct pg_warning){
			1 + (unsigned)i, 0, {UINTPTR_MAX, 1}, PG_CALL___vdprintf_chk, EAFNOSUPPORT};
	every_kind(e, 0);
	/* And names of every length, so that a list ends at every distance from the end of the
	 * line. */
	memset(module + 1, 0, sizeof module - 1);
	for (unsigned len = 0; len < 80; len++) {
		memset(symbol, 0, sizeof symbol);
		memset(symbol, 'x', len);
		op.bytes = INT64_MAX >> len % 63;
		e->object.sent = INT64_MAX >> len / 5;
		every_kind(e, len + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pg_event e;

	if (!pg_rules.calls) {
		init();
		worst(&e);
	}
	bytes = data;
	left = size;
	event(&e);
	write_both(&e);
	return 0;
}
