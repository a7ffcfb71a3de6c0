/* SPDX-License-Identifier: MIT */
/* The state of one parse; its errors; its words, cut out of the text. */
#ifndef PG_RULE_PARSE_H
#define PG_RULE_PARSE_H

#include "rules/rule.h"

/* Numbers up to here are told apart; greater ones are too big for every field. */
#define PG_NUMBER_MAX ((uint64_t)1 << 53)

/* The state of one parse. */
struct pg_parse {
	struct pg_rule_set *out;
	const char *text; /* of OUT */
	struct pg_rule_error *error;
	struct pg_rule *rule;  /* under work */
	unsigned number, line; /* of that rule; of the text's line, 0 if it has only one */
	size_t line_start;
	unsigned fields, ranges, words, nets, sites; /* of OUT's, in use */
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

/* What a byte may mean: it ends a rule or is wrong in one, or it protects; to those who take a rule
 * apart it ends a piece, too. All others mean nothing. */
enum { PG_MARKS_RULE = 1, PG_MARKS_PIECE = 2 };
extern const uint8_t pg_marks[256] PG_HIDDEN;
static inline bool pg_is_mark(char c, unsigned what)
{
	return pg_marks[(unsigned char)c] & what;
}

/* The next STOP, or OTHER, from AT on that nothing protects, or END. Both mark pieces. */
size_t pg_find_either(const char *text, size_t at, size_t end, char stop, char other);
static inline size_t pg_find(const char *text, size_t at, size_t end, char stop)
{
	return pg_find_either(text, at, end, stop, stop);
}

#endif
