/* SPDX-License-Identifier: MIT */
/* Selectors: which rules are of a call, of a descriptor, of a connection. */
#ifndef PG_MATCH_H
#define PG_MATCH_H

#include "object/look.h"
#include "rules/config.h"
#include "rules/op.h"

/* Works out of SET what is asked of each call. */
void pg_match_prepare(struct pg_rule_set *set);

/* True if the selectors of rule N fit, and its actions can be done to such an object. What is
 * reset, broken or ended already cannot be so once more. */
bool pg_match(unsigned n, const struct pg_op *op);

/* True if R asks for the stack; if rule N would match by all but that. */
bool pg_match_asks_stack(const struct pg_rule *r);
bool pg_match_but_stack(unsigned n, const struct pg_op *op);

/* True if each rule that watches OP asks for the stack, and for another one than this: nothing else
 * of OP need be known then. */
bool pg_match_is_elsewhere(const struct pg_op *op);

/* The calls that R must be asked for: those it names; and where it counts what is read, or ends it,
 * every read. */
uint64_t pg_match_calls(const struct pg_rule *r);

/* The rules that may fire on this object, whatever its state, arguments and the time, as bits of
 * their numbers, and the calls for which they may; false if that cannot be known yet. */
bool pg_match_possible(const struct pg_op *op, uint64_t *rules, uint64_t *calls);

/* True if what a connection has from its beginning on fits rule N. */
bool pg_match_connection(unsigned n, const struct pg_op *op);

#endif
