/* SPDX-License-Identifier: MIT */
/* The values of triggers and actions. */
#include "rules/rule_value.h"

#include "base/names.h"
#include "rules/rule_words.h"

/* ---- triggers ---- */

/* FIRST[..LAST][+[STEP]], strace's. */
bool pg_read_when(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	struct pg_rule *rule = p->rule;
	struct pg_rest r = pg_rest_of(p, v);
	bool ok = pg_take_size(&r, &rule->first);

	(void)f;
	rule->last = rule->first;
	if (ok && pg_take(&r, ".."))
		ok = pg_take_size(&r, &rule->last);
	else if (ok && !pg_rest_done(&r) && *r.s == '+')
		rule->last = UINT64_MAX;
	if (ok && pg_take(&r, "+") && !pg_rest_done(&r))
		ok = pg_take_size(&r, &rule->step);
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

bool pg_read_scope(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	unsigned scope = 0;

	(void)f;
	if (!pg_named_read(p, v, pg_scope_words, "unknown scope", &scope))
		return false;
	p->rule->scope = (uint8_t)scope;
	return true;
}

/* N% with up to six decimals. */
bool pg_read_prob(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
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

bool pg_read_limit(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	struct pg_rest r = pg_rest_of(p, v);

	(void)f;
	if (!pg_take_size(&r, &p->rule->limit) || !pg_rest_done(&r))
		return pg_parse_fail(p, v, "not a number (3, 1k):");
	if (!p->rule->limit)
		return pg_parse_fail(p, v, "can never fire:");
	return pg_fits(p, v, p->rule->limit, PG_NUMBER_MAX);
}

/* Nanoseconds; left out, its bound. */
bool pg_read_time(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	uint64_t *out = pg_member(p->rule, f);

	*out = f->bound;
	return !v.len || pg_read_duration(p, v, out);
}

/* The same, but more than none. */
bool pg_read_period(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	if (!pg_read_time(p, f, v))
		return false;
	return *(uint64_t *)pg_member(p->rule, f) ? true : pg_parse_fail(p, v, "can never fire:");
}

/* ---- actions ---- */

bool pg_read_offset(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	uint64_t *out = pg_member(p->rule, f);

	*out = f->bound;
	return !v.len || pg_read_size(p, v, out);
}

/* The same, but more than none. */
bool pg_read_bytes(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	if (!pg_read_offset(p, f, v))
		return false;
	return *(uint64_t *)pg_member(p->rule, f) ? true : pg_parse_fail(p, v, "no bytes:");
}

/* SIZE/DURATION */
bool pg_read_trickle(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
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

bool pg_read_error(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	(void)f;
	p->rule->error = pg_errno_named(p->text + v.at, v.len);
	return p->rule->error ? true
			      : pg_parse_fail_near(p, v, "unknown errno", pg_nearest_errno(p, v));
}
