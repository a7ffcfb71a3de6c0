/* SPDX-License-Identifier: MIT */
/*
 * What has happened to the threads that are traced. The kernel tells of those first that were
 * traced last, and threads that make calls all the time stop without end: so what has stopped is
 * taken first, then each goes on once, and after some rounds others have their turn.
 */
#ifndef PG_ROUND_H
#define PG_ROUND_H

#include <stdbool.h>

struct pg_round {
	void (*stop)(int tid, int status); /* the thread stands; STATUS: as waitid(2) has it */
	void (*end)(int tid);		   /* it has ended, and is taken behind this */
};

/* Takes what has happened, and tells TO of it; MORE: that was not all. False: there is no tracee
 * any more. */
bool pg_round_take(const struct pg_round *to, bool *more);

#endif
