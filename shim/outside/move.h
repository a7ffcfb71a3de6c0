/* SPDX-License-Identifier: MIT */
/* Bytes between a process's memory and a descriptor, moved in its place: as many as a rule lets
 * through, counted. */
#ifndef PG_MOVE_H
#define PG_MOVE_H

#include "outside/way.h"

/* True if the bytes of C can be moved here: not where descriptors, addresses or other descriptors'
 * bytes go with them. */
bool pg_move_can(struct pg_ruled *c);

/* Moves what it can of C.WANT without waiting, counts it in C.DONE. Returns 0: all there is to do
 * is done; 1: it has to wait for C.EVENTS; or -errno. */
int pg_move(struct pg_ruled *c);

/* C, which reads, is to return the end: what it says besides. */
void pg_move_ends(const struct pg_ruled *c);

#endif
