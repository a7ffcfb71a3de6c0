/* SPDX-License-Identifier: MIT */
/* The rules, applied to a call that one of them watches; and such a call as a wrapper hands it
 * over. Reached only where a rule names the call; nothing here is on a healthy call's path. */
#ifndef PG_APPLY_H
#define PG_APPLY_H

#include "inside/guard.h"
#include "rules/turn.h"

#include <sys/uio.h>

/* Start-up only. */
void pg_apply_start(void);

/* Asks the rules that watch OP, and does what they want before it. It may be shorter then (CLAMPED)
 * or decided (SKIP, RET: errno is set if that fails). errno is kept otherwise. */
PG_COLD void pg_apply_rules(struct pg_op *op);

/* OP's messages, LEN of them: how many, from the first one on, no rule acts on. They are counted,
 * and may be moved by one call. What the kernel will refuse is the last of them. Fills in OP's
 * story and offset. */
PG_COLD unsigned pg_apply_idle(struct pg_op *op);

/* Of the first IDLE ones, which were counted so, MADE were moved. */
PG_COLD void pg_apply_unmade(const struct pg_op *op, unsigned idle, unsigned made);

/* pg_turn_asks(), pg_turn_refused(), pg_conn_came() of the rules as they are now. */
bool pg_apply_asks(int fd, uint64_t bit);
PG_COLD void pg_apply_refused(int fd, uint64_t bit, int err);
PG_COLD void pg_apply_connection(int fd);

/* connect and accept. True: *RET is the result, errno is set. */
PG_COLD bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
			      int *ret, uintptr_t caller);
PG_COLD bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller);

/* ---- words.c: any call that moves bytes, by the words that it was made with ---- */

/* Makes the call as the rules want it. Returns what the call returns, with errno set as it sets
 * it. */
PG_COLD long pg_apply(enum pg_call call, uintptr_t caller, long a, long b, long c, long d, long e,
		      long f);

/* The same of OP, made by syscall(2), whose own version is LIBC: rules may watch it or not. Its
 * call, caller and words are known. */
typedef long pg_syscall_fn(long nr, ...);
long pg_apply_raw(struct pg_op *op, pg_syscall_fn *libc);

/* pg_turn_waits() for each call: with the descriptor where most wrappers have it, as their first
 * argument, it costs the hot path no register. */
#define CALL(name, ...) bool pg_waits_##name(int fd) PG_KEEPS_REGISTERS;
#include "calls.def"
#undef CALL

/* True if a wrapper is to hand the call over. One test of a healthy call asks whether it is before
 * start-up, or a rule watches the call; only then it is asked whether a rule can reach the
 * descriptor, and does more than wait for its turn. */
#define PG_ASIDE(name, fd)                                                                         \
	(PG_UNLIKELY(pg_front.aside & PG_BIT(PG_CALL_##name)) &&                                   \
	 pg_fd_ruled(fd, PG_BIT(PG_CALL_##name)) && !(PG_ASKS_IN_PASSING && pg_waits_##name(fd)))

/* PG_APPLY(send, fd, buf, len, flags): the same for a wrapper. */
#define PG_APPLY(name, ...) PG_APPLY_(name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define PG_APPLY_(name, a, b, c, d, e, f, ...)                                                     \
	pg_apply(PG_CALL_##name, PG_CALLER, PG_W(a), PG_W(b), PG_W(c), PG_W(d), PG_W(e), PG_W(f))

#endif
