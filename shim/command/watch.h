/* SPDX-License-Identifier: MIT */
/* run as the program's parent: for what can only be said when it has ended. */
#ifndef PG_WATCH_H
#define PG_WATCH_H

#include <stdbool.h>

struct pg_request;

/* The program is this process's child from here on: returns in it. In the parent, which passes
 * signals on, waits, says which rules never fired, and then ends as the program did, or with
 * PG_FAILED as R wants it, it does not return. INSIDE: the library is in the program. */
void pg_watch_start(const struct pg_request *r, bool inside);

#endif
