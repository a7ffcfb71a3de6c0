/* SPDX-License-Identifier: MIT */
/* Which files the modules are that stacks name: what source lines are looked up by afterwards. */
#ifndef PG_MODULES_H
#define PG_MODULES_H

#include "log/room.h"

/* Behind the line about the event in S: a line about each module of its stack that this process has
 * not logged yet, in logs that are for programs and have loads. The event and its line are gone
 * then. Async-signal-safe. */
void pg_modules_log(struct pg_room *s);

#endif
