/* SPDX-License-Identifier: MIT */
/*
 * The rules that hold for this thread's call, as errno is this thread's; and
 * what is remembered of rules that have gone. A rule has a serial, which no other
 * has as long as the process lives: objects that it broke, and lines of the
 * log, name it by that.
 */
#ifndef PG_RULE_KNOWN_H
#define PG_RULE_KNOWN_H

#include "base/next.h"
#include "rules/rule.h"

/* Serials of rules that hold at the same time differ in their remainder. */
enum { PG_RULE_SLOTS = 128 };

extern struct pg_rule_set pg_first_rules; /* of the start; empty: no rule */
extern __thread struct pg_rule_set *pg_rules_now __attribute__((tls_model("initial-exec")))
PG_HIDDEN;
#define pg_rules (*pg_rules_now)

/* Keeps what the next two say of SET's rules when others have taken their place. */
void pg_rules_remember(const struct pg_rule_set *set);

/* The id, and the final action, of the rule SERIAL; a null pointer and PG_F_COUNT: nothing is known
 * of it. */
const char *pg_rule_id(int serial);
enum pg_field pg_rule_terminal(int serial);

/* It, among those that hold; or a null pointer. */
const struct pg_rule *pg_rule_of(int serial);

#endif
