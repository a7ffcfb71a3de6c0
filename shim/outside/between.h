/* SPDX-License-Identifier: MIT */
/* Calls that move bytes from one descriptor to another: splice, tee, sendfile, copy_file_range. */
#ifndef PG_BETWEEN_H
#define PG_BETWEEN_H

#include "outside/way.h"

/* True if C is such a call. */
bool pg_between(const struct pg_ruled *c);

/* SPLICE_F_* of C, also of a vmsplice; 0: it has none. True if SPLICE_F_NONBLOCK is among them. */
long pg_between_flags(const struct pg_ruled *c);
bool pg_between_flagged(const struct pg_ruled *c);

/* True if the kernel refuses C, whatever is ready to be read or written. C->copy is where it goes
 * to; C->source is taken, if a descriptor is left here. */
bool pg_between_unfit(struct pg_ruled *c);

/* C->source, taken if it is not yet; negative: -errno. */
int pg_between_source(struct pg_ruled *c);

/* True if C's bytes can be moved here, as the kernel would: it answers for both ends alike, and the
 * process takes the offsets that come of it. */
bool pg_between_can(struct pg_ruled *c);

/* True if C, one end of which is not ready, waits for it. */
bool pg_between_waits(const struct pg_ruled *c);

/* True if FD is a pipe. */
bool pg_between_is_pipe(int fd);

/* The offset that argument AT points to; a null pointer there: *BY is one, and it is the
 * descriptor's own. False: it cannot be read, or written back. */
bool pg_between_offset(const struct pg_ruled *c, unsigned at, int64_t *offset, int64_t **by);
bool pg_between_put_offset(const struct pg_ruled *c, unsigned at, const int64_t *by);

#endif
