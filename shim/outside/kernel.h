/* SPDX-License-Identifier: MIT */
/* What this kernel has not of what the engine outside uses: tried, since versions say little. */
#ifndef PG_KERNEL_H
#define PG_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

enum pg_lack {
	PG_LACKS_INFO = 1,   /* PTRACE_GET_SYSCALL_INFO, Linux 5.3: for stops at calls */
	PG_LACKS_NOTICE = 2, /* seccomp notifications, 5.0; that calls go on, 5.5, is with COPY */
	PG_LACKS_COPY = 4,   /* pidfd_getfd, 5.6 */
	PG_LACKS_PLACE = 8,  /* SECCOMP_IOCTL_NOTIF_ADDFD, 5.9 */
	PG_LACKS_TURNS = 16  /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 6.6 */
};

/* All of it, in bits, as a child of this process finds. What another's listener keeps from it is
 * not known, and not named. */
unsigned pg_kernel_lacks(void);

/* What is missing, and what works all the same, in a line. */
const char *pg_kernel_line(enum pg_lack lack);

/* Each alone. FD: a listener. */
bool pg_kernel_tells(void); /* INFO */
bool pg_kernel_copies(void);
bool pg_kernel_places(int fd);

/* This process's descriptors from FIRST to LAST, also where close_range(2) is missing (Linux 5.9).
 */
void pg_kernel_close(unsigned first, unsigned last);

/* The two sides take turns on one processor from now on. */
bool pg_kernel_turns(int fd);

#endif
