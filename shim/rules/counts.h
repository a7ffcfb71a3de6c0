/* SPDX-License-Identifier: MIT */
/* Where rules count, and what they have counted: in a process, or in the story of an object, or for
 * a thread. */
#ifndef PG_COUNTS_H
#define PG_COUNTS_H

#include "base/count.h"
#include "rules/config.h"
#include "rules/op.h"

/* Start-up only. LIVE: where rules may change later they count by their serials. */
void pg_counts_start(void);
void pg_counts_start_live(void);

/* The counts of another process are kept by the caller: in a room of PG_COUNTS_ROOM bytes, zeroed
 * at first. Taken before its call is looked at, and put back after it. */
enum { PG_COUNTS_ROOM = 40 * PG_RULE_SLOTS };
void pg_counts_take(const void *room);
void pg_counts_put_back(void *room);

/* How often a rule matched, and fired, in a process; connections that it counted: each a word of
 * pg_sum_tag(). MATCHED has that tag, and is below UNTIL before the rule's first turn, once OWNER
 * says so. */
struct pg_sum {
	pg_shared64 owner, until;
	pg_shared64 matched, fired, connections;
};

extern struct pg_sum pg_sums[PG_RULE_SLOTS] PG_HIDDEN;

/* Of rule N. A child by fork counts from zero, and so does a rule that takes the room of one that
 * has gone. */
struct pg_sum *pg_sum_of(unsigned n);
uint64_t pg_sum_tag(unsigned n);

/* Who counts in it: the rule of serial SERIAL, in the process PID. */
#define PG_SUM_OWNER(serial, pid) ((uint64_t)(serial) << 32 | (uint32_t)(pid))

/* The calls of rule N that matched, or FIRED, in its scope: that of OP. */
struct pg_count pg_count_of(unsigned n, const struct pg_op *op, bool fired);

/* Calls that could not be counted: more threads, or objects, than there is room for. */
uint64_t pg_counts_missed(void);

#endif
