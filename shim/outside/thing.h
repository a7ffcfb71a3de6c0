/* SPDX-License-Identifier: MIT */
/* What is behind a descriptor of another process, by a copy of it. */
#ifndef PG_THING_H
#define PG_THING_H

#include "outside/tracee.h"

/* A copy of descriptor FD of thread TID of T with close-on-exec; negative: -errno. */
int pg_thing_copy(struct pg_tracee *t, int tid, int fd);

/* Fills in what the kernel knows of FD. Returns a copy to be closed, or -1 where none could be had:
 * then little is known. */
int pg_thing_look(struct pg_tracee *t, int tid, int fd, struct pg_object *o);

/* What there is to know by COPY of T's. */
void pg_thing_by_copy(const struct pg_tracee *t, int copy, struct pg_object *o);

/* True if FD, a copy or negative, is of O. */
bool pg_thing_is(const struct pg_object *o, int fd);

/* True if what is behind FD, a copy, is the same to whoever uses it, and waits for nobody's answer.
 */
bool pg_thing_is_impartial(int fd);

/* Bytes that call CALL of thread TID with the arguments ARG asks for; -1: not known. */
int64_t pg_thing_length(int pid, enum pg_call call, const long arg[6], bool narrow);

#endif
