/* SPDX-License-Identifier: MIT */
/*
 * What the files of the parser share, and nobody else includes:
 *
 *	rule.c		text to rules, a rule to its fields
 *	rule_words.c	the words of the grammar, and the nearest right one; the SET
 *	rule_read.c	numbers, sizes, durations, lists
 *	rule_select.c	the values of selectors; rule_peer.c those of peer=
 *	rule_value.c	the values of triggers and actions
 *	rule_check.c	what cannot be: rules that can never fire
 *	rule_shadow.c	the same, because of an earlier rule
 *	rule_put.c	the normal form, and the line of an error
 */
#ifndef PG_RULE_PARTS_H
#define PG_RULE_PARTS_H

#include "rule.h"

/* The state of one parse. */
struct pg_parse {
	struct pg_rules *out;
	const char *text; /* of OUT */
	struct pg_rule_error *error;
	struct pg_rule *rule;  /* under work */
	unsigned number, line; /* of that rule; of the text's line, 0 if it has only one */
	size_t line_start;
};

/* All fail functions fill the error and return false. */
bool pg_parse_fail_at(struct pg_parse *p, size_t at, const char *what);
bool pg_parse_fail(struct pg_parse *p, struct pg_word w, const char *what);
bool pg_parse_fail_near(struct pg_parse *p, struct pg_word w, const char *what, const char *near);

/* The bytes of TEXT from AT to END as a word. */
static inline struct pg_word pg_word(size_t at, size_t end)
{
	return (struct pg_word){(uint16_t)at, (uint16_t)(end - at)};
}

/* The byte behind AT; a "[class]" or a "\" with what it protects counts as one. */
size_t pg_step_over(const char *text, size_t at, size_t end);
static inline size_t pg_step(const char *text, size_t at, size_t end)
{
	return text[at] == '\\' || text[at] == '[' ? pg_step_over(text, at, end) : at + 1;
}

/* The next STOP from AT on that nothing protects, or END. */
size_t pg_find(const char *text, size_t at, size_t end, char stop);

/* ---- words ---- */

bool pg_word_is(const struct pg_parse *p, struct pg_word w, const char *s);

/* W as a string, cut at PG_WORD_MAX bytes. */
const char *pg_word_text(const struct pg_parse *p, struct pg_word w, char buf[PG_WORD_MAX + 1]);

struct pg_named {
	const char *name;
	unsigned value;
};

/* Lists end with a null name. Kinds: words of many bits first. */
extern const struct pg_named pg_kind_words[], pg_side_words[], pg_seen_words[], pg_scope_words[];

/* W's value in the list; fails with WHAT and the nearest word. */
bool pg_named_read(struct pg_parse *p, struct pg_word w, const struct pg_named *list,
		   const char *what, unsigned *value);

enum pg_field pg_field_of(const struct pg_parse *p, struct pg_word w); /* PG_F_COUNT: unknown */
const char *pg_nearest_field(const struct pg_parse *p, struct pg_word w);
const char *pg_nearest_errno(const struct pg_parse *p, struct pg_word w);

enum pg_group { PG_G_OUT, PG_G_IN, PG_G_STDIO, PG_G_SOCK, PG_G_CONN, PG_G_ACCEPT, PG_G_COUNT };
uint64_t pg_group_calls(enum pg_group g);

/* A SET: names, globs and groups, comma-separated, "!" before what is left out. */
bool pg_set_read(struct pg_parse *p, struct pg_word set);

/* ---- reading ---- */

/* Numbers up to here are told apart; greater ones are too big for every field. */
#define PG_NUMBER_MAX ((uint64_t)1 << 53)
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

/* All of W; else the error is set. */
bool pg_read_size(struct pg_parse *p, struct pg_word w, uint64_t *out);
bool pg_read_duration(struct pg_parse *p, struct pg_word w, uint64_t *out); /* ns */
bool pg_fits(struct pg_parse *p, struct pg_word w, uint64_t v, uint64_t max);

typedef bool pg_read_fn(struct pg_parse *p, enum pg_field f, struct pg_word v);
typedef bool pg_one_fn(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n);

/* Calls ONE for alternative N = 0, 1, ... of a comma list; a '!' before it sets NEGATE. */
bool pg_each(struct pg_parse *p, enum pg_field f, struct pg_word list, bool *negate,
	     pg_one_fn *one);
pg_one_fn pg_one_word; /* keeps W in the words of F */

/* ---- values ---- */

pg_read_fn pg_value_read;    /* any field's */
pg_read_fn pg_selector_read; /* a selector's */
pg_read_fn pg_peer_read;

/* Where the ranges, or the words, of field F are; a null pointer: it has none. */
const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f);
const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f);
int64_t pg_range_max(enum pg_field f);

enum { PG_HOLD_SECONDS = 5 }; /* of hold without a value */

/* ---- checks ---- */

/* Can the rule fire? WHOLE: all of it. */
bool pg_rule_check(struct pg_parse *p, struct pg_word whole);
bool pg_shadow_check(struct pg_parse *p, struct pg_word whole);

/* ---- printing ---- */

void pg_hex_put(struct pg_text *t, uint64_t v); /* without 0x */
void pg_peer_put(struct pg_text *t, const char *text, const struct pg_rule *r);

#endif
