/* SPDX-License-Identifier: MIT */
/* The lines of the log, of processes that are looked at. */
#ifndef PG_OUTSIDE_REPORT_H
#define PG_OUTSIDE_REPORT_H

#include "log/event.h"
#include "outside/registers.h"
#include "outside/tracee.h"

/* Thread TID of T is about to be given SIGPIPE. Logs the write behind it. Returns the signal that
 * it is to be given: SIGPIPE, or 0. */
int pg_report_sigpipe(struct pg_tracee *t, int tid);

/* The write behind R broke, and no signal came of it but SIGNAL: none, or one that is blocked. */
void pg_report_silent(struct pg_tracee *t, int tid, const struct pg_registers *r,
		      enum pg_signal signal);

/* T runs a new program. */
void pg_report_started(struct pg_tracee *t);

/* The files behind T's memory are known: what was held back of its beginning is logged, unless the
 * library is in it. */
void pg_report_held(struct pg_tracee *t);

/* Logs, once, that T may not be looked into. */
void pg_report_closed(struct pg_tracee *t);

/* Logs that T asked for seccomp notifications of its own. */
void pg_report_listener(struct pg_tracee *t);

/* Logs, once of each program, that T traces others, and is refused because of this process.
 * ENTERED: by the library it could be. */
void pg_report_tracer(struct pg_tracee *t, bool entered);

/* T has ended: the last word, where there is one to say. */
void pg_report_ended(struct pg_tracee *t);

/* How many broken writes were logged, or counted. */
extern uint64_t pg_reported;

/* A line about E, of thread TID. */
void pg_report_event(struct pg_tracee *t, int tid, struct pg_event *e);

/* Behind such a line: which files its stack names. E is gone then. */
void pg_report_modules(struct pg_tracee *t);

/* Room for one event. */
struct pg_event *pg_report_room(enum pg_ev ev, struct pg_tracee *t);

/* Fills in the stack that was climbed last, and its hash. */
void pg_report_stack(struct pg_event *e);

#endif
