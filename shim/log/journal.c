/* SPDX-License-Identifier: MIT */
#include "log/journal.h"

#include "base/names.h"
#include "log/event_json.h"
#include "log/facts.h"

enum { LAST = 16 }; /* "MESSAGE\n" and its length, for which there is always room */

/* Takes back the field that began at BEFORE if it did not fit. */
static void end_field(struct pg_text *t, size_t before)
{
	pg_put_char(t, '\n');
	if (t->len == t->cap)
		t->len = before;
}

/* What is in VALUE ends no line. */
static void field(struct pg_text *t, const char *name, const char *value)
{
	size_t before = t->len;

	if (!value || !*value)
		return;
	pg_put(t, name);
	pg_put_char(t, '=');
	pg_put_name(t, value, PG_NAME_SHOWN);
	end_field(t, before);
}

static void peer(struct pg_text *t, const struct pg_object *o)
{
	size_t before = t->len;

	if (!o->peer.family) {
		field(t, "PIPEGUARD_PEER", o->peer_path);
		return;
	}
	pg_put(t, "PIPEGUARD_PEER=");
	pg_put_addr(t, &o->peer);
	end_field(t, before);
}

static void site(struct pg_text *t, uint64_t hash)
{
	size_t before = t->len;

	if (!hash)
		return;
	pg_put(t, "PIPEGUARD_SITE=");
	for (int shift = 60; shift >= 0; shift -= 4)
		pg_put_char(t, "0123456789abcdef"[hash >> shift & 15]);
	end_field(t, before);
}

void pg_journal_head(struct pg_text *t, const struct pg_event *e, size_t len)
{
	bool broke = e->ev == PG_EV_EPIPE || e->ev == PG_EV_KILLED;

	t->cap -= LAST;
	pg_put(t, broke ? "PRIORITY=4\n" : "PRIORITY=6\n"); /* syslog's warning, information */
	field(t, "SYSLOG_IDENTIFIER", e->comm);
	field(t, "PIPEGUARD_EVENT", pg_event_word(e));
	field(t, "PIPEGUARD_CALL", e->op ? pg_event_call(e) : NULL);
	field(t, "PIPEGUARD_ERRNO", e->op && e->op->err ? pg_errno_name(e->op->err) : NULL);
	field(t, "PIPEGUARD_SIGNAL", pg_event_signal(e));
	peer(t, &e->object);
	site(t, e->hash);
	t->cap += LAST;
	pg_put(t, "MESSAGE\n"); /* it may have several lines: 64 bits say how long it is */
	for (unsigned i = 0; i < sizeof(uint64_t); i++)
		pg_put_char(t, (char)((uint64_t)len >> 8 * i & 0xff));
}
