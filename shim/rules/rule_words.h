/* SPDX-License-Identifier: MIT */
/* The words of the grammar, and the nearest right one; the SET. */
#ifndef PG_RULE_WORDS_H
#define PG_RULE_WORDS_H

#include "rules/rule_parse.h"

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

/* PG_G_COUNT: all calls that have rules. A constant where G is one: every rule asks several times.
 */
static inline uint64_t pg_group_calls(enum pg_group g)
{
	switch (g) {
	case PG_G_OUT:
		return PG_STDIO_BIT | pg_calls_in(PG_ROLE_OUT);
	case PG_G_IN:
		return pg_calls_in(PG_ROLE_IN);
	case PG_G_STDIO:
		return PG_STDIO_BIT | pg_calls_with(PG_ARGS_FORMAT);
	case PG_G_SOCK:
		return pg_calls_that_are(PG_CALL_IS_SOCKET);
	case PG_G_CONN:
		return pg_calls_in(PG_ROLE_CONNECT);
	case PG_G_ACCEPT:
		return pg_calls_in(PG_ROLE_ACCEPT);
	case PG_G_COUNT:
		break;
	}
	return PG_STDIO_BIT | pg_calls_in(PG_ROLE_OUT) | pg_calls_in(PG_ROLE_IN) |
	       pg_calls_in(PG_ROLE_CONNECT) | pg_calls_in(PG_ROLE_ACCEPT);
}

/* A SET: names, globs and groups, comma-separated, "!" before what is left out. */
bool pg_set_read(struct pg_parse *p, struct pg_word set);

#endif
