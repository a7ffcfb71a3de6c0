/* SPDX-License-Identifier: MIT */
/* Signals in the kernel's place: of a write that a rule broke, and those that a rule takes away. */
#ifndef PG_OWED_H
#define PG_OWED_H

#include <stdbool.h>

/* Thread TID is sent a SIGPIPE by us, because of RULE; its next one is to be taken away. */
void pg_owe(int tid, int rule);
void pg_take_away(int tid);

/* True if a SIGPIPE of thread TID is one that we sent, for *RULE; if it is to be taken away. Once.
 */
bool pg_owes(int tid, int *rule);
bool pg_takes_away(int tid);

#endif
