/* SPDX-License-Identifier: MIT */
/* A process that runs. */
#ifndef PG_COMMAND_PROCESS_H
#define PG_COMMAND_PROCESS_H

#include <stdbool.h>

struct pg_process_view {
	unsigned pid;
	const char *name;    /* as the kernel calls it */
	const char *path;    /* of its program; a null pointer: it may not be seen */
	const char *file;    /* the same, by a path that leads there from here */
	const char *sigpipe; /* default, ignored, caught, blocked; or a null pointer */
	bool guarded;	     /* the library is in it */
	bool mapped;	     /* that could be seen */
};

/* False: there is no process PID. */
bool pg_process_look(struct pg_process_view *p, unsigned pid);

#endif
