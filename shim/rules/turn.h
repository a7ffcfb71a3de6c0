/* SPDX-License-Identifier: MIT */
/* Triggers: whose turn it is. */
#ifndef PG_TURN_H
#define PG_TURN_H

#include "rules/match.h"

/* Start-up only: that of match.h and counts.h, too. */
void pg_turn_start(void);

/* True if a rule must look at a call on FD whose bit is BIT. False: no rule watches it, or the one
 * that does waits for its turn, and has counted it. errno is kept. */
bool pg_turn_asks(int fd, uint64_t bit) __attribute__((noinline));

/* The calls that one of RULES, *RULE, watches alone, as long as it waits for its turn; 0: none. */
uint64_t pg_turn_waiting(uint64_t rules, uint8_t *rule);

/* For the call on FD whose bit is BIT, as quickly as can be: true if there is but such a rule,
 * which has a while to go on waiting. It has counted the call. False where more would have to be
 * asked. */
bool pg_turn_waits(int fd, uint64_t bit) PG_KEEPS_REGISTERS;

/* The kernel refused such a call for its arguments, with ERR: it does not count. */
PG_COLD void pg_turn_refused(int fd, uint64_t bit, int err);

/* Counts the call for rule N and says whether its triggers let it fire. A call before the offset of
 * at= does not count. */
bool pg_turn_fires(unsigned n, const struct pg_op *op);

/* Counts it only. Returns the count; 0: it does not count. */
uint64_t pg_turn_count(unsigned n, const struct pg_op *op);

/* The most that the kernel moves in one call: MAX_RW_COUNT in its <linux/fs.h>. */
enum { PG_MOVES_MOST = 0x7ffff000 };

/* True if the offset of rule N's at= lies inside the call, behind its first byte: the bytes before
 * it are to be delivered first. */
bool pg_turn_is_inside(unsigned n, const struct pg_op *op);

/* Counts the call for all the rules that watch it and match. False: one of them acts
 * on it, or cuts it; then none has counted it. */
bool pg_turn_idle(const struct pg_op *op);

/* A call that was counted so was not made after all. */
void pg_turn_unmade(const struct pg_op *op);

/* How often rule N has fired in this process. */
uint64_t pg_turn_fired(unsigned n);

#endif
