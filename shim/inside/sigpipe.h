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

#include "inside/hit.h"
#include "log/event.h"

#include <signal.h>

/* What the gate asks of those who know what to do about a broken write. */
struct pg_sigpipe_calls {
	/* SIGPIPE of the write OP would kill. True: it is taken away, and that is logged. */
	bool (*spared)(const struct pg_op *op);
	/* Logs OP. SIGNAL: what becomes of its signal. */
	void (*broken)(const struct pg_op *op, enum pg_signal signal);
	/* A SIGPIPE kills that is no write's of this moment; OWED: that of a write which was logged
	 * while its signal was blocked (a mark, hit.h), or 0. */
	void (*killed)(int sender, bool by_itself, uint64_t owed);
	/* Nothing is logged after this. */
	void (*dies)(void);
};

/* Start-up only: takes SIGPIPE over if it has its default disposition. Returns what it had. */
enum pg_state pg_sigpipe_start(const struct pg_sigpipe_calls *calls);

/* sigaction(SIGPIPE, act, old) for the program. BY: the caller, for the record. */
int pg_sigpipe_action(const struct sigaction *act, struct sigaction *old, uintptr_t by);

/* After libc's signal(), sigset() and the like set SIGPIPE by themselves: OLD is what they
 * returned; returns what the program shall see. */
sighandler_t pg_sigpipe_adopt(sighandler_t old, uintptr_t by);

/* A SIGPIPE is on its way to this thread, which blocks it: the real default comes back, so that it
 * kills. */
void pg_sigpipe_default(void);

/* Raises SIGPIPE for this thread, which blocks it. SI: as the kernel gave it, or a null pointer: as
 * it would. False: refused (a sandbox). */
bool pg_sigpipe_queue(const siginfo_t *si);

/* What a SIGPIPE raised now does to this thread. */
enum pg_signal pg_sigpipe_outcome(void);
/* The same for a thread whose mask is BLOCKED. */
enum pg_signal pg_sigpipe_outcome_under(uint64_t blocked);

/* The last recorded change whose result is still in force; false if none is. */
bool pg_sigpipe_last_change(enum pg_signal outcome, struct pg_change *change);

/* The program gives a thread an alternate signal stack of SIZE bytes. */
void pg_sigpipe_alternate(size_t size);

/* Before the program confines itself: afterwards its default handler must do without system calls.
 * UNDO: it did not. */
void pg_sigpipe_confine(bool undo);

/* From now on SIGPIPE does what the program asked for, with no handler of ours; or, to UNDO that,
 * as before. */
void pg_sigpipe_withdraw(bool undo);

/* Called after each change of the disposition; may be null. */
extern void (*pg_sigpipe_changed)(const struct pg_change *change);

#endif
