/* SPDX-License-Identifier: MIT */
/*
 * In a tree where one fault is made (pg_endings_brief), which events tell what
 * became of it. A program may make ever more of the same behind it, and a line
 * costs more than a call. No more is left out than scripts/lib/pgsites.py would,
 * who reads these logs: see Wanted and needed() there.
 */
#ifndef PG_WITNESS_H
#define PG_WITNESS_H

#include "log/event.h"

/* E is in the log: only what is there tells anything. */
void pg_witness_logged(const struct pg_event *e);

/* True if E, which would be logged, tells nothing more than what is in the log. Its object's inode
 * and what became of its signal are known. */
bool pg_witness_is_idle(const struct pg_event *e);

/* True if no call on FD's object tells more, whichever it is: it need not be counted either. */
bool pg_witness_is_over(int fd);

/* True if that is so of most that are like E. Its process is known. */
bool pg_witness_has_enough(const struct pg_event *e);

#endif
