/* SPDX-License-Identifier: MIT */
/* The lines of the log, of processes that are looked at. */
#ifndef PG_TELL_H
#define PG_TELL_H

#include "log/event.h"
#include "outside/registers.h"
#include "outside/tracee.h"

/* Thread TID of T is about to be given SIGPIPE. Tells the write behind it. Returns the signal that
 * it is to be given: SIGPIPE, or 0. */
int pg_tell_sigpipe(struct pg_tracee *t, int tid);

/* The write behind R broke, and no signal came of it but SIGNAL: none, or one that is blocked. */
void pg_tell_silent(struct pg_tracee *t, int tid, const struct pg_registers *r,
		    enum pg_signal signal);

/* T runs a new program. */
void pg_tell_load(struct pg_tracee *t);

/* The files behind T's memory are known: what was held back of its beginning is told, unless the
 * library is in it. */
void pg_tell_held(struct pg_tracee *t);

/* Tells, once, where T may not be looked into. */
void pg_tell_closed(struct pg_tracee *t);

/* Tells that T asked for seccomp notifications of its own. */
void pg_tell_listener(struct pg_tracee *t);

/* T has ended: the last word, where there is one to say. */
void pg_tell_exit(struct pg_tracee *t);

/* How many broken writes were told, or counted. */
extern uint64_t pg_told;

/* A line about E, of thread TID. */
void pg_tell(struct pg_tracee *t, int tid, struct pg_event *e);

/* Behind such a line: which files its stack names. E is gone then. */
void pg_tell_modules(struct pg_tracee *t);

/* Room for one event. */
struct pg_event *pg_tell_room(enum pg_ev ev, struct pg_tracee *t);

/* Fills in the stack that was climbed last, and its hash. */
void pg_tell_stack(struct pg_event *e);

#endif
