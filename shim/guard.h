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
	int flags; /* MSG_* of the socket calls, RWF_* of pwritev2 */
	enum pg_shape shape;
	const void *data; /* the program's, of SHAPE: read only where the kernel has read it, or
			     with pg_fault_peek */
	uint64_t count;	  /* of PG_IOV */
	uint64_t outer;	  /* the mark of a call that this one interrupts */
	uint64_t garbage; /* bytes that a rule wants replaced in what is read; ~0: all */
	int64_t result;	  /* with SKIP */
	enum pg_via via;
	bool skip;    /* a rule decided the result: the call is not made */
	bool clamped; /* a rule made LEN less than was asked for */
	bool watched; /* a rule watches this read */
};

/* What a rule did, for the log. */
enum pg_held { PG_NOT_HELD, PG_HELD, PG_HELD_IN_VAIN };
struct pg_inject {
	const struct pg_object *object;
	unsigned rule; /* from 0 */
	enum pg_held held;
	bool prob;
	bool lost; /* drop: the bytes go nowhere */
};

/* Does CALL belong to %out? */
bool pg_is_out(enum pg_call call);

/* Would the kernel raise SIGPIPE with OP's EPIPE on O? Pipes and stream sockets do, unless told not
 * to. */
bool pg_guard_raises(const struct pg_op *op, const struct pg_object *o);

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

/* At PIPEGUARD_VERBOSE=2, a connection that stands or is on its way. errno is kept. */
PG_COLD void pg_guard_connected(enum pg_call call, int fd, int ret, uintptr_t caller);

/* Before close() at PIPEGUARD_VERBOSE=1: are there unread bytes, so that the kernel will reset the
 * peer? */
void pg_guard_close(int fd);

/* The exit line, if there is anything to say. */
void pg_guard_exit(void);

/* Start-up, when all below is ready. GATES: for the load line. */
void pg_guard_start(const char *gates);

/* Does a rule watch this call? Then all of it is apply.h's. */
#define PG_RULED(name) PG_UNLIKELY(pg_ruled &PG_BIT(PG_CALL_##name))

/* Marks OP as in progress, for the signal gate. BITS: PG_MARK_. */
static inline __attribute__((always_inline)) struct pg_op pg_enter(struct pg_op op, uint64_t bits,
								   uintptr_t caller)
{
	op.outer = pg_mark;
	pg_mark = PG_MARK(op.call, op.fd, bits);
	PG_NOTE_CALLER(caller);
	(void)caller;
	return op;
}

static inline __attribute__((always_inline)) int64_t pg_leave(struct pg_op op, int64_t ret,
							      uintptr_t caller)
{
	if (PG_LIKELY(ret > 0) && PG_LIKELY(!op.skip))
		pg_fd_sent(op.fd, (uint64_t)ret);
	if (PG_UNLIKELY(ret != op.len) || PG_UNLIKELY(pg_watch_all)) {
		struct pg_op copy = op; /* in memory on this path alone */

		pg_guard_out(&copy, ret, caller);
	}
	pg_mark = op.outer;
	return ret;
}

/* PG_OUT(send, NEXT(send)(…), .fd = fd, .len = n, …): the call, made between the two. */
#define PG_OUT(name, made, ...)                                                                    \
	__extension__({                                                                            \
		struct pg_op op = pg_enter((struct pg_op){.call = PG_CALL_##name, __VA_ARGS__}, 0, \
					   PG_CALLER);                                             \
		(__typeof__(made))pg_leave(op, (int64_t)(made), PG_CALLER);                        \
	})

/* The same for a call that reads: only an end or an error is of interest. */
#define PG_IN(name, made, descriptor, length)                                                      \
	__extension__({                                                                            \
		__typeof__(made) pg_got = (made);                                                  \
		if (PG_UNLIKELY(pg_got <= 0))                                                      \
			pg_guard_in(PG_CALL_##name, descriptor, (uint64_t)(length), pg_got,        \
				    PG_CALLER);                                                    \
		pg_got;                                                                            \
	})

#endif
