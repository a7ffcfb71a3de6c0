/* SPDX-License-Identifier: MIT */
/* Numbers, sizes, durations, lists. */
#ifndef PG_RULE_READ_H
#define PG_RULE_READ_H

#include "rules/rule_field.h"

enum { PG_US = 1000, PG_MS = 1000 * PG_US, PG_S = 1000 * PG_MS }; /* in ns */

/* What is left of a value. */
struct pg_rest {
	const char *s, *end;
};

static inline struct pg_rest pg_rest_of(const struct pg_parse *p, struct pg_word w)
{
	return (struct pg_rest){p->text + w.at, p->text + w.at + w.len};
}

static inline bool pg_rest_done(const struct pg_rest *r)
{
	return r->s == r->end;
}

/* These move on behind what they found; false: it is not there. Numbers beyond PG_NUMBER_MAX
 * become PG_NUMBER_MAX + 1. */
bool pg_take(struct pg_rest *r, const char *word);
bool pg_take_number(struct pg_rest *r, uint64_t *out);
bool pg_take_size(struct pg_rest *r, uint64_t *out);		   /* 512, 64k, 1M, 1MiB */
bool pg_take_hex(struct pg_rest *r, unsigned most, uint64_t *out); /* MOST digits */
/* ".25": 25 of 100. No point: 0 of 1. False: no digit behind it, or more than MOST. */
bool pg_take_decimals(struct pg_rest *r, unsigned most, uint64_t *part, uint64_t *of);

/* All of R, in ns: 250us, 1.5ms, 2s, 1m. Returns what is wrong with it, or a null pointer. */
const char *pg_take_duration(struct pg_rest *r, uint64_t *out);

/* All of S, 10000 or 10k. False: it is none. */
bool pg_read_count(const char *s, uint64_t *out);

/* All of W; else the error is set. */
bool pg_read_size(struct pg_parse *p, struct pg_word w, uint64_t *out);
bool pg_read_duration(struct pg_parse *p, struct pg_word w, uint64_t *out); /* ns */
bool pg_fits(struct pg_parse *p, struct pg_word w, uint64_t v, uint64_t max);

typedef bool pg_one_fn(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w,
		       unsigned n);

/* Calls ONE for alternative N = 0, 1, ... of a comma list; a '!' before it sets NEGATE. */
bool pg_each(struct pg_parse *p, const struct pg_field_row *f, struct pg_word list, bool *negate,
	     pg_one_fn *one);

/* The same for F's words, of which ONE adds each. */
bool pg_each_word(struct pg_parse *p, const struct pg_field_row *f, struct pg_word list,
		  pg_one_fn *one);
void pg_add_word(struct pg_parse *p, struct pg_words *to, struct pg_word w);

#endif
