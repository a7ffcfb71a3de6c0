/* SPDX-License-Identifier: MIT */
/* Names of errors and signals. */
#ifndef PG_NAMES_H
#define PG_NAMES_H

/* "EPIPE" for EPIPE; a null pointer for a number without a name here. */
const char *pg_errno_name(int err);

/* "error=EPIPE" for EPIPE: the action of a rule; a null pointer likewise. */
const char *pg_errno_action(int err);

/* Error number N of the list, from 0; 0 after the last. */
int pg_errno_listed(unsigned n);

/* "SIGTERM" for SIGTERM; a null pointer likewise. */
const char *pg_signal_name(int sig);

#endif
