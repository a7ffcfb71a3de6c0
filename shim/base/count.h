/* SPDX-License-Identifier: MIT */
/* Counts that begin anew with another owner (a process after a fork, a rule in the room of one that
 * has gone), whichever of its threads comes first. */
#ifndef PG_COUNT_H
#define PG_COUNT_H

#include "base/sys.h"

/* Where something is counted; AT a null pointer: there is no room. The count is PG_COUNT_BITS of
 * the word; one with another tag than TAG above them counts nothing yet. */
enum { PG_COUNT_BITS = 40 };
struct pg_count {
	pg_shared64 *at;
	uint64_t tag;
};

/* The tag of OWNER. Two owners have the same one once in 8 million times. */
static inline uint64_t pg_count_tag(uint64_t owner)
{
	return (pg_mix(7, owner) | 1) << PG_COUNT_BITS;
}

static inline uint64_t pg_count_in(uint64_t word, uint64_t tag)
{
	return word >> PG_COUNT_BITS == tag >> PG_COUNT_BITS ? word - tag : 0;
}

/* N more. Returns how many; 0: there is no room. Async-signal-safe, as all here. */
static inline uint64_t pg_count_add(struct pg_count c, uint64_t n)
{
	uint64_t word, count;

	if (!c.at)
		return 0;
	word = PG_GET(*c.at);
	do
		count = pg_count_in(word, c.tag) + n;
	while (!__atomic_compare_exchange_n(c.at, &word, c.tag + count, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return count;
}

#endif
