/* SPDX-License-Identifier: MIT */
#include "log/again.h"

#include "log/facts.h"
#include "rules/config.h"

enum { GLOB_MAX = 64 };

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

static void put_caller(struct pg_text *t, struct pg_naming *to, uintptr_t addr)
{
	const struct pg_module *m = pg_module_at(addr, &to->module);

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
		if (words[what] && o->warned[what].at)
			return words[what];
	return NULL;
}

bool pg_has_again(const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	return e->ev == PG_EV_EPIPE && !e->op->inlined && e->op->call && e->op->fd >= 0 &&
	       o->kind >= PG_PIPE && o->kind <= PG_SOCKET &&
	       (!o->stream || o->offset >= 0 || seen(o));
}

void pg_put_again(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_object *o = &e->object;

	pg_put(t, e->op->via == PG_VIA_STDIO ? "%stdio" : pg_event_call(e));
	pg_put(t, ":comm=");
	put_glob(t, pg_program_name());
	if (o->number) {
		pg_put(t, o->side == PG_SERVER ? ":side=server:conn=" : ":side=client:conn=");
		pg_put_u64(t, o->number);
	} else {
		pg_put(t, ":fd=");
		pg_put_i64(t, e->op->fd);
	}
	if (o->stream && o->offset >= 0) {
		pg_put(t, ":at=");
		pg_put_u64(t, (uint64_t)o->offset + (e->op->err ? 0 : (uint64_t)e->op->ret));
	} else {
		if (seen(o)) {
			pg_put(t, ":seen=");
			pg_put(t, seen(o));
		}
		if (e->frames)
			put_caller(t, e->naming, e->frame[0]);
	}
	pg_put(t, ":when=1:break");
}
