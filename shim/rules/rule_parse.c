/* SPDX-License-Identifier: MIT */
#include "rules/rule_parse.h"

bool pg_parse_fail_near(struct pg_parse *p, struct pg_word w, const char *what, const char *near)
{
	struct pg_rule_error *e = p->error;
	size_t n = w.len < sizeof e->word ? w.len + 1u : sizeof e->word;

	e->line = p->line;
	e->rule = p->number;
	e->column = (unsigned)(w.at - p->line_start + 1);
	e->what = what;
	e->near = near;
	e->possible = 0;
	pg_copy(e->word, n, p->text + w.at);
	if (n <= w.len)
		pg_copy(e->word + n - 4, 4, "...");
	return false;
}

bool pg_parse_fail(struct pg_parse *p, struct pg_word w, const char *what)
{
	return pg_parse_fail_near(p, w, what, NULL);
}

bool pg_parse_fail_at(struct pg_parse *p, size_t at, const char *what)
{
	return pg_parse_fail_near(p, pg_word(at, at), what, NULL);
}

/* The same classes as pg_glob(): behind "[", "[!" or "[^", the first byte is a member, even "]". */
size_t pg_step_over(const char *text, size_t at, size_t end)
{
	size_t i = at + 1;

	if (text[at] == '\\')
		return i < end ? i + 1 : i;
	i += i < end && (text[i] == '!' || text[i] == '^');
	for (i++; i < end; i++)
		if (text[i] == ']')
			return i + 1;
	return at + 1;
}

#define BOTH (PG_MARKS_RULE | PG_MARKS_PIECE)
const uint8_t pg_marks[256] = {
	[0 ... ' '] = BOTH,	[0x7f] = BOTH,		[';'] = BOTH,
	[':'] = PG_MARKS_PIECE, ['='] = PG_MARKS_PIECE, [','] = PG_MARKS_PIECE,
	['/'] = PG_MARKS_PIECE, ['!'] = PG_MARKS_PIECE, ['['] = BOTH,
	['\\'] = BOTH,
};

size_t pg_find_either(const char *text, size_t at, size_t end, char stop, char other)
{
	for (;; at = pg_step(text, at, end)) {
		while (!pg_is_mark(text[at], PG_MARKS_PIECE)) /* the text's last byte is one */
			at++;
		if (at >= end)
			return end;
		if (text[at] == stop || text[at] == other)
			return at;
	}
}
