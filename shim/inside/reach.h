/* SPDX-License-Identifier: MIT */
/*
 * A program is about to be started from here. Whether the library will be in it: where
 * it surely will not, the log says so, once for each program and tree, with the
 * command that reaches it. Nothing is guessed: what cannot be looked at is not
 * logged. All here: async-signal-safe, in a vfork's child too; errno untouched.
 */
#ifndef PG_REACH_H
#define PG_REACH_H

#include "log/event.h"

struct pg_reach {
	/* As execveat(2) is given it: the caller's memory, which may not be there. */
	int folder, flags;
	const char *path;
	char *const *env;
	bool moves; /* perhaps to another folder before: then only a path from / is certain */

	enum pg_barrier barrier;
	bool reachable; /* by the other engine */
	char file[256]; /* what the kernel starts; "": not known, or too long */
};

/* Start-up only, when the settings have been read. */
void pg_reach_start(void);

/* Fills in what can be known of R. */
void pg_reach_look(struct pg_reach *r);

/* The same of NAME, which execvp(3) would look for. */
void pg_reach_search(struct pg_reach *r, const char *name);

/* It is started, as process CHILD; -1: that is not known. */
void pg_reach_log(const struct pg_reach *r, int child);

/* The process behind PIDFD; -1: not known. */
int pg_reach_process(int pidfd);

#endif
