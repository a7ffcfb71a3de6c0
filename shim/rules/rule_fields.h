/* SPDX-License-Identifier: MIT */
/* fields.def as tables. */
#ifndef PG_RULE_FIELDS_H
#define PG_RULE_FIELDS_H

#include "rules/rule_field.h"

extern const struct pg_field_row pg_field_rows[PG_F_COUNT] PG_HIDDEN;

/* Of a field that takes a value. The functions have tables of their own: the loader relocates
 * those, at every start. */
extern pg_read_fn *const pg_field_readers[PG_F_COUNT] PG_HIDDEN;
extern pg_print_fn *const pg_field_printers[PG_F_COUNT] PG_HIDDEN;

/* Where the ranges, or the words, of field F are; a null pointer: it has none. */
static inline const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f)
{
	const struct pg_field_row *row = &pg_field_rows[f];

	return row->holds == PG_HOLDS_RANGES ? pg_member(r, row) : NULL;
}

static inline const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f)
{
	const struct pg_field_row *row = &pg_field_rows[f];

	return row->holds == PG_HOLDS_WORDS ? pg_member(r, row) : NULL;
}

#endif
