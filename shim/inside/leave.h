/* SPDX-License-Identifier: MIT */
/* What is done where numbers end, for who has the other end (object/leaving.h). Nothing without a
 * ring. errno is kept. */
#ifndef PG_LEAVE_H
#define PG_LEAVE_H

#include "object/leaving.h"

/* FD is about to be closed by CALL, called by CALLER (0: it is looked for). True: pg_leaving_end()
 * is to follow. */
PG_COLD bool pg_leave_begin(struct pg_leaving *l, int fd, const char *call, uintptr_t caller);

static inline bool pg_lets_go(struct pg_leaving *l, int fd, const char *call, uintptr_t caller)
{
	return pg_has_endings() && pg_leave_begin(l, fd, call, caller);
}

/* CALL is about to close all from FIRST to LAST: those that somebody may miss are closed now. */
PG_COLD void pg_leave_range(unsigned first, unsigned last, const char *call, uintptr_t caller);

/* This process ends now: HOW, with STATUS. */
PG_COLD void pg_leave_all(enum pg_how how, int status);

/* The same of exit(3), with STATUS: to be noted once nothing waits to be flushed any more; then.
 * PLAIN: nothing but libc's own writes come. */
void pg_leave_exit(int status);
void pg_leave_flushed(bool plain);

#endif
