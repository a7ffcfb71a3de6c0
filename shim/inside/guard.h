/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's answer to a call meant. The macros at the end are all that
 * a healthy call pays: what it was asked is stored, the result
 * compared, and added to the bytes sent.
 */
#ifndef PG_GUARD_H
#define PG_GUARD_H

#include "base/next.h"
#include "inside/ends.h"
#include "inside/sigpipe.h"
#include "rules/config.h"
#include "rules/plan.h"

/* True if a rule has reset the object that FD is now. */
bool pg_guard_was_reset(int fd);

/* error=EPIPE, or a pipe broken midway: tells of HIT and, if it SIGNALS, raises SIGPIPE as the
 * kernel would. May not return.
 */
void pg_guard_injected_epipe(const struct pg_hit *hit, bool signals);

#define PG_CALLER ((uintptr_t)__builtin_return_address(0))
#ifndef PG_CFA
#define PG_CFA ((uintptr_t)__builtin_dwarf_cfa())
#endif

/* What the kernel answered, once it is not all that was asked: logs a break. CFA: the wrapper's,
 * or 0 of a marked call. errno is kept. */
PG_COLD void pg_guard_out(const struct pg_op *op, int64_t ret, uintptr_t caller, uintptr_t cfa);

/* A read that returned RET <= 0. Returns RET; but in a thread that waited while a rule reset the
 * connection, what a received RST would have made it return. errno is kept, or set. */
PG_COLD int64_t pg_guard_in(enum pg_call call, const struct pg_op *op, int64_t ret,
			    uintptr_t caller);

/* A descriptor's error came to the program's knowledge in another way: connect, SO_ERROR. */
PG_COLD void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller);

/* connect was refused ADDR, LEN bytes long, which is the program's. */
PG_COLD void pg_guard_refused(enum pg_call call, int fd, const void *addr, uint32_t len,
			      uintptr_t caller);

/* At PIPEGUARD_VERBOSE=2, a connection that stands or is on its way. errno is kept. */
PG_COLD void pg_guard_connected(enum pg_call call, int fd, int ret, uintptr_t caller);

/* Before close() at PIPEGUARD_VERBOSE=1: are there unread bytes, so that the kernel will reset the
 * peer? */
void pg_guard_close(int fd);

/* OP has left libc: the mark is that of the call which it interrupted. */
static inline void pg_unmark(const struct pg_op *op)
{
	pg_mark = op->outer;
	PG_FORGET_CALLER(op);
}

/* Marks OP as in progress, for the signal gate. BITS: PG_MARK_. */
static inline struct pg_op pg_enter(struct pg_op op, uint64_t bits, uintptr_t caller)
{
	op.outer = pg_mark;
	pg_mark = PG_MARK(op.call, op.fd, bits);
	PG_NOTE_CALLER(&op, caller);
	(void)caller;
	return op;
}

/* OP has ended with RET: counts it, tells if it broke. */
static inline int64_t pg_leave(struct pg_op op, int64_t ret, uintptr_t caller)
{
	if (ret > 0 && !op.skip)
		pg_fd_sent(op.fd, (uint64_t)ret);
	if (ret != op.len || ret < 0 || pg_watch_all)
		pg_guard_out(&op, ret, caller, 0);
	pg_unmark(&op);
	return ret;
}

/* A call that did not do all it was asked, as a wrapper saw it: OP holds what the wrapper stored.
 * Counts it, tells if it broke. Returns RET; errno is kept. */
PG_COLD int64_t pg_guard_odd(enum pg_call call, struct pg_op *op, int64_t ret, uintptr_t caller,
			     uintptr_t cfa);

#if PG_MARKS
static inline void pg_begin(struct pg_op *op, enum pg_call call, uintptr_t caller)
{
	op->outer = pg_mark;
	pg_mark = PG_MARK(call, op->fd, 0);
	PG_NOTE_CALLER(op, caller);
	(void)caller;
}
static inline void pg_end(const struct pg_op *op)
{
	pg_unmark(op);
}
#else
#define pg_begin(op, call, caller) ((void)0)
#define pg_end(op) ((void)0)
#endif

/*
 * PG_OUT(send, op, fd, len, PG_HOT(send)(…)): the call, made, and its result
 * looked at. OP is the wrapper's own, in memory, and it has stored there what
 * else its call's layout has (flags, say): that is all a healthy call pays,
 * besides one addition.
 */
#define PG_OUT(name, op, descriptor, length, made)                                                 \
	__extension__({                                                                            \
		__typeof__(made) made_;                                                            \
		(op).fd = (descriptor);                                                            \
		pg_begin(&(op), PG_CALL_##name, PG_CALLER);                                        \
		(op).len = (int64_t)(length);                                                      \
		made_ = (made);                                                                    \
		if (PG_UNLIKELY(made_ != (op).len || made_ < 0)) /* a length may be -1, too */     \
			made_ = (__typeof__(made_))pg_guard_odd(PG_CALL_##name, &(op), made_,      \
								PG_CALLER, PG_CFA);                \
		else                                                                               \
			pg_fd_sent((op).fd, (uint64_t)made_);                                      \
		pg_end(&(op));                                                                     \
		made_;                                                                             \
	})

/* The same for a vector, whose length is not known before the kernel has read it: a count is odd
 * only on what may be a pipe. */
#define PG_OUT_VECTOR(name, op, descriptor, made)                                                  \
	__extension__({                                                                            \
		__typeof__(made) made_;                                                            \
		(op).fd = (descriptor);                                                            \
		pg_begin(&(op), PG_CALL_##name, PG_CALLER);                                        \
		(op).len = -2;                                                                     \
		made_ = (made);                                                                    \
		if (PG_LIKELY(made_ > 0 && pg_fd_is_connection((op).fd)))                          \
			pg_fd_sent((op).fd, (uint64_t)made_);                                      \
		else                                                                               \
			made_ = (__typeof__(made_))pg_guard_odd(PG_CALL_##name, &(op), made_,      \
								PG_CALLER, PG_CFA);                \
		pg_end(&(op));                                                                     \
		made_;                                                                             \
	})

/*
 * What a wrapper was asked, as far as it stores it: in memory, which costs a
 * healthy call less than registers that must be kept. The rest is left as it is.
 */
struct pg_asked {
	int fd, flags, count;
	size_t len;
	const void *data;
};

/* The same as pg_guard_in() where the wrapper stored its buffer's length; that and flags; a vector;
 * a message and flags. */
PG_COLD int64_t pg_guard_in_buffer(enum pg_call call, const struct pg_asked *asked, int64_t ret,
				   uintptr_t caller);
PG_COLD int64_t pg_guard_in_flagged(enum pg_call call, const struct pg_asked *asked, int64_t ret,
				    uintptr_t caller);
PG_COLD int64_t pg_guard_in_vector(enum pg_call call, const struct pg_asked *asked, int64_t ret,
				   uintptr_t caller);
PG_COLD int64_t pg_guard_in_message(enum pg_call call, const struct pg_asked *asked, int64_t ret,
				    uintptr_t caller);

/* A call that reads, MADE: only an end or an error is of interest. SHAPE: which of the above tells
 * it, of what was stored in ASKED before. */
#define PG_IN(name, shape, asked, made)                                                            \
	__extension__({                                                                            \
		__typeof__(made) made_ = (made);                                                   \
		if (PG_UNLIKELY(made_ <= 0))                                                       \
			made_ = (__typeof__(made_))pg_guard_in_##shape(PG_CALL_##name, &(asked),   \
								       made_, PG_CALLER);          \
		made_;                                                                             \
	})

#endif
