/* SPDX-License-Identifier: MIT */
/*
 * A call that the kernel tells this process of waits for that, and a signal that comes before it is
 * taken interrupts it: a write to a pipe with room, say, which never fails with EINTR.
 */
#ifndef PG_INTERRUPTED_H
#define PG_INTERRUPTED_H

/* Thread TID stands before a signal. A call that would not have waited for its object is made once
 * more behind the handler, whatever SA_RESTART says. */
void pg_interrupted(int tid);

/* Thread TID stands at the stop that it was asked for, which is no signal to it. A call that says
 * EINTR whatever woke it, as epoll_wait(2), is made once more. */
void pg_interrupted_by_stop(int tid);

/* Thread TID stands before SIG. Who is traced is interrupted by signals that it ignores, too, and
 * calls that say EINTR whatever woke them are made once more. */
void pg_interrupted_for_nothing(int tid, int sig);

#endif
