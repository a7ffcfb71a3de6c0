/* SPDX-License-Identifier: MIT */
/* Values in their normal form, which reads as the same. */
#ifndef PG_RULE_PUT_H
#define PG_RULE_PUT_H

#include "rules/rule_field.h"

pg_print_fn pg_print_ranges; /* struct pg_ranges */
pg_print_fn pg_print_words;  /* struct pg_words */
pg_print_fn pg_print_kinds, pg_print_side, pg_print_seen, pg_print_sites, pg_print_when,
	pg_print_scope;
pg_print_fn pg_print_prob, pg_print_trickle, pg_print_error;
pg_print_fn pg_print_size, pg_print_duration, pg_print_number; /* uint64_t */

#endif
