/* SPDX-License-Identifier: MIT */
/* fields.def as a table. */
#ifndef PG_RULE_FIELDS_H
#define PG_RULE_FIELDS_H

#include "rules/rule_field.h"

const struct pg_field_row *pg_field_row(enum pg_field f);

/* Where the ranges, or the words, of field F are; a null pointer: it has none. */
const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f);
const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f);

#endif
