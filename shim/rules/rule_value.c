/* SPDX-License-Identifier: MIT */
/* The values of triggers and actions. */
#include "rules/rule_value.h"

#include "base/names.h"
#include "rules/rule_select.h"
#include "rules/rule_words.h"

/* ---- triggers ---- */

/* FIRST[..LAST][+[STEP]], strace's. */
static bool read_when(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *rule = p->rule;
	struct pg_rest r = pg_rest_of(p, v);
	bool ok = pg_take_number(&r, &rule->first);

	(void)f;
	rule->last = rule->first;
	if (ok && pg_take(&r, ".."))
		ok = pg_take_number(&r, &rule->last);
	else if (ok && !pg_rest_done(&r) && *r.s == '+')
		rule->last = UINT64_MAX;
	if (ok && pg_take(&r, "+") && !pg_rest_done(&r))
		ok = pg_take_number(&r, &rule->step);
	if (!ok || !pg_rest_done(&r))
		return pg_parse_fail(p, v, "not FIRST[..LAST][+[STEP]] (3, 2..5, 2+, 1..9+2):");
	if (rule->first > PG_NUMBER_MAX || rule->step > PG_NUMBER_MAX ||
	    (rule->last > PG_NUMBER_MAX && rule->last != UINT64_MAX))
		return pg_fits(p, v, 1, 0);
	if (!rule->first)
		return pg_parse_fail(p, v, "calls count from 1:");
	if (rule->last < rule->first)
		return pg_parse_fail(p, v, "can never fire, its last call is before its first:");
	if (!rule->step)
		return pg_parse_fail(p, v, "a step of 0:");
	if (rule->last == rule->first)
		rule->step = 1;
	return true;
}

static bool read_scope(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	unsigned scope = 0;

	(void)f;
	if (!pg_named_read(p, v, pg_scope_words, "unknown scope", &scope))
		return false;
	p->rule->scope = (enum pg_scope)scope;
	return true;
}

/* N% with up to six decimals. */
static bool read_prob(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rest r = pg_rest_of(p, v);
	uint64_t whole, part, of;

	(void)f;
	if (!pg_take_number(&r, &whole) || !pg_take_decimals(&r, 6, &part, &of))
		return pg_parse_fail(p, v, "not a probability (1%, 0.5%):");
	if (pg_rest_done(&r))
		return pg_parse_fail(p, v, "a probability without its '%':");
	if (!pg_take(&r, "%") || !pg_rest_done(&r))
		return pg_parse_fail(p, v, "not a probability (1%, 0.5%, six decimals at most):");
	if (whole > 100 || (whole == 100 && part))
		return pg_parse_fail(p, v, "more than 100%:");
	if (!whole && !part)
		return pg_parse_fail(p, v, "can never fire:");
	p->rule->prob = (whole * of + part) * PG_PROB_ALWAYS / (100 * of);
	return true;
}

static bool read_limit(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rest r = pg_rest_of(p, v);

	(void)f;
	if (!pg_take_number(&r, &p->rule->limit) || !pg_rest_done(&r))
		return pg_parse_fail(p, v, "not a number:");
	if (!p->rule->limit)
		return pg_parse_fail(p, v, "can never fire:");
	return pg_fits(p, v, p->rule->limit, PG_NUMBER_MAX);
}

/* after= and for=, hold= and delay=. */
static bool read_time(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *r = p->rule;
	uint64_t *out = f == PG_F_AFTER	 ? &r->after
			: f == PG_F_FOR	 ? &r->during
			: f == PG_F_HOLD ? &r->hold
					 : &r->delay;

	*out = (uint64_t)PG_HOLD_SECONDS * PG_S;
	if (v.len && !pg_read_duration(p, v, out))
		return false;
	return f != PG_F_FOR || *out ? true : pg_parse_fail(p, v, "can never fire:");
}

/* ---- actions ---- */

/* at=, short= and garbage=. */
static bool read_bytes(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *r = p->rule;
	uint64_t *out = f == PG_F_AT ? &r->at : f == PG_F_SHORT ? &r->shorten : &r->garbage;

	*out = UINT64_MAX;
	if (v.len && !pg_read_size(p, v, out))
		return false;
	return *out || f == PG_F_AT ? true : pg_parse_fail(p, v, "no bytes:");
}

/* SIZE/DURATION */
static bool read_trickle(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	size_t end = v.at + v.len, slash = pg_find(p->text, v.at, end, '/');
	struct pg_word size = pg_word(v.at, slash);

	(void)f;
	if (slash == end || slash == v.at || slash + 1 == end)
		return pg_parse_fail(p, v, "not SIZE/DURATION (1/10ms, 4k/1s):");
	if (!pg_read_size(p, size, &p->rule->trickle))
		return false;
	if (!p->rule->trickle)
		return pg_parse_fail(p, size, "no bytes:");
	return pg_read_duration(p, pg_word(slash + 1, end), &p->rule->trickle_every);
}

static bool read_error(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	(void)f;
	for (unsigned i = 0; pg_errno_listed(i); i++) {
		if (!pg_word_is(p, v, pg_errno_name(pg_errno_listed(i))))
			continue;
		p->rule->error = pg_errno_listed(i);
		return true;
	}
	return pg_parse_fail_near(p, v, "unknown errno", pg_nearest_errno(p, v));
}

/* Of triggers and actions; a null pointer: the field takes no value. */
static pg_read_fn *const readers[PG_F_COUNT] = {
	[PG_F_WHEN] = read_when,   [PG_F_SCOPE] = read_scope,	  [PG_F_AT] = read_bytes,
	[PG_F_AFTER] = read_time,  [PG_F_FOR] = read_time,	  [PG_F_PROB] = read_prob,
	[PG_F_LIMIT] = read_limit, [PG_F_HOLD] = read_time,	  [PG_F_DELAY] = read_time,
	[PG_F_SHORT] = read_bytes, [PG_F_TRICKLE] = read_trickle, [PG_F_GARBAGE] = read_bytes,
	[PG_F_ERROR] = read_error,
};

bool pg_value_taken(enum pg_field f)
{
	return f < PG_F_WHEN || readers[f];
}

bool pg_value_optional(enum pg_field f)
{
	return f == PG_F_HOLD || f == PG_F_GARBAGE;
}

bool pg_value_read(struct pg_parse *p, enum pg_field f, struct pg_word value)
{
	return f < PG_F_WHEN ? pg_selector_read(p, f, value) : readers[f](p, f, value);
}
