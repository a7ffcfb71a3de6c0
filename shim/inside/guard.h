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

/* error=EPIPE, or a pipe broken midway: logs OP and, if it SIGNALS, raises SIGPIPE as the
 * kernel would. May not return.
 */
void pg_guard_injected_epipe(const struct pg_op *op, bool signals);

/* The wrapper's caller: an address inside the calling instruction, as in every stack. */
#define PG_RETURN ((uintptr_t)__builtin_return_address(0))
#define PG_CALLER (PG_RETURN - 1)
#ifndef PG_CFA
#define PG_CFA ((uintptr_t)__builtin_dwarf_cfa())
#endif

/* The kernel answered RET, which is not all that OP asked for: logs a break. errno is kept. */
PG_COLD void pg_guard_out(struct pg_op *op, int64_t ret);

/* A read that returned RET <= 0. Returns RET; but in a thread that waited while a rule reset the
 * connection, what a received RST would have made it return. errno is kept, or set. */
PG_COLD int64_t pg_guard_in(const struct pg_op *op, int64_t ret);

/* A descriptor's error came to the program's knowledge in another way: connect, SO_ERROR. */
PG_COLD void pg_guard_warned(enum pg_call call, int fd, int err, uintptr_t caller);

/* connect was refused ADDR, LEN bytes long, which is the program's. */
PG_COLD void pg_guard_refused(enum pg_call call, int fd, const void *addr, uint32_t len,
			      uintptr_t caller);

/* At PIPEGUARD_VERBOSE=2, a connection that stands or is on its way. errno is kept. */
PG_COLD void pg_guard_connected(enum pg_call call, int fd, int ret, uintptr_t caller);

/* Before close() at PIPEGUARD_VERBOSE=1: logs that the peer is still there, or, if there are
 * unread bytes, that the kernel will reset it. */
void pg_guard_close(int fd);

/* The same before shutdown(2). */
void pg_guard_shutdown(int fd, uintptr_t caller);

/* Before this process ends, at PIPEGUARD_VERBOSE=1: the same of all connections that are open. */
void pg_guard_leaves(void);

/* The same of a wrapper's OP, which holds no more than the wrapper has stored. CFA: the wrapper's.
 * What was written is counted. Returns RET, or what pg_guard_in() says. */
PG_COLD int64_t pg_guard_odd_out(enum pg_call call, const struct pg_op *op, int64_t ret,
				 uintptr_t caller, uintptr_t cfa);
PG_COLD int64_t pg_guard_odd_in(enum pg_call call, const struct pg_op *op, int64_t ret,
				uintptr_t caller);

/* OP is in progress, for the signal gate, and returns TO. */
static inline void pg_mark_as(struct pg_op *op, uint64_t mark, uintptr_t to)
{
	op->outer = pg_mark;
	pg_mark = mark;
	PG_NOTE_RETURN(op, to);
	(void)to;
}

/* OP has left libc: the mark is that of the call which it interrupted. */
static inline void pg_unmark(const struct pg_op *op)
{
	pg_mark = op->outer;
	PG_FORGET_RETURN(op);
}

#if PG_MARKS
#define pg_begin(op, call, to) pg_mark_as(op, PG_MARK(call, (op)->fd, 0), to)
#define pg_end(op) pg_unmark(op)
#else
#define pg_begin(op, call, to) ((void)0)
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
		pg_begin(&(op), PG_CALL_##name, PG_RETURN);                                        \
		(op).len = (int64_t)(length);                                                      \
		made_ = (made);                                                                    \
		if (PG_UNLIKELY(made_ != (op).len || made_ < 0)) /* a length may be -1, too */     \
			made_ = (__typeof__(made_))pg_guard_odd_out(PG_CALL_##name, &(op), made_,  \
								    PG_CALLER, PG_CFA);            \
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
		pg_begin(&(op), PG_CALL_##name, PG_RETURN);                                        \
		(op).len = -2;                                                                     \
		made_ = (made);                                                                    \
		if (PG_LIKELY(made_ > 0 && pg_fd_is_connection((op).fd)))                          \
			pg_fd_sent((op).fd, (uint64_t)made_);                                      \
		else                                                                               \
			made_ = (__typeof__(made_))pg_guard_odd_out(PG_CALL_##name, &(op), made_,  \
								    PG_CALLER, PG_CFA);            \
		pg_end(&(op));                                                                     \
		made_;                                                                             \
	})

/* A call that reads, MADE: only an end or an error is of interest, mostly. OP as above, its
 * descriptor stored. The limit is read plainly: to compare with an atomic word takes an instruction
 * more, and either of its values will do. */
#define PG_IN(name, op, made)                                                                      \
	__extension__({                                                                            \
		__typeof__(made) made_ = (made);                                                   \
		if (PG_UNLIKELY(made_ <= pg_read_odd))                                             \
			made_ = (__typeof__(made_))pg_guard_odd_in(PG_CALL_##name, &(op), made_,   \
								   PG_CALLER);                     \
		made_;                                                                             \
	})

#endif
