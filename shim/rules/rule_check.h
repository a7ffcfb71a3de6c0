/* SPDX-License-Identifier: MIT */
/* Which rules are refused: those that can never fire. */
#ifndef PG_RULE_CHECK_H
#define PG_RULE_CHECK_H

#include "rules/rule_parse.h"

/* True if the rule can fire; else the error is set. WHOLE: all of it. */
bool pg_rule_check(struct pg_parse *p, struct pg_word whole);

#endif
