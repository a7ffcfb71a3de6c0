/* SPDX-License-Identifier: MIT */
/*
 * The one brain: what to do about a call that has ended. The inline parts
 * are all that a healthy call pays: two stores to this thread's mark, one
 * addition, two comparisons.
 */
#ifndef PG_GUARD_H
#define PG_GUARD_H

#include "config.h"
#include "sigpipe.h"

extern bool pg_watch_all; /* PIPEGUARD_VERBOSE=2 */

/* A call of the program's that writes. LEN: bytes asked for, or what a whole success returns. */
struct pg_op {
	enum pg_call call;
	int fd;
	int64_t len;
	int flags;	    /* MSG_* of the send family, RWF_* of pwritev2 */
	const void *vector; /* an iovec (COUNT of them) or, with COUNT 0, a msghdr: for the length,
			       read only after it broke */
	uint64_t count;
	uint64_t outer;	  /* the mark of a call that this one interrupts */
	uint64_t garbage; /* bytes that a rule wants replaced in what is read */
	int64_t result;	  /* with SKIP */
	enum pg_via via;
	bool skip;    /* a rule decided the result: the call is not made */
	bool clamped; /* a rule made LEN less than was asked for */
	bool watched; /* a rule watches this read */
};

/* What a rule did, for the log. */
enum pg_held { PG_NOT_HELD, PG_HELD, PG_HELD_IN_VAIN };
struct pg_inject {
	unsigned rule; /* from 0 */
	enum pg_held held;
	bool prob;
};

/* Does CALL belong to %out? */
bool pg_is_out(enum pg_call call);

/* A rule fires on HIT's call. */
void pg_guard_tell_inject(const struct pg_hit *hit, const struct pg_inject *inject);

/* error=EPIPE: tells of HIT and, if it SIGNALS, raises SIGPIPE as the kernel would. May not return.
 */
void pg_guard_injected_epipe(const struct pg_hit *hit, bool signals);

#define PG_CALLER ((uintptr_t)__builtin_return_address(0))

/* What the kernel answered, once it is not all that was asked: logs a break. errno is kept. */
PG_COLD void pg_guard_out(const struct pg_op *op, int64_t ret, uintptr_t caller);

/* A read that returned RET <= 0, having asked for LEN bytes. errno is kept. */
PG_COLD void pg_guard_in(enum pg_call call, int fd, uint64_t len, int64_t ret, uintptr_t caller);

/* A descriptor's error came to the program's knowledge in another way: connect, SO_ERROR. */
PG_COLD void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller);

/* Before close() at PIPEGUARD_VERBOSE=1: are there unread bytes, so that the kernel will reset the
 * peer? */
void pg_guard_close(int fd);

/* The exit line, if there is anything to say. */
void pg_guard_exit(void);

/* Start-up, when all below is ready. GATES: for the load line. */
void pg_guard_start(const char *gates);

/* Of apply.h, which stands above this: set at start where there are rules. */
extern struct pg_op (*pg_apply_out_hook)(struct pg_op op, uint64_t bit, uintptr_t caller);

static inline __attribute__((always_inline)) struct pg_op pg_enter(struct pg_op op, uint64_t bits)
{
	op.outer = pg_mark;
	pg_mark = PG_MARK(op.call, op.fd, bits);
	PG_NOTE_CALLER(PG_CALLER);
	if (PG_UNLIKELY(pg_ruled & (bits & PG_MARK_STDIO ? PG_STDIO_BIT : PG_BIT(op.call))))
		op = pg_apply_out_hook(op, bits & PG_MARK_STDIO ? PG_STDIO_BIT : PG_BIT(op.call),
				       PG_CALLER);
	return op;
}

static inline __attribute__((always_inline)) int64_t pg_leave(struct pg_op op, int64_t ret)
{
	if (PG_LIKELY(ret > 0) && PG_LIKELY(!op.skip))
		pg_fd_sent(op.fd, (uint64_t)ret);
	if (PG_UNLIKELY(ret != op.len) || PG_UNLIKELY(pg_watch_all)) {
		struct pg_op copy = op; /* in memory on this path alone */

		pg_guard_out(&copy, ret, PG_CALLER);
	}
	pg_mark = op.outer;
	return ret;
}

/* PG_OUT(send, .fd = fd, .len = n, …): the call, marked as in progress. */
#define PG_OUT(name, ...) pg_enter((struct pg_op){.call = PG_CALL_##name, __VA_ARGS__}, 0)

#endif
