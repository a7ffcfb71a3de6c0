/* SPDX-License-Identifier: MIT */
#include "log/facts.h"

#include "who/symbol.h"
#include "rules/config.h"

enum { ACTIONS_MAX = 160 };

const char *pg_state_name(enum pg_state state)
{
	static const char *const names[] = {[PG_STATE_DEFAULT] = "default",
					    [PG_STATE_IGNORED] = "ignored",
					    [PG_STATE_CAUGHT] = "caught"};

	return names[state];
}

unsigned pg_by_age(const struct pg_warning *w, unsigned *order)
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

uint64_t pg_event_since(const struct pg_event *e, uint64_t at)
{
	return e->now > at ? e->now - at : 0;
}

int64_t pg_sent_since(const struct pg_event *e, const struct pg_warning *w)
{
	return e->object.sent < 0 ? -1 : (int64_t)((uint64_t)e->object.sent - w->sent);
}

const char *pg_event_call(const struct pg_event *e)
{
	return e->op->call ? pg_call_name(pg_call_plain(e->op->call)) : NULL;
}

int pg_event_rule(const struct pg_event *e)
{
	return e->plan ? (int)e->plan->rule : e->object.rule;
}

const char *pg_event_outcome(const struct pg_event *e)
{
	static const char *const held[] = {[PG_HELD] = "held until the peer left",
					   [PG_HELD_IN_VAIN] =
						   "held in vain: the peer is still there"};
	const struct pg_plan *p = e->plan;

	return p->already ? "it was broken before" : p->lost ? "the bytes are lost" : held[p->held];
}

void pg_put_actions(struct pg_text *t, const struct pg_event *e)
{
	const struct pg_rule *r = pg_rule_of((int)e->plan->rule);
	uint64_t bit = e->op->via == PG_VIA_STDIO
			       ? PG_STDIO_BIT
			       : (uint64_t)1 << (pg_call_plain(e->op->call) & 63);
	uint64_t can = r ? pg_rule_actions(r, bit) : 0;
	size_t end = t->len + ACTIONS_MAX;
	bool some = false;

	for (unsigned f = 0; f < PG_F_COUNT; f++) {
		struct pg_word w;

		if (!(can >> f & 1))
			continue;
		w = pg_rule_field(&pg_rules, r, (enum pg_field)f);
		if (t->len + w.len + 1 > end)
			continue;
		if (some)
			pg_put_char(t, ':');
		pg_put_bytes(t, pg_rules.text + w.at, w.len);
		some = true;
	}
}

/* Under a tracer who is not root a file's privileges are not given; who is attached to has them. */
bool pg_put_instead(struct pg_text *t, const struct pg_event *e)
{
	bool filtered = e->unreached.barrier == PG_BARRIER_LISTENER;
	bool traces = e->unreached.barrier == PG_BARRIER_TRACER;
	bool closed = e->unreached.barrier == PG_BARRIER_UNDUMPABLE ||
		      (e->unreached.barrier == PG_BARRIER_PRIVILEGED && !e->unreached.by_root);

	if (!e->unreached.reachable || ((filtered || closed) && e->unreached.child < 0))
		return false;
	pg_put(t, traces     ? "pipeguard run --inside"
		  : filtered ? "pipeguard attach -r RULE "
		  : closed   ? "sudo pipeguard attach "
			     : "pipeguard run --both");
	if (filtered || closed)
		pg_put_i64(t, e->unreached.child);
	return true;
}

void pg_put_sources(struct pg_text *t, const struct pg_event *e)
{
	size_t known = t->len, before;

	for (unsigned i = 0; i < e->frames; i++) {
		pg_put(t, i ? " < " : "");
		before = t->len;
		if (!pg_source_at(e->frame[i], t))
			pg_put_char(t, '?');
		if (t->len >= t->cap)
			break;
		known = t->buf[before] == '?' && t->len == before + 1 ? known : t->len;
	}
	t->len = known;
}

bool pg_knows_signal(const struct pg_event *e)
{
	return e->ev == PG_EV_EPIPE && e->signal != PG_SIG_ASK;
}

bool pg_has_local(const struct pg_object *o)
{
	static const uint8_t zero[sizeof o->local.ip];
	const struct pg_addr *a = &o->local;

	bool nowhere = !__builtin_memcmp(a->ip, zero, a->family == AF_INET ? 4 : sizeof zero);

	return a->family && (!nowhere || (a->port && o->side != PG_CLIENT));
}
