/* SPDX-License-Identifier: MIT */
/* Calls that move bytes from one descriptor to another: splice, tee, sendfile, copy_file_range. */
#ifndef PG_BETWEEN_H
#define PG_BETWEEN_H

#include "outside/ruled.h"

/* Is C such a call? */
bool pg_between(const struct pg_ruled *c);

/* Would the kernel refuse C, whatever is ready to be read or written? C->copy is where it goes to.
 */
bool pg_between_unfit(const struct pg_ruled *c);

/* The offset that argument AT points to; a null pointer there: *BY is one, and it is the
 * descriptor's own. False: it cannot be read. */
bool pg_between_offset(const struct pg_ruled *c, unsigned at, int64_t *offset, int64_t **by);
void pg_between_put_offset(const struct pg_ruled *c, unsigned at, const int64_t *by);

#endif
