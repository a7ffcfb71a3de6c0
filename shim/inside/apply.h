/* SPDX-License-Identifier: MIT */
/* A call that a rule watches: all of it, from the program's arguments to the result. Reached only
 * where a rule names the call; nothing here is on a healthy call's path. */
#ifndef PG_APPLY_H
#define PG_APPLY_H

#include "inside/guard.h"

#include <sys/uio.h>

/* Start-up only. */
void pg_apply_start(void);

/* What a wrapper was called with, as machine words. */
struct pg_frame {
	enum pg_call call;
	bool raw; /* made by syscall(2) */
	uintptr_t caller;
	long arg[6];
};

/* The call that FRAME describes. */
struct pg_op pg_apply_op(const struct pg_frame *frame);

/* Makes the call as the rules want it. Returns what the call returns, with errno set as it sets
 * it. */
PG_COLD long pg_apply_frame(const struct pg_frame *frame);
PG_COLD long pg_apply(enum pg_call call, uintptr_t caller, long a, long b, long c, long d, long e,
		      long f);

/* The same of one made by syscall(2), whose own version is LIBC: rules may watch it or not. */
typedef long pg_syscall_fn(long nr, ...);
long pg_apply_raw(const struct pg_frame *frame, pg_syscall_fn *libc);

/* True if a wrapper is to hand the call over. One test of a healthy call asks whether it is before
 * start-up, or a rule watches the call; only then it is asked whether a rule can reach the
 * descriptor. */
#define PG_ASIDE(name, fd)                                                                         \
	(PG_UNLIKELY(pg_front.aside & PG_BIT(PG_CALL_##name)) &&                                   \
	 pg_fd_ruled(fd, PG_BIT(PG_CALL_##name)))

/* PG_APPLY(send, fd, buf, len, flags): the same for a wrapper. */
#define PG_APPLY(name, ...) PG_APPLY_(name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define PG_APPLY_(name, a, b, c, d, e, f, ...)                                                     \
	pg_apply(PG_CALL_##name, PG_CALLER, PG_W(a), PG_W(b), PG_W(c), PG_W(d), PG_W(e), PG_W(f))

/* For calls that are made in another way (dprintf, a FILE's): before it and after it. Between them
 * OP may be shorter (OP.clamped) or decided (OP.skip, OP.result). BIT: its bit in a rule's set. */
PG_COLD struct pg_op pg_apply_out(struct pg_op op, uint64_t bit, uintptr_t caller);
/* After a write that pg_apply_out made shorter than LEN, and that returned RET: where a rule breaks
 * a pipe in the middle of it, now. May not return. errno is kept. */
PG_COLD void pg_apply_midway(const struct pg_op *op, int64_t len, int64_t ret, uintptr_t caller);

PG_COLD struct pg_op pg_apply_in(struct pg_op op, uint64_t bit, uintptr_t caller);

/* What a read gave: counts it, and turns it to garbage. errno is as the call left it, and kept. */
PG_COLD void pg_apply_read(const struct pg_op *op, int64_t ret);

/* pg_match_asks(), pg_match_refused(), pg_match_connection() of the rules as they are now. */
bool pg_apply_asks(int fd, uint64_t bit);
PG_COLD void pg_apply_refused(int fd, uint64_t bit, int err);
PG_COLD void pg_apply_connection(int fd);

/* Messages of one call, which rules look at one by one. */
struct pg_messages {
	struct pg_op op; /* of DATA on, LEN of them */
	uint64_t bit;
	uintptr_t caller;
	uint64_t offset; /* of the stream, before them */
};

/* How many, from the first one on, no rule acts on: they are counted, and may be moved by one call.
 * What the kernel will refuse is the last of them. Fills in M's story and offset. */
PG_COLD unsigned pg_apply_idle(struct pg_messages *m);

/* Of the first IDLE ones, which were counted so, MADE were moved. */
PG_COLD void pg_apply_unmade(const struct pg_messages *m, unsigned idle, unsigned made);

/* connect and accept. True: *RET is the result, errno is set. */
PG_COLD bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
			      int *ret, uintptr_t caller);
PG_COLD bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller);

#endif
