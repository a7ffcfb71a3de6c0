/* SPDX-License-Identifier: MIT */
/*
 * How far the streams are that rules watch: bytes counted for each object, by
 * whatever descriptor they went, so that at= holds after dup, dup2 and fork.
 * A process counts what it moved itself, and what its parent had moved when it
 * forked. Async-signal-safe, errno untouched.
 */
#ifndef PG_STREAM_H
#define PG_STREAM_H

#include "fd.h"

/* The bytes sent and received on the object O that is behind FD: what no rule saw is counted from
 * the record of FD, if that is O's. */
struct pg_stream {
	uint64_t sent, received;
};
struct pg_stream pg_stream_look(int fd, const struct pg_object *o);

/* After a call that was looked at: SENT and RECEIVED bytes more. What was sent is in the record
 * already, if FD has one. */
void pg_stream_moved(int fd, uint64_t sent, uint64_t received);

#endif
