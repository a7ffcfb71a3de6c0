/* SPDX-License-Identifier: MIT */
/* Rules that can never fire because an earlier one takes all their calls. */
#include "rules/rule_shadow.h"

#include "base/ip.h"
#include "rules/rule_fields.h"

#include <sys/socket.h>

static bool always(const struct pg_rule *r)
{
	if (!(r->fields & pg_fields_with(PG_IS_TRIGGER)))
		return true;
	return r->first == 1 && r->last == UINT64_MAX && r->step == 1 && !r->at && !r->after &&
	       !r->during && r->prob == PG_PROB_ALWAYS && r->limit == UINT64_MAX;
}

static bool same_word(const struct pg_parse *p, struct pg_word a, struct pg_word b)
{
	for (unsigned i = 0; i < a.len && i < b.len; i++)
		if (p->text[a.at + i] != p->text[b.at + i])
			return false;
	return a.len == b.len;
}

/* Is each range of IN inside one of OF's? */
static bool ranges_covered(const struct pg_parse *p, const struct pg_ranges *in,
			   const struct pg_ranges *of)
{
	const struct pg_range *inner = &p->out->range[in->at], *outer = &p->out->range[of->at];

	for (unsigned i = 0; i < in->n; i++) {
		unsigned j = 0;

		while (j < of->n && (inner[i].lo < outer[j].lo || inner[i].hi > outer[j].hi))
			j++;
		if (j == of->n)
			return false;
	}
	return true;
}

static unsigned alternatives(const struct pg_rule *r, enum pg_field f)
{
	return f == PG_F_SITE ? r->site.n : pg_rule_words(r, f)->n;
}

static bool negated(const struct pg_rule *r, enum pg_field f)
{
	return f == PG_F_SITE ? r->site.negate : pg_rule_words(r, f)->negate;
}

/* Is alternative I of B's field F inside alternative J of A's? */
static bool inside(const struct pg_parse *p, const struct pg_rule *b, unsigned i,
		   const struct pg_rule *a, unsigned j, enum pg_field f)
{
	const struct pg_rule_set *set = p->out;
	const struct pg_net *in = &set->net[b->net + i], *of = &set->net[a->net + j];

	if (f == PG_F_SITE)
		return set->site[b->site.at + i] == set->site[a->site.at + j];
	if (f == PG_F_PEER && in->family != AF_UNIX)
		return in->family == of->family && in->bits >= of->bits &&
		       pg_same_bits(in->ip, of->ip, of->bits);
	return same_word(p, set->word[pg_rule_words(b, f)->at + i],
			 set->word[pg_rule_words(a, f)->at + j]);
}

/* Is each alternative of B's field F inside one of A's? */
static bool covered(const struct pg_parse *p, const struct pg_rule *b, const struct pg_rule *a,
		    enum pg_field f)
{
	for (unsigned i = 0; i < alternatives(b, f); i++) {
		unsigned j = 0;

		while (j < alternatives(a, f) && !inside(p, b, i, a, j, f))
			j++;
		if (j == alternatives(a, f))
			return false;
	}
	return true;
}

/* Is selector F, which both have, true of A whenever it is of B? By what it means, not how it is
 * written. */
static bool implied(const struct pg_parse *p, const struct pg_rule *a, const struct pg_rule *b,
		    enum pg_field f)
{
	const struct pg_ranges *ours, *theirs;

	if (f == PG_F_CONN) /* counts per rule */
		return false;
	if (f == PG_F_KIND)
		return !(b->kinds & ~a->kinds);
	if (f == PG_F_SIDE)
		return a->side == b->side;
	if (f == PG_F_SEEN)
		return !(b->seen & ~a->seen);
	ours = pg_rule_ranges(a, f);
	theirs = pg_rule_ranges(b, f);
	if (ours)
		return ours->negate == theirs->negate &&
		       (ours->negate ? ranges_covered(p, ours, theirs)
				     : ranges_covered(p, theirs, ours));
	if (negated(a, f) != negated(b, f))
		return false;
	return negated(a, f) ? covered(p, a, b, f) : covered(p, b, a, f);
}

/* Does A, whose selectors B all has, fire whenever B matches a call that both have? */
static bool takes_all(const struct pg_parse *p, const struct pg_rule *a, const struct pg_rule *b)
{
	if (a->terminal == PG_F_COUNT || b->able & ~a->able || !always(a))
		return false;
	for (uint64_t left = a->fields & pg_fields_with(PG_IS_SELECTOR); left; left &= left - 1)
		if (!implied(p, a, b, (enum pg_field)__builtin_ctzll(left)))
			return false;
	return true;
}

