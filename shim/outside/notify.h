/* SPDX-License-Identifier: MIT */
/* Calls that the filter notifies of: each waits in the kernel until it is answered. */
#ifndef PG_NOTIFY_H
#define PG_NOTIFY_H

#include <stdbool.h>

/* From now on LISTENER notifies. */
void pg_notify_start(int listener);

/* Takes one call, if one waits. */
void pg_notify_take(void);

#endif
