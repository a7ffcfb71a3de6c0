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
#include "hit.h"

#include <signal.h>

/* Tells of HIT. SIGNAL: PG_SIG_FATAL or PG_SIG_CAUGHT. True: the program shall go on, without the
 * signal. */
typedef bool pg_broken_fn(const struct pg_hit *hit, enum pg_signal signal);
typedef void pg_killed_fn(int sender);

/* Start-up only: takes SIGPIPE over if it has its default disposition. Returns what it had. */
enum pg_state pg_sigpipe_start(pg_broken_fn *broken, pg_killed_fn *killed);

/* sigaction(SIGPIPE, act, old) for the program. BY: the caller, for the record. */
int pg_sigpipe_action(const struct sigaction *act, struct sigaction *old, uintptr_t by);

/* After libc's signal(), sigset() and the like set SIGPIPE by themselves: OLD is what they
 * returned; returns what the program shall see. */
sighandler_t pg_sigpipe_adopt(sighandler_t old, uintptr_t by);

/* Puts the real default back, for a signal that is about to be raised to kill. */
void pg_sigpipe_default(void);

/* What a SIGPIPE raised now does to this thread. */
enum pg_signal pg_sigpipe_outcome(void);
/* The same for a thread whose mask is BLOCKED. */
enum pg_signal pg_sigpipe_outcome_under(uint64_t blocked);

/* The last recorded change whose result is still in force; false if none is. */
bool pg_sigpipe_last_change(enum pg_signal outcome, struct pg_change *change);

/* Before the program confines itself: afterwards its default handler must do without system calls.
 */
void pg_sigpipe_confine(void);

/* Called after each change of the disposition; may be null. */
extern void (*pg_sigpipe_changed)(const struct pg_change *change);

#endif
