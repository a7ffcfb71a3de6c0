/* SPDX-License-Identifier: MIT */
/* Calls that are made in a process that is looked after, in the place of one of its own at whose
 * entry a thread is stopped. */
#ifndef PG_GUEST_H
#define PG_GUEST_H

#include "outside/way.h"

/* C's number becomes the end WHICH of a pipe whose other end is closed. 0 or -errno; C's thread is
 * at the entry of its call again, but for ESRCH: then it has ended, or become another program. */
int pg_guest_pipe(const struct pg_ruled *c, int which, bool nonblock, bool cloexec);

#endif
