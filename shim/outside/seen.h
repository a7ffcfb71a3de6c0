/* SPDX-License-Identifier: MIT */
/* What rules see of a call that another process makes. */
#ifndef PG_SEEN_H
#define PG_SEEN_H

#include "outside/way.h"

/* Fills in C's object and what else rules ask for; a connection is counted for them. False: the
 * kernel would refuse C for what its object is, or for its arguments, and no rule counts it. */
bool pg_see_call(struct pg_ruled *c);

/* All there is to know of its object, for an event. */
void pg_see_all(struct pg_ruled *c);

/* True if C returns rather than waits. */
bool pg_see_nonblock(const struct pg_ruled *c);

/* Whom a connect asks. False: that cannot be an address. */
struct sockaddr_storage;
bool pg_see_address(const struct pg_ruled *c, struct sockaddr_storage *ss);

/* The header of a call that has one, as wide as this machine's. False: it cannot be read. */
struct msghdr;
bool pg_see_message(const struct pg_ruled *c, struct msghdr *m);

/* True if there is a byte at ADDRESS. A page where there was one is not asked about again: what is
 * taken away later is counted once too often. */
bool pg_see_byte(const struct pg_tracee *t, uintptr_t address);

/* True if there was one when its page was asked about. */
bool pg_see_known_byte(const struct pg_tracee *t, uintptr_t address);

#endif
