/* SPDX-License-Identifier: MIT */
/*
 * A write that broke: which one it was, from the registers that the signal
 * interrupted and from the mark of the wrapper that was at work.
 */
#ifndef PG_HIT_H
#define PG_HIT_H

#include "rules/op.h"

#include <signal.h>

/* ---- the call in progress in this thread, for the handler ---- */

#define PG_MARK_SET ((uint64_t)1 << 49)
#define PG_MARK_STDIO ((uint64_t)1 << 50)
#define PG_MARK_RAW ((uint64_t)1 << 51)	     /* made by syscall(2) */
#define PG_MARK_NOSIGNAL ((uint64_t)1 << 52) /* a rule takes the signal away */
#define PG_MARK_LOGGED ((uint64_t)1 << 63)   /* the handler has logged it */
#define PG_MARK(call, fd, bits) (PG_MARK_SET | (bits) | (uint64_t)(call) << 32 | (uint32_t)(fd))

extern __thread uint64_t pg_mark __attribute__((tls_model("initial-exec"))) PG_HIDDEN;

/* The frame of the innermost call that formats (dprintf): what libc writes for it lies below. */
extern __thread uintptr_t pg_format_frame __attribute__((tls_model("initial-exec"))) PG_HIDDEN;

/*
 * Where PG_MARKS is 0: the calls that the handler has logged and whose wrappers
 * have not looked yet, by the stack pointer that the wrapper returns to. Calls
 * nest (a signal handler of the program's breaks a write while another waits to
 * be looked at), so there are several.
 */
void pg_hit_logged(uintptr_t cfa);
bool pg_hit_take_logged(uintptr_t cfa); /* true, once, if it was logged */

/* The last broken write of this thread whose signal is blocked, and so will come later: its call
 * and descriptor, as in a mark; 0: none. */
extern __thread uint64_t pg_owed __attribute__((tls_model("initial-exec"))) PG_HIDDEN;

/*
 * musl has no unwind tables, so a stack cannot be walked out of it: there the
 * wrapper notes where it returns to. glibc's can, and a healthy call pays less.
 */
#ifdef __GLIBC__
#define PG_NOTE_RETURN(op, to) ((void)0)
#define PG_FORGET_RETURN(op) ((void)0)
#define PG_MARKED_CALLER 0
#else
extern __thread uintptr_t pg_mark_return __attribute__((tls_model("initial-exec")));
#define PG_NOTE_RETURN(op, to) ((op)->outer_return = pg_mark_return, pg_mark_return = (to))
#define PG_FORGET_RETURN(op) (pg_mark_return = (op)->outer_return)
#define PG_MARKED_CALLER (pg_mark_return - 1)
#endif

/*
 * True if the kernel raised this SIGPIPE for a write of this thread's. A
 * kernel-made one says SI_USER and our own pid, and the registers hold the
 * call's result: -EPIPE, or a count where a pipe's reader left midway.
 * Fills OP in if so, as far as that is known. UC: the ucontext_t that the handler was given.
 */
bool pg_hit_recognise(const siginfo_t *si, const void *uc, struct pg_op *op);

/* True if what was interrupted is a write that was logged, and nothing has run since. Then this
 * signal is another's, which came while the handler ran. */
bool pg_hit_is_stale(const void *uc);

/* The write that UC is of is logged; what returns to it need not log it again. */
void pg_hit_mark_logged(const struct pg_op *op, void *uc);

/* The number of the system call that UC interrupted; -1: unknown. */
long pg_hit_number(const void *uc);

/* Makes the interrupted system call happen once more when the handler returns. False: not known
 * how. */
bool pg_hit_repeat(void *uc);

#endif
