/* SPDX-License-Identifier: MIT */
/* Calls that the filter notifies of: each waits in the kernel until it is answered. */
#ifndef PG_NOTIFY_H
#define PG_NOTIFY_H

#include <signal.h>

/* From now on LISTENER notifies. */
void pg_notify_start(int listener);

/* Takes one call, if one waits. */
void pg_notify_take(void);

/* Waits for calls, with SIGNALS unblocked, which are blocked before and afterwards. Those that are
 * just counted are answered; returns after another one, or when pg_notify_disturb was called. */
void pg_notify_listen(const sigset_t *signals);

/* For handlers of SIGNALS. Async-signal-safe. */
void pg_notify_disturb(void);

#endif
