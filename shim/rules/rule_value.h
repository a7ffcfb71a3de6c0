/* SPDX-License-Identifier: MIT */
/* The values of triggers and actions, and any field's. */
#ifndef PG_RULE_VALUE_H
#define PG_RULE_VALUE_H

#include "rules/rule_read.h"

pg_read_fn pg_value_read;

enum { PG_HOLD_SECONDS = 5 }; /* of hold without a value */

#endif
