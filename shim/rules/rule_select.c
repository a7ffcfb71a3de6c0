/* SPDX-License-Identifier: MIT */
/* The values of selectors. */
#include "rules/rule_select.h"

#include "rules/rule_words.h"

/* N, N-, N-M. What counts may be short: 4k. */
static bool one_range(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w,
		      unsigned n)
{
	struct pg_ranges *out = pg_member(p->rule, f);
	bool (*number)(struct pg_rest *, uint64_t *) =
		f->id == PG_F_LEN || f->id == PG_F_CONN ? pg_take_size : pg_take_number;
	uint64_t lo, hi, max = f->bound;
	struct pg_rest r = pg_rest_of(p, w);
	bool ok = number(&r, &lo);

	(void)n;
	hi = lo;
	if (ok && pg_take(&r, "-")) {
		hi = max;
		ok = pg_rest_done(&r) || number(&r, &hi);
	}
	if (!ok || !pg_rest_done(&r))
		return pg_parse_fail(p, w, "not a number or a range (3, 3-7, 10-):");
	if (!pg_fits(p, w, lo, max) || !pg_fits(p, w, hi, max))
		return false;
	if (lo > hi)
		return pg_parse_fail(p, w, "a range that is empty:");
	if (f->id == PG_F_CONN && !lo)
		return pg_parse_fail(p, w, "connections count from 1:");
	p->out->range[p->ranges++] = (struct pg_range){(int64_t)lo, (int64_t)hi};
	out->n++;
	return true;
}

/* Do the ranges leave nothing of FIRST to MAX out? Each round moves FIRST on, or is the last. */
static bool covers_all(const struct pg_range *r, unsigned n, int64_t first, int64_t max)
{
	int64_t before;

	do {
		before = first;
		for (unsigned i = 0; i < n; i++)
			if (r[i].lo <= first && r[i].hi >= first)
				first = r[i].hi + 1;
	} while (first != before);
	return first > max;
}

bool pg_read_ranges(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	struct pg_ranges *out = pg_member(p->rule, f);

	out->at = (uint16_t)p->ranges;
	if (!pg_each(p, f, v, &out->negate, one_range))
		return false;
	if (out->negate &&
	    covers_all(&p->out->range[out->at], out->n, f->id == PG_F_CONN, (int64_t)f->bound))
		return pg_parse_fail(p, v, "can never fire, no number is left by");
	return true;
}

bool pg_read_conn(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	unsigned before = 0;

	for (unsigned i = 0; i < p->out->n; i++)
		before += pg_has(&p->out->rule[i], f->id);
	if (before == PG_CONN_RULES)
		return pg_parse_fail(p, pg_rule_field(p->out, p->rule, f->id),
				     "more than 4 rules with conn=:");
	p->rule->conn_slot = (uint8_t)before;
	return pg_read_ranges(p, f, v);
}

static bool one_word(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	(void)n;
	pg_add_word(p, pg_member(p->rule, f), w);
	return true;
}

/* A link of /proc/self/fd: a path, or "socket:[1]" and the like. */
static bool one_path(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	const char *text = p->text;
	size_t end = w.at + w.len;

	if (text[w.at] == '/')
		return one_word(p, f, w, n);
	for (size_t at = w.at; at < end; at++)
		if (text[at] == '*' || text[at] == '?' || text[at] == '[' || text[at] == ':')
			return one_word(p, f, w, n);
	return pg_parse_fail(p, w, "can never fire, a path starts with '/':");
}

bool pg_read_path(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	return pg_each_word(p, f, v, one_path);
}

static bool has_folder(const struct pg_parse *p, struct pg_word w)
{
	return pg_find(p->text, w.at, w.at + w.len, '/') < w.at + w.len;
}

static bool one_comm(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	if (has_folder(p, w))
		return pg_parse_fail(p, w, "can never fire, a program's name has no '/':");
	return one_word(p, f, w, n);
}

bool pg_read_comm(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	return pg_each_word(p, f, v, one_comm);
}

/* The kernel keeps 15 bytes of a thread's name. */
static bool one_thread(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w,
		       unsigned n)
{
	size_t end = w.at + w.len, bytes = 0;

	for (size_t at = w.at; at < end; at = pg_step(p->text, at, end))
		bytes += p->text[at] != '*';
	if (bytes > 15)
		return pg_parse_fail(p, w, "can never fire, a thread's name has 15 bytes at most:");
	return one_word(p, f, w, n);
}

bool pg_read_thread(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	return pg_each_word(p, f, v, one_thread);
}

/* 1c01: lower case, no leading zero, as logs print it. */
static bool plain_hex(const struct pg_rest *r)
{
	for (const char *s = r->s; s < r->end; s++)
		if (!(*s >= '0' && *s <= '9') && !(*s >= 'a' && *s <= 'f'))
			return false;
	return r->end - r->s == 1 || (!pg_rest_done(r) && *r->s != '0');
}

/* SYMBOL, MODULE, or MODULE+0xOFFSET, which is compared byte by byte. */
static bool one_frame(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w,
		      unsigned n)
{
	struct pg_rest r = pg_rest_of(p, w);

	if (has_folder(p, w))
		return pg_parse_fail(p, w, "can never fire, a module's name has no '/':");
	for (; !pg_rest_done(&r); r.s++)
		if (pg_take(&r, "+0x"))
			return plain_hex(&r) ? one_word(p, f, w, n)
					     : pg_parse_fail(p, w,
							     "not MODULE+0xOFFSET as in logs "
							     "(app+0x1c01):");
	return one_word(p, f, w, n);
}

bool pg_read_frames(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	return pg_each_word(p, f, v, one_frame);
}

static bool one_kind(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	unsigned kinds = 0;

	(void)f, (void)n;
	if (!pg_named_read(p, w, pg_kind_words, "unknown kind", &kinds))
		return false;
	p->rule->kinds |= (uint8_t)kinds;
	return true;
}

bool pg_read_kind(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	bool negate;

	if (!pg_each(p, f, v, &negate, one_kind))
		return false;
	if (negate)
		p->rule->kinds = (uint8_t)~p->rule->kinds;
	return p->rule->kinds ? true : pg_parse_fail(p, v, "can never fire, no kind is left by");
}

bool pg_read_side(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	unsigned side = 0;

	(void)f;
	if (!pg_named_read(p, v, pg_side_words, "unknown side", &side))
		return false;
	p->rule->side = (uint8_t)side;
	return true;
}

static bool one_seen(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	unsigned seen = 0;

	(void)f, (void)n;
	if (!pg_named_read(p, w, pg_seen_words, "unknown warning", &seen))
		return false;
	p->rule->seen |= (uint8_t)seen;
	return true;
}

bool pg_read_seen(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	bool negate;

	if (p->text[v.at] == '!')
		return pg_parse_fail(p, v, "seen= cannot be negated:");
	return pg_each(p, f, v, &negate, one_seen);
}

static bool one_site(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	struct pg_rest r = pg_rest_of(p, w);

	(void)f, (void)n;
	pg_take(&r, "0x");
	if (!pg_take_hex(&r, 16, &p->out->site[p->sites]) || !pg_rest_done(&r))
		return pg_parse_fail(p, w, "not a site (16 hexadecimal digits at most):");
	p->sites++;
	p->rule->site.n++;
	return true;
}

bool pg_read_site(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	p->rule->site.at = (uint16_t)p->sites;
	return pg_each(p, f, v, &p->rule->site.negate, one_site);
}
