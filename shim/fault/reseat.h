/* SPDX-License-Identifier: MIT */
/*
 * Puts another object under a descriptor. dup3(2) alone would take the number
 * out of the epoll sets that hold it; the sets are known from
 * /proc/self/fdinfo (proc(5)), so the new object is put into them with the
 * same events and data. Without /proc, or beyond 8 sets, it leaves them.
 */
#ifndef PG_RESEAT_H
#define PG_RESEAT_H

/* FROM takes the number FD, with FD's close-on-exec flag, and its O_NONBLOCK; FROM is closed.
 * Returns 0 or -errno. Async-signal-safe; errno untouched; system calls in the number of open
 * descriptors. */
int pg_reseat(int fd, int from);

/* Edge-triggered sets report FD once more, if it is ready: after a made-up EAGAIN or a short
 * count no edge would come. Async-signal-safe; errno untouched. */
void pg_reseat_wake(int fd);

#endif
