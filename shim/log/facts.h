/* SPDX-License-Identifier: MIT */
/* What both forms of a line say of an event, text and JSON. */
#ifndef PG_FACTS_H
#define PG_FACTS_H

#include "log/event.h"

/* Bytes of a name that are shown. */
enum { PG_NAME_SHOWN = 108 };

/* "default", "ignored", "caught". */
const char *pg_state_name(enum pg_state state);

/* Nanoseconds from AT to the event. */
uint64_t pg_event_since(const struct pg_event *e, uint64_t at);

/* The order in which warnings were given: the indices of those there are, oldest first. */
unsigned pg_by_age(const struct pg_warning *w, unsigned *order);

/* Bytes sent since W, where that is known; or -1. */
int64_t pg_sent_since(const struct pg_event *e, const struct pg_warning *w);

/* The name of the call that E is about; a null pointer: unknown. */
const char *pg_event_call(const struct pg_event *e);

/* What became of what the plan of E wanted, in words; a null pointer: there is nothing to say. */
const char *pg_event_outcome(const struct pg_event *e);

/* The rule behind E, from 0; -1: none. */
int pg_event_rule(const struct pg_event *e);

/* The fields of E's rule that say what it does to E's call: "reset", "hold=3s:delay=1ms". Numbers
 * with a hundred zeros in front are left out. */
void pg_put_actions(struct pg_text *t, const struct pg_event *e);

/* The command that reaches the program of an unreached event. False: none is known. */
bool pg_put_instead(struct pg_text *t, const struct pg_event *e);

/* "one.c:12 < two.c:5": the lines of E's frames, as many as fit, "?" for those that are not known.
 */
enum { PG_SOURCES_MAX = 256 };
void pg_put_sources(struct pg_text *t, const struct pg_event *e);

/* True if O has an address of its own. 0.0.0.0 is none of a client, which has failed to connect and
 * has no more than a port. */
bool pg_has_local(const struct pg_object *o);

/* A program that confined itself cannot be asked what became of it. */
bool pg_knows_signal(const struct pg_event *e);

#endif
