/* SPDX-License-Identifier: MIT */
/*
 * How often each place in the program broke on each object: the first ten
 * events of a place are logged, then the 20th, 40th, 80th and so on. Counted
 * without a lock in a table that makes room by forgetting the least busy place.
 */
#ifndef PG_SITE_H
#define PG_SITE_H

#include "log/event.h"

struct pg_place;

/* Before the program confines itself. */
void pg_site_prepare(void);

/* Counts E at PLACE, an address; true if it is to be logged, as is what kills. Of E, what it is and
 * its object's inode are known; FIRST is the place's record if it is new, else a null pointer. */
bool pg_site_count(struct pg_event *e, uintptr_t place, struct pg_place **first);

/* What is known of a new place now. */
void pg_site_describe(struct pg_place *first, const struct pg_event *e, uintptr_t caller);

/* The places and the sum of E's process, for its exit line. */
void pg_site_collect(struct pg_event *e);

/* True if anything has been counted, in this process or those it was forked from; if an event of
 * PID was held back. */
bool pg_site_any(void);
bool pg_site_held_back(int pid);

#endif
