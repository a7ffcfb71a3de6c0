/* SPDX-License-Identifier: MIT */
/* Rules that can never fire because of an earlier one. */
#ifndef PG_RULE_SHADOW_H
#define PG_RULE_SHADOW_H

#include "rules/rule_parse.h"

bool pg_shadow_check(struct pg_parse *p, struct pg_word whole);

#endif
