/* SPDX-License-Identifier: MIT */
/*
 * What the files of the parser share, and nobody else includes:
 *
 *	rule.c		text to rules, a rule to its fields
 *	rule_words.c	the words of the grammar, and the nearest right one
 *	rule_value.c	one reader for the value of each field
 *	rule_check.c	what cannot be: rules that can never fire
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
size_t pg_step(const char *text, size_t at, size_t end);

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

/* ---- values ---- */

bool pg_value_read(struct pg_parse *p, enum pg_field f, struct pg_word value);
bool pg_value_taken(enum pg_field f);	 /* has F a value? */
bool pg_value_optional(enum pg_field f); /* may it be left out? */

/* Where the ranges, or the words, of field F are; a null pointer: it has none. */
const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f);
const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f);
int64_t pg_range_max(enum pg_field f);

enum { PG_HOLD_SECONDS = 5 }; /* of hold without a value */

/* ---- checks ---- */

/* Is the rule one that can fire? WHOLE: all of it. */
bool pg_rule_check(struct pg_parse *p, struct pg_word whole);

#endif
