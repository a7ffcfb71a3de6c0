/* SPDX-License-Identifier: MIT */
/* Which files the modules are that stacks name: what source lines are looked up by afterwards. */
#ifndef PG_MODULES_H
#define PG_MODULES_H

#include "log/event.h"

/* Behind the line about E: a line about each module of its stack that this process has not told of
 * yet, in logs that are for programs and tell of loads. E, and what is in LINE, are gone then.
 * Async-signal-safe. */
void pg_modules_tell(struct pg_event *e, char *line, uint64_t mask);

#endif
