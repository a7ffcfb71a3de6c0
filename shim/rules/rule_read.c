/* SPDX-License-Identifier: MIT */
/* Numbers, sizes, durations, lists: what the readers of values are made of. */
#include "rules/rule_read.h"

static const uint64_t duration_max = (uint64_t)1000000 * PG_S;

bool pg_take(struct pg_rest *r, const char *word)
{
	size_t n = pg_len(word);

	if ((size_t)(r->end - r->s) < n || !pg_prefix(r->s, word))
		return false;
	r->s += n;
	return true;
}

bool pg_take_number(struct pg_rest *r, uint64_t *out)
{
	const char *start = r->s;
	uint64_t v = 0;

	for (; !pg_rest_done(r) && *r->s >= '0' && *r->s <= '9'; r->s++)
		if (v <= PG_NUMBER_MAX)
			v = v * 10 + (uint64_t)(*r->s - '0');
	*out = v <= PG_NUMBER_MAX ? v : PG_NUMBER_MAX + 1;
	return r->s != start;
}

bool pg_take_decimals(struct pg_rest *r, unsigned most, uint64_t *part, uint64_t *of)
{
	*part = 0;
	*of = 1;
	if (!pg_take(r, "."))
		return true;
	for (; !pg_rest_done(r) && *r->s >= '0' && *r->s <= '9' && most; r->s++, most--, *of *= 10)
		*part = *part * 10 + (uint64_t)(*r->s - '0');
	return *of > 1;
}

bool pg_fits(struct pg_parse *p, struct pg_word w, uint64_t v, uint64_t max)
{
	return v <= max ? true : pg_parse_fail(p, w, "a number that is too big:");
}

bool pg_take_size(struct pg_rest *r, uint64_t *out)
{
	unsigned shift;

	if (!pg_take_number(r, out))
		return false;
	shift = pg_take(r, "k") || pg_take(r, "K")   ? 10
		: pg_take(r, "m") || pg_take(r, "M") ? 20
						     : 0;
	if (shift)
		pg_take(r, "iB");
	*out = *out <= PG_NUMBER_MAX >> shift ? *out << shift : PG_NUMBER_MAX + 1;
	return true;
}

bool pg_read_count(const char *s, uint64_t *out)
{
	struct pg_rest r = {s, s + pg_len(s)};

	return pg_take_size(&r, out) && pg_rest_done(&r);
}

bool pg_read_size(struct pg_parse *p, struct pg_word w, uint64_t *out)
{
	struct pg_rest r = pg_rest_of(p, w);

	if (!pg_take_size(&r, out) || !pg_rest_done(&r))
		return pg_parse_fail(p, w, "not a size (512, 64k, 1M):");
	return pg_fits(p, w, *out, PG_NUMBER_MAX);
}

static uint64_t take_unit(struct pg_rest *r)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"us", PG_US}, {"ms", PG_MS}, {"s", PG_S}, {"m", (uint64_t)60 * PG_S}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (pg_take(r, units[i].name))
			return units[i].ns;
	return 0;
}

const char *pg_take_duration(struct pg_rest *r, uint64_t *out)
{
	uint64_t v, part, of, unit, many;

	if (!pg_take_number(r, &v) || !pg_take_decimals(r, 9, &part, &of))
		return "not a duration (250us, 1.5ms, 2s):";
	if (pg_rest_done(r))
		return "a duration without its unit (us, ms or s):";
	unit = take_unit(r);
	if (!unit || !pg_rest_done(r))
		return "not a duration (250us, 1.5ms, 2s):";
	if (v > duration_max / unit)
		return "a duration of more than 1000000s:";
	many = unit > PG_S ? unit / PG_S : 1; /* no product of PART has more than 64 bits */
	*out = v * unit + part * many / of * (unit / many) + part * many % of * (unit / many) / of;
	return NULL;
}

bool pg_read_duration(struct pg_parse *p, struct pg_word w, uint64_t *out)
{
	struct pg_rest r = pg_rest_of(p, w);
	const char *wrong = pg_take_duration(&r, out);

	return wrong ? pg_parse_fail(p, w, wrong) : true;
}

bool pg_each(struct pg_parse *p, const struct pg_field_row *f, struct pg_word list, bool *negate,
	     pg_one_fn *one)
{
	size_t at = list.at, end = list.at + list.len, stop;

	*negate = p->text[at] == '!';
	at += *negate;
	for (unsigned n = 0;; at = stop + 1, n++) {
		struct pg_word w;

		stop = pg_find(p->text, at, end, ',');
		w = pg_word(at, stop);
		if (!w.len)
			return pg_parse_fail_at(p, at, "an empty value in a list");
		if (n == PG_LIST_MAX)
			return pg_parse_fail(p, w, "more than 8 alternatives, from here on:");
		if (w.len > PG_WORD_MAX)
			return pg_parse_fail(p, w, "a word of more than 120 bytes:");
		if (p->text[at] == '!')
			return pg_parse_fail(p, w, "'!' stands once, before the whole list:");
		if (!one(p, f, w, n))
			return false;
		if (stop == end)
			return true;
	}
}

bool pg_each_word(struct pg_parse *p, const struct pg_field_row *f, struct pg_word list,
		  pg_one_fn *one)
{
	struct pg_words *words = pg_member(p->rule, f);

	words->at = (uint16_t)p->words;
	return pg_each(p, f, list, &words->negate, one);
}

void pg_add_word(struct pg_parse *p, struct pg_words *to, struct pg_word w)
{
	p->out->word[p->words++] = w;
	to->n++;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pg_take_hex(struct pg_rest *r, unsigned most, uint64_t *out)
{
	const char *start = r->s;

	for (*out = 0; !pg_rest_done(r) && most && hex_value(*r->s) >= 0; r->s++, most--)
		*out = *out << 4 | (uint64_t)hex_value(*r->s);
	return r->s != start;
}
