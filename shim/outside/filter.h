/* SPDX-License-Identifier: MIT */
/* The filter that notifies of calls which rules watch: what no rule can reach, by its number or its
 * descriptor, passes in the kernel. */
#ifndef PG_FILTER_H
#define PG_FILTER_H

#include <stdbool.h>

/* Puts the filter on this process, for what it becomes. Returns the listener, with
 * close-on-exec, or -errno. */
int pg_filter_install(void);

/* Why this process cannot have a filter, by seccomp(2) with FLAGS, or a listener: an errno, or 0.
 * EBUSY: there is a listener already, another's, as in some containers, and no second one. */
int pg_filter_forbidden(unsigned long flags);
int pg_filter_no_listener(void);

/* As fork(2), but the parent is sent no signal at its end, which could wait for the program. */
int pg_split(void);

/* Why a rule cannot be followed from outside; a null pointer: all can. */
const char *pg_filter_refuses(void);

/* The N instructions FILTER stand in this process from now on, by seccomp(2) with FLAGS. Returns 0,
 * or the listener; or -errno. */
struct sock_filter;
int pg_filter_add(struct sock_filter *filter, unsigned short n, unsigned long flags);

#endif
