/* SPDX-License-Identifier: MIT */
/* The values of selectors. */
#ifndef PG_RULE_SELECT_H
#define PG_RULE_SELECT_H

#include "rules/rule_read.h"

pg_read_fn pg_selector_read;

/* Where the ranges, or the words, of field F are; a null pointer: it has none. */
const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f);
const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f);
int64_t pg_range_max(enum pg_field f);

#endif
