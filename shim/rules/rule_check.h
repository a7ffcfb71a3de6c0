/* SPDX-License-Identifier: MIT */
/* What cannot be: rules that can never fire. */
#ifndef PG_RULE_CHECK_H
#define PG_RULE_CHECK_H

#include "rules/rule_parse.h"

/* Can the rule fire? WHOLE: all of it. */
bool pg_rule_check(struct pg_parse *p, struct pg_word whole);

#endif
