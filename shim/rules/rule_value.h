/* SPDX-License-Identifier: MIT */
/* The values of triggers and actions. */
#ifndef PG_RULE_VALUE_H
#define PG_RULE_VALUE_H

#include "rules/rule_read.h"

pg_read_fn pg_read_when, pg_read_scope, pg_read_prob, pg_read_limit;
pg_read_fn pg_read_time, pg_read_period;  /* uint64_t, ns */
pg_read_fn pg_read_offset, pg_read_bytes; /* uint64_t */
pg_read_fn pg_read_trickle, pg_read_error;

#endif
