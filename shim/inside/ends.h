/* SPDX-License-Identifier: MIT */
/* How it starts, and the last line of a process. */
#ifndef PG_ENDS_H
#define PG_ENDS_H

#include "base/sys.h"

/* Start-up is over, and this program is looked after. */
extern bool pg_started PG_HIDDEN;
extern bool pg_watch_all PG_HIDDEN; /* PIPEGUARD_VERBOSE=2: every call is logged */

/* Writes that broke before start-up. */
extern uint64_t pg_early PG_HIDDEN;

/* The exit line, if there is anything to say: once in each process. */
bool pg_guard_has_last_word(void);
void pg_guard_exit(void);

/* Start-up, when all below is ready. GATES: for the load line. */
void pg_guard_start(const char *gates);

#endif
