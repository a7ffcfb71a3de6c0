/* SPDX-License-Identifier: MIT */
/* Which rules apply to a call, now. The counters of rules live here. */
#ifndef PG_MATCH_H
#define PG_MATCH_H

#include "object/look.h"
#include "rules/config.h"
#include "rules/op.h"

/* Start-up only. */
void pg_match_start(void);

/* Works out of SET what is asked of each call. */
void pg_match_prepare(struct pg_rule_set *set);

/* Start-up, where rules may change later: then rules count by their serials. */
void pg_match_start_live(void);

/* The counts of another process are kept by the caller: in a room of PG_MATCH_ROOM bytes, zeroed
 * at first. Taken before its call is looked at, and put back after it. */
enum { PG_MATCH_ROOM = 32 * PG_RULE_SLOTS };
void pg_match_take(const void *room);
void pg_match_put_back(void *room);

/* True if the selectors of rule N fit, and its actions can be done to such an object. What is
 * reset, broken or ended already cannot be so once more. */
bool pg_match(unsigned n, const struct pg_op *op);

/* The calls that R must be asked for: those it names; and where it counts what is read, or ends it,
 * every read. */
uint64_t pg_match_calls(const struct pg_rule *r);

/* The rules that may fire on this object, whatever its state, arguments and the time, as bits of
 * their numbers, and the calls for which they may; false if that cannot be known yet. */
bool pg_match_possible(const struct pg_op *op, uint64_t *rules, uint64_t *calls);

/* True if a rule must look at a call on FD whose bit is BIT. False: no rule watches it, or the one
 * that does waits for its turn, and has counted it. errno is kept. */
bool pg_match_asks(int fd, uint64_t bit) __attribute__((noinline));

/* The kernel refused such a call for its arguments, with ERR: it does not count. */
PG_COLD void pg_match_refused(int fd, uint64_t bit, int err);

/* Counts the call for rule N and says whether its triggers let it fire. A call before the offset of
 * at= does not count. */
bool pg_match_fires(unsigned n, const struct pg_op *op);

/* Counts it only. Returns the count; 0: it does not count. */
uint64_t pg_match_count(unsigned n, const struct pg_op *op);

/* The most that the kernel moves in one call: MAX_RW_COUNT in its <linux/fs.h>. */
enum { PG_MOVES_MOST = 0x7ffff000 };

/* Does the offset of rule N's at= lie inside the call, behind its first byte, so that the bytes
 * before it are to be delivered first? */
bool pg_match_is_inside(unsigned n, const struct pg_op *op);

/* Counts the call for all the rules that watch it and match. False: one of them acts
 * on it, or cuts it; then none has counted it. */
bool pg_match_idle(const struct pg_op *op);

/* A call that was counted so was not made after all. */
void pg_match_unmade(const struct pg_op *op);

/* Numbers a connection on FD, to O, for the rules with conn=. A rule that watches connect counts
 * attempts, before the call; the others count what came about. */
void pg_match_attempt(int fd, const struct pg_object *o);
void pg_match_connection(int fd);
void pg_match_stands(int fd, const struct pg_object *o); /* the same, where O is known */

/* How often rule N has fired in this process. */
uint64_t pg_match_fired(unsigned n);

/* Calls that could not be counted for a rule: more threads, or objects, than there is room for. */
uint64_t pg_match_uncounted(void);

/* The hash of a stack's module+offset frames, PG_SITE_FRAMES at most: the same in every run. */
enum { PG_SITE_FRAMES = 8 };
uint64_t pg_match_site(const uintptr_t *frames, unsigned n);

#endif
