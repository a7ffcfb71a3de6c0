/* SPDX-License-Identifier: MIT */
/* The normal form of a rule, and the line of an error. */
#include "base/names.h"
#include "rules/rule_peer.h"
#include "rules/rule_select.h"
#include "rules/rule_value.h"
#include "rules/rule_words.h"

static void put_comma(struct pg_text *t, unsigned n)
{
	if (n)
		pg_put_char(t, ',');
}

static void put_size(struct pg_text *t, uint64_t v)
{
	unsigned shift = !v || v & 0x3ff ? 0 : v & 0xfffff ? 10 : 20;

	pg_put_u64(t, v >> shift);
	if (shift)
		pg_put_char(t, shift == 10 ? 'k' : 'M');
}

/* V of 10^DIGITS behind the point, without zeros at the end. */
static void put_decimals(struct pg_text *t, uint64_t v, unsigned digits)
{
	if (!v)
		return;
	for (; v % 10 == 0; v /= 10)
		digits--;
	pg_put_char(t, '.');
	pg_put_padded(t, v, digits);
}

static void put_duration(struct pg_text *t, uint64_t ns)
{
	if (ns % 1000000000 == 0) {
		pg_put_u64(t, ns / 1000000000);
		pg_put(t, "s");
	} else if (ns % 1000000 == 0) {
		pg_put_u64(t, ns / 1000000);
		pg_put(t, "ms");
	} else {
		pg_put_u64(t, ns / 1000);
		put_decimals(t, ns % 1000, 3);
		pg_put(t, "us");
	}
}

/* The number of millionths of a percent whose probability it is, rounded up since reading rounds
 * down. */
static void put_probability(struct pg_text *t, uint64_t prob)
{
	uint64_t millionths = (prob * 100000000 + PG_PROB_ALWAYS - 1) / PG_PROB_ALWAYS;

	pg_put_u64(t, millionths / 1000000);
	put_decimals(t, millionths % 1000000, 6);
	pg_put_char(t, '%');
}

static void put_ranges(struct pg_text *t, const struct pg_ranges *rs, enum pg_field f)
{
	void (*number)(struct pg_text *, uint64_t) = f == PG_F_LEN ? put_size : pg_put_u64;

	if (rs->negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < rs->n; i++) {
		const struct pg_range *r = &rs->r[i];

		put_comma(t, i);
		number(t, (uint64_t)r->lo);
		if (r->lo == r->hi)
			continue;
		pg_put_char(t, '-');
		if (r->hi != pg_range_max(f))
			number(t, (uint64_t)r->hi);
	}
}

static void put_words(struct pg_text *t, const char *text, const struct pg_words *ws)
{
	if (ws->negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < ws->n; i++) {
		put_comma(t, i);
		pg_put_bytes(t, text + ws->w[i].at, ws->w[i].len);
	}
}

/* The words of LIST that together are BITS. */
static void put_named(struct pg_text *t, const struct pg_named *list, unsigned bits)
{
	for (unsigned n = 0; list->name; list++) {
		if (!list->value || (bits & list->value) != list->value)
			continue;
		put_comma(t, n++);
		pg_put(t, list->name);
		bits &= ~list->value;
	}
}

/* Sockets of no family we know have no word of their own: only "socket" and "!" reach them. */
static void put_kinds(struct pg_text *t, unsigned kinds)
{
	if (kinds & PG_KINDS_OTHER_SOCKET && (kinds & PG_KINDS_SOCKET) != PG_KINDS_SOCKET) {
		pg_put_char(t, '!');
		kinds = ~kinds & PG_KINDS_ALL;
	}
	put_named(t, pg_kind_words, kinds);
}

static void put_sites(struct pg_text *t, const struct pg_rule *r)
{
	if (r->not_site)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < r->sites; i++) {
		put_comma(t, i);
		pg_put_digits(t, r->site[i]);
	}
}

