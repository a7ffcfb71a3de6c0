/* SPDX-License-Identifier: MIT */
/* Does a rule apply to this call, now? The counters of rules live here. */
#ifndef PG_MATCH_H
#define PG_MATCH_H

#include "config.h"
#include "event.h"

/* One call, as rules see it. */
struct pg_candidate {
	const struct pg_object *object;
	int fd;
	bool length_known;
	uint64_t length; /* bytes asked for */
	uint64_t offset; /* bytes of the stream before this call, for at= */
	uintptr_t caller;
};

/* Selectors: all but conn=, len= and at= if CONNECTING (a connection that is being counted). */
bool pg_match(const struct pg_rule *r, const struct pg_candidate *c, bool connecting);

/* Counts the call for rule N and says whether its triggers let it fire. */
bool pg_match_fires(const struct pg_rule *r, unsigned n, const struct pg_candidate *c);

/* A connection has come about on FD: numbers it for the rules with conn=. */
void pg_match_connection(int fd);

/* Has rule N fired in this process? How often did it match? */
uint64_t pg_match_fired(unsigned n);

/* The hash of a stack's module+offset frames: the same in every run. */
uint64_t pg_match_site(const uintptr_t *frames, unsigned n);

#endif
