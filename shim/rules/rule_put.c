/* SPDX-License-Identifier: MIT */
/* Values in their normal form. */
#include "rules/rule_put.h"

#include "base/names.h"
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

static void put_ns(struct pg_text *t, uint64_t ns)
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
void pg_print_prob(struct pg_text *t, const struct pg_value *v)
{
	uint64_t millionths = (v->rule->prob * 100000000 + PG_PROB_ALWAYS - 1) / PG_PROB_ALWAYS;

	pg_put_u64(t, millionths / 1000000);
	put_decimals(t, millionths % 1000000, 6);
	pg_put_char(t, '%');
}

void pg_print_ranges(struct pg_text *t, const struct pg_value *v)
{
	void (*number)(struct pg_text *, uint64_t) =
		v->field->id == PG_F_LEN ? put_size : pg_put_u64;
	const struct pg_ranges *rs = pg_member(v->rule, v->field);

	if (rs->negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < rs->n; i++) {
		const struct pg_range *one = &v->set->range[rs->at + i];

		put_comma(t, i);
		number(t, (uint64_t)one->lo);
		if (one->lo == one->hi)
			continue;
		pg_put_char(t, '-');
		if (one->hi != (int64_t)v->field->bound)
			number(t, (uint64_t)one->hi);
	}
}

void pg_print_words(struct pg_text *t, const struct pg_value *v)
{
	const struct pg_words *ws = pg_member(v->rule, v->field);

	if (ws->negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < ws->n; i++) {
		struct pg_word w = v->set->word[ws->at + i];

		put_comma(t, i);
		pg_put_bytes(t, v->set->text + w.at, w.len);
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
void pg_print_kinds(struct pg_text *t, const struct pg_value *v)
{
	unsigned kinds = v->rule->kinds;

	if (kinds & PG_KINDS_OTHER_SOCKET && (kinds & PG_KINDS_SOCKET) != PG_KINDS_SOCKET) {
		pg_put_char(t, '!');
		kinds = ~kinds & PG_KINDS_ALL;
	}
	put_named(t, pg_kind_words, kinds);
}

void pg_print_sites(struct pg_text *t, const struct pg_value *v)
{
	if (v->rule->site.negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < v->rule->site.n; i++) {
		put_comma(t, i);
		pg_put_digits(t, v->set->site[v->rule->site.at + i]);
	}
}

void pg_print_when(struct pg_text *t, const struct pg_value *v)
{
	bool open = v->rule->last == UINT64_MAX, single = v->rule->last == v->rule->first;

	pg_put_u64(t, v->rule->first);
	if (!open && !single) {
		pg_put(t, "..");
		pg_put_u64(t, v->rule->last);
	}
	if (open || v->rule->step > 1)
		pg_put_char(t, '+');
	if (v->rule->step > 1)
		pg_put_u64(t, v->rule->step);
}

void pg_print_side(struct pg_text *t, const struct pg_value *v)
{
	pg_put(t, pg_side_words[v->rule->side - 1].name);
}

void pg_print_seen(struct pg_text *t, const struct pg_value *v)
{
	put_named(t, pg_seen_words, v->rule->seen);
}

void pg_print_scope(struct pg_text *t, const struct pg_value *v)
{
	put_named(t, pg_scope_words, v->rule->scope);
}

void pg_print_size(struct pg_text *t, const struct pg_value *v)
{
	put_size(t, *(const uint64_t *)pg_member(v->rule, v->field));
}

void pg_print_duration(struct pg_text *t, const struct pg_value *v)
{
	put_ns(t, *(const uint64_t *)pg_member(v->rule, v->field));
}

void pg_print_number(struct pg_text *t, const struct pg_value *v)
{
	pg_put_u64(t, *(const uint64_t *)pg_member(v->rule, v->field));
}

void pg_print_trickle(struct pg_text *t, const struct pg_value *v)
{
	put_size(t, v->rule->trickle);
	pg_put_char(t, '/');
	put_ns(t, v->rule->trickle_every);
}

void pg_print_error(struct pg_text *t, const struct pg_value *v)
{
	pg_put(t, pg_errno_name(v->rule->error));
}