/*
 * Each rule against each would be 2,016 looks: most earlier rules are told apart
 * by one number or word that they ask for. A rule that asks field F for nothing
 * else than some such keys is noted under each; then it can take only what asks
 * F for one of them.
 */
static unsigned slot_of(enum pg_field f, uint64_t key)
{
	return pg_mix(f, key) >> 32 & 63;
}

/* The key of alternative I of R's field F; false: it has none. */
static bool key_of(const struct pg_parse *p, const struct pg_rule *r, enum pg_field f, unsigned i,
		   uint64_t *key)
{
	const struct pg_ranges *ranges = pg_rule_ranges(r, f);
	const struct pg_range *range = ranges ? &p->out->range[ranges->at + i] : NULL;
	struct pg_word w;

	if (range) {
		*key = (uint64_t)range->lo;
		return i < ranges->n && !ranges->negate && range->lo == range->hi;
	}
	if (!pg_rule_words(r, f) || f == PG_F_PEER || negated(r, f) || i >= alternatives(r, f))
		return false;
	w = p->out->word[pg_rule_words(r, f)->at + i];
	*key = (uint64_t)w.len << 16 | (uint64_t)(unsigned char)p->text[w.at] << 8 |
	       (unsigned char)p->text[w.at + w.len - 1];
	return true;
}

static unsigned number_of(const struct pg_rule *r, enum pg_field f)
{
	const struct pg_ranges *ranges = pg_rule_ranges(r, f);

	return ranges ? ranges->n : pg_rule_words(r, f) ? pg_rule_words(r, f)->n : 0;
}

/* Notes rule N, which may take others' calls, under the keys of F; false: it asks for more. */
static bool note_keys(struct pg_parse *p, unsigned n, enum pg_field f)
{
	const struct pg_rule *r = &p->out->rule[n];
	uint64_t slots = 0, key;

	for (unsigned i = 0; i < number_of(r, f); i++) {
		if (!key_of(p, r, f, i, &key))
			return false;
		slots |= PG_BIT(slot_of(f, key));
	}
	for (uint64_t left = slots; left; left &= left - 1)
		p->out->work.takers_of[__builtin_ctzll(left)] |= PG_BIT(n);
	return slots;
}

static void note(struct pg_parse *p, unsigned n)
{
	const struct pg_rule *r = &p->out->rule[n];
	uint64_t left = r->fields & pg_fields_with(PG_IS_SELECTOR);

	if (!always(r) || pg_has(r, PG_F_CONN)) /* takes never all */
		return;
	while (left && !note_keys(p, n, (enum pg_field)__builtin_ctzll(left)))
		left &= left - 1;
	if (!left)
		p->out->work.takers |= PG_BIT(n);
}

/* The earlier rules that may take all calls of R, by their numbers: one key of each list is enough.
 */
static uint64_t takers(const struct pg_parse *p, const struct pg_rule *r)
{
	uint64_t found = p->out->work.takers, key;

	for (uint64_t left = r->fields & pg_fields_with(PG_IS_SELECTOR); left; left &= left - 1) {
		enum pg_field f = (enum pg_field)__builtin_ctzll(left);

		if (key_of(p, r, f, 0, &key))
			found |= p->out->work.takers_of[slot_of(f, key)];
	}
	return found;
}

/* Only the first final action of a call is carried out; modifiers of later rules still are. */
bool pg_shadow_check(struct pg_parse *p, struct pg_word whole)
{
	uint64_t left = p->rule->calls;
	uint64_t others = pg_fields_with(PG_IS_SELECTOR) & ~p->rule->fields;

	if (p->rule->terminal == PG_F_COUNT)
		return true;
	for (uint64_t from = takers(p, p->rule); from; from &= from - 1) {
		const struct pg_rule *earlier = &p->out->rule[__builtin_ctzll(from)];

		if (earlier->fields & others || !takes_all(p, earlier, p->rule))
			continue;
		left &= ~earlier->calls;
		if (left)
			continue;
		pg_parse_fail_at(p, whole.at, "can never fire, all its calls are taken before, by");
		pg_copy(p->error->word, sizeof p->error->word, earlier->id);
		return false;
	}
	note(p, p->out->n);
	return true;
}
