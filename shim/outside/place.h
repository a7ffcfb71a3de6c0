/* SPDX-License-Identifier: MIT */
/* How an object of ours takes a number in the process that is looked at. It stands in for reseat.c,
 * whose process is this very one. */
#ifndef PG_PLACE_H
#define PG_PLACE_H

/* Puts FROM, which stays open, under the number that is worked on. Returns 0 or -errno. */
typedef int pg_place_fn(int from);

/* By FN from now on; a null pointer: it cannot be. */
void pg_place_by(pg_place_fn *fn);

#endif