static void put_when(struct pg_text *t, const struct pg_rule *r)
{
	bool open = r->last == UINT64_MAX, single = r->last == r->first;

	pg_put_u64(t, r->first);
	if (!open && !single) {
		pg_put(t, "..");
		pg_put_u64(t, r->last);
	}
	if (open || r->step > 1)
		pg_put_char(t, '+');
	if (r->step > 1)
		pg_put_u64(t, r->step);
}

static void put_selector(struct pg_text *t, const char *text, const struct pg_rule *r,
			 enum pg_field f)
{
	if (f == PG_F_PEER)
		pg_peer_put(t, text, r);
	else if (pg_rule_ranges(r, f))
		put_ranges(t, pg_rule_ranges(r, f), f);
	else if (pg_rule_words(r, f))
		put_words(t, text, pg_rule_words(r, f));
	else if (f == PG_F_KIND)
		put_kinds(t, r->kinds);
	else if (f == PG_F_SIDE)
		pg_put(t, pg_side_words[r->side - 1].name);
	else if (f == PG_F_SITE)
		put_sites(t, r);
	else
		put_named(t, pg_seen_words, r->seen);
}

static void put_value(struct pg_text *t, const struct pg_rule *r, enum pg_field f)
{
	switch (f) {
	case PG_F_WHEN:
		return put_when(t, r);
	case PG_F_SCOPE:
		return put_named(t, pg_scope_words, r->scope);
	case PG_F_AT:
		return put_size(t, r->at);
	case PG_F_AFTER:
		return put_duration(t, r->after);
	case PG_F_FOR:
		return put_duration(t, r->during);
	case PG_F_PROB:
		return put_probability(t, r->prob);
	case PG_F_LIMIT:
		return pg_put_u64(t, r->limit);
	case PG_F_HOLD:
		return put_duration(t, r->hold);
	case PG_F_DELAY:
		return put_duration(t, r->delay);
	case PG_F_SHORT:
		return put_size(t, r->shorten);
	case PG_F_TRICKLE:
		put_size(t, r->trickle);
		pg_put_char(t, '/');
		return put_duration(t, r->trickle_every);
	case PG_F_GARBAGE:
		return put_size(t, r->garbage);
	default:
		return pg_put(t, pg_errno_name(r->error));
	}
}

void pg_rule_put(struct pg_text *t, const struct pg_rule_set *rules, unsigned n)
{
	const struct pg_rule *r = &rules->rule[n];

	pg_put(t, r->id);
	pg_put_char(t, '=');
	pg_put_bytes(t, rules->text + r->set.at, r->set.len);
	for (unsigned i = 0; i < PG_F_COUNT; i++) {
		enum pg_field f = (enum pg_field)i;

		if (!pg_has(r, f))
			continue;
		pg_put_char(t, ':');
		pg_put(t, pg_field_name(f));
		if (!pg_value_taken(f) || (f == PG_F_GARBAGE && r->garbage == UINT64_MAX))
			continue;
		pg_put_char(t, '=');
		if (f < PG_F_WHEN)
			put_selector(t, rules->text, r, f);
		else
			put_value(t, r, f);
	}
}

static void put_place(struct pg_text *t, const char *what, unsigned n)
{
	pg_put(t, what);
	pg_put_u64(t, n);
}

void pg_rule_put_error(struct pg_text *t, const struct pg_rule_error *error)
{
	if (error->line) {
		put_place(t, "line ", error->line);
		pg_put(t, ", ");
	}
	put_place(t, "rule ", error->rule);
	put_place(t, ", column ", error->column);
	pg_put(t, ": ");
	pg_put(t, error->what);
	if (error->word[0]) {
		pg_put(t, " '");
		pg_put_name(t, error->word, sizeof error->word);
		pg_put_char(t, '\'');
	}
	if (error->near) {
		pg_put(t, " (did you mean '");
		pg_put(t, error->near);
		pg_put(t, "'?)");
	}
}
