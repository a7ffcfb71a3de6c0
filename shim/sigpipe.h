/* SPDX-License-Identifier: MIT */
/*
 * The signal gate. A handler of ours stands where the program has SIG_DFL,
 * and in front of a handler of the program's own, so that a write that breaks
 * is seen however it was made, before the process dies or the handler leaves
 * by _exit or siglongjmp.
 *
 * No memory mirrors the kernel's state (a vfork child shares ours): what the
 * program set is encoded in which of our handlers is installed. The program's
 * queries are answered from that.
 */
#ifndef PG_SIGPIPE_H
#define PG_SIGPIPE_H

#include "event.h"

#include <signal.h>

/* ---- the call in progress in this thread, for the handler ---- */

#define PG_MARK_SET ((uint64_t)1 << 49)
#define PG_MARK_STDIO ((uint64_t)1 << 50)
#define PG_MARK_RAW ((uint64_t)1 << 51)	   /* made by syscall(2) */
#define PG_MARK_LOGGED ((uint64_t)1 << 63) /* the handler has told it */
#define PG_MARK(call, fd, bits) (PG_MARK_SET | (bits) | (uint64_t)(call) << 32 | (uint32_t)(fd))

extern __thread uint64_t pg_mark __attribute__((tls_model("initial-exec")));

/* A write that broke, as far as the gate knows it. */
struct pg_hit {
	enum pg_via via;
	enum pg_call call;
	int fd;
	int64_t len, ret;
	int err;
	uintptr_t caller; /* inside the calling instruction; 0: look at the stack */
};

typedef void pg_broken_fn(const struct pg_hit *hit, enum pg_signal signal);
typedef void pg_killed_fn(int sender);

/* Start-up only: takes SIGPIPE over if it has its default disposition. Returns what it had. */
enum pg_state pg_sigpipe_start(pg_broken_fn *broken, pg_killed_fn *killed);

/* sigaction(SIGPIPE, act, old) for the program. BY: the caller, for the record. */
int pg_sigpipe_action(const struct sigaction *act, struct sigaction *old, uintptr_t by);

/* After libc's signal(), sigset() and the like set SIGPIPE by themselves: OLD is what they
 * returned; returns what the program shall see. */
sighandler_t pg_sigpipe_adopt(sighandler_t old, uintptr_t by);

/* What a SIGPIPE raised now does to this thread. */
enum pg_signal pg_sigpipe_outcome(void);

/* The last recorded change whose result is still in force; false if none is. */
bool pg_sigpipe_last_change(struct pg_change *change);

/* Called after each change of the disposition; may be null. */
extern void (*pg_sigpipe_changed)(const struct pg_change *change);

/* Bytes that the vector or message of a call asked to write; the kernel has read it before. */
int64_t pg_iov_bytes(const void *iov, uint64_t count);
int64_t pg_msg_bytes(const void *msg);

#endif
