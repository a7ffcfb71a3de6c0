/* SPDX-License-Identifier: MIT */
/* The normal form of a rule, and the line of an error. */
#include "rules/rule_fields.h"

/* Has it the value of one that is left out, which no value says? */
static bool is_unsaid(const struct pg_rule *r, const struct pg_field_row *f)
{
	return f->bound == UINT64_MAX && pg_value_optional((enum pg_field)f->id) &&
	       *(const uint64_t *)pg_member(r, f) == f->bound;
}

void pg_rule_put(struct pg_text *t, const struct pg_rule_set *rules, unsigned n)
{
	const struct pg_rule *r = &rules->rule[n];

	pg_put(t, r->id);
	pg_put_char(t, '=');
	pg_put_bytes(t, rules->text + r->set.at, r->set.len);
	for (unsigned i = 0; i < PG_F_COUNT; i++) {
		enum pg_field f = (enum pg_field)i;
		const struct pg_field_row *row = &pg_field_rows[f];

		if (!pg_has(r, f))
			continue;
		pg_put_char(t, ':');
		pg_put(t, pg_field_name(f));
		if (!pg_value_taken(f) || is_unsaid(r, row))
			continue;
		pg_put_char(t, '=');
		pg_field_printers[f](t, &(struct pg_value){rules, r, row});
	}
}

static void put_place(struct pg_text *t, const char *what, unsigned n)
{
	pg_put(t, what);
	pg_put_u64(t, n);
}

static void put_possible(struct pg_text *t, uint64_t fields)
{
	const char *before = " (possible: ";

	for (; fields; fields &= fields - 1, before = ", ") {
		enum pg_field f = (enum pg_field)__builtin_ctzll(fields);

		pg_put(t, before);
		pg_put(t, pg_field_name(f));
		pg_put(t, pg_value_taken(f) && !pg_value_optional(f) ? "=" : "");
	}
	pg_put_char(t, ')');
}

void pg_rule_put_error(struct pg_text *t, const struct pg_rule_error *error)
{
	if (error->line) {
		put_place(t, "line ", error->line);
		pg_put(t, ", ");
	}
	put_place(t, "rule ", error->rule);
	put_place(t, ", column ", error->column);
	pg_put(t, ": ");
	pg_put(t, error->what);
	if (error->word[0]) {
		pg_put(t, " '");
		pg_put_name(t, error->word, sizeof error->word);
		pg_put_char(t, '\'');
	}
	if (error->near) {
		pg_put(t, " (did you mean '");
		pg_put(t, error->near);
		pg_put(t, "'?)");
	}
	if (error->possible)
		put_possible(t, error->possible);
}
