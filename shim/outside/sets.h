/* SPDX-License-Identifier: MIT */
/* The epoll sets of another process: what took a number's place takes it there, too. */
#ifndef PG_SETS_H
#define PG_SETS_H

#include "outside/tracee.h"

/* In the sets of T that hold FD as OLD, which is a copy, it is NEW from now on. */
void pg_sets_replace(struct pg_tracee *t, int fd, int old, int new);

#endif
