/* SPDX-License-Identifier: MIT */
/* What calls.def says of each call. */
#ifndef PG_CALL_H
#define PG_CALL_H

#include "base/sys.h"

enum pg_call {
	PG_NO_CALL,
#define CALL(name, ...) PG_CALL_##name,
#include "calls.def"
#undef CALL
	PG_CALL_COUNT
};

/* How a call lays its arguments out. */
enum pg_args {
	PG_ARGS_PLAIN,	  /* the descriptor first */
	PG_ARGS_BUFFER,	  /* fd, buffer, length */
	PG_ARGS_SEND,	  /* fd, buffer, length, flags */
	PG_ARGS_SENDTO,	  /* the same, address, its length */
	PG_ARGS_SEND_CHK, /* fd, buffer, length, room, flags */
	PG_ARGS_VECTOR,	  /* fd, iovec, count */
	PG_ARGS_VECTORF,  /* the same, flags */
	PG_ARGS_VECTOR2,  /* fd, iovec, count, offset, flags */
	PG_ARGS_VECTOR64, /* the same with an offset of 64 bits */
	PG_ARGS_MESSAGE,  /* fd, msghdr, flags */
	PG_ARGS_MESSAGES, /* fd, mmsghdr, count, flags */
	PG_ARGS_FILE,	  /* out, in, offset, length */
	PG_ARGS_SPLICE,	  /* in, offset, out, offset, length, flags */
	PG_ARGS_TEE,	  /* in, out, length, flags */
	PG_ARGS_FORMAT,	  /* fd, format, arguments */
	PG_ARGS_KERNEL2,  /* pwritev2(2) past libc: fd, iovec, count, offset in two words, flags */
	PG_ARGS_COUNT
};

/* What the data argument points to. */
enum pg_shape { PG_NOTHING, PG_BUF, PG_IOV, PG_MSG };

/* Which argument is what; -1: there is none. LEN of a PG_IOV is the number of entries; SOURCE: the
 * descriptor that the bytes come from; TO: the address they go to, its length behind it. */
struct pg_layout {
	short fd, data, len, flags, source, to;
	enum pg_shape shape;
};
const struct pg_layout *pg_call_layout(enum pg_call call);

/* The same of the system call behind CALL, made by syscall(2): the kernel's arguments are not
 * always those of libc's function. */
const struct pg_layout *pg_call_raw_layout(enum pg_call call);

/* What a call does, for rules. */
enum pg_role { PG_ROLE_NONE, PG_ROLE_OUT, PG_ROLE_IN, PG_ROLE_CONNECT, PG_ROLE_ACCEPT };

enum pg_call_flag {
	PG_CALL_IS_SOCKET = 1, /* only sockets have it */
	PG_CALL_IS_PIPES = 2,
	PG_CALL_IS_FILES = 4,
	PG_CALL_IS_RAW = 8,
	PG_CALL_IS_ALIAS = 16,
	PG_CALL_IS_UNSAID = 32
};

struct pg_call_row {
	uint8_t role, args, twin, flags;
};
extern const struct pg_call_row pg_calls[PG_CALL_COUNT] PG_HIDDEN;

static inline enum pg_role pg_call_role(enum pg_call call)
{
	return (enum pg_role)pg_calls[call].role;
}

/* True of the calls of %out. */
static inline bool pg_is_out(enum pg_call call)
{
	return pg_call_role(call) == PG_ROLE_OUT;
}

/* True of the calls that move bytes. */
static inline bool pg_moves(enum pg_call call)
{
	return pg_is_out(call) || pg_call_role(call) == PG_ROLE_IN;
}

static inline bool pg_connects(enum pg_call call)
{
	return pg_call_role(call) == PG_ROLE_CONNECT;
}

static inline bool pg_call_is(enum pg_call call, unsigned flags)
{
	return pg_calls[call].flags & flags;
}

/* The calls that rules can name, of one ROLE, or that are FLAG, by their numbers as bits: a
 * constant where what is asked for is one. */
static PG_INLINE uint64_t pg_calls_in(enum pg_role role)
{
	return 0
#define CALL(name, twin, kernel, role_, args, flags, help)                                         \
	| (uint64_t)(PG_ROLE_##role_ == role) << PG_CALL_##name % 64
#include "calls.def"
#undef CALL
		;
}

static PG_INLINE uint64_t pg_calls_that_are(unsigned flag)
{
	enum {
		SOCKET = PG_CALL_IS_SOCKET,
		PIPES = PG_CALL_IS_PIPES,
		FILES = PG_CALL_IS_FILES,
		RAW = PG_CALL_IS_RAW,
		ALIAS = PG_CALL_IS_ALIAS,
		UNSAID = PG_CALL_IS_UNSAID
	};

	return 0
#define CALL(name, twin, kernel, role, args, flags, help)                                          \
	| (uint64_t)(PG_ROLE_##role != PG_ROLE_NONE && ((flags)&flag) != 0) << PG_CALL_##name % 64
#include "calls.def"
#undef CALL
		;
}

static PG_INLINE uint64_t pg_calls_with(enum pg_args args)
{
	return 0
#define CALL(name, twin, kernel, role, args_, flags, help)                                         \
	| (uint64_t)(PG_ROLE_##role != PG_ROLE_NONE && PG_ARGS_##args_ == args)                    \
			<< PG_CALL_##name % 64
#include "calls.def"
#undef CALL
		;
}

/* The call that CALL is a twin of, or CALL. */
static inline enum pg_call pg_call_twin(enum pg_call call)
{
	return (enum pg_call)pg_calls[call].twin;
}

/* True of those that move several messages, one by one. */
static inline bool pg_call_has_messages(enum pg_call call)
{
	return pg_calls[call].args == PG_ARGS_MESSAGES;
}

/* pwritev2(2) without SIGPIPE, Linux 6.18: not in every <sys/uio.h>. */
#define PG_RWF_NOSIGNAL 0x100

/* True if FLAGS, CALL's argument, keep away the signal that an EPIPE would bring. */
bool pg_call_spares(enum pg_call call, int flags);

/* True of those that format, and write what comes of it inside libc. */
bool pg_call_formats(enum pg_call call);

/* Room for the name of a call, or of another function of libc's; longer ones are cut. */
enum { PG_CALL_NAME_MAX = 32 };

/* The call whose name are the N bytes at S; PG_NO_CALL: there is none. */
enum pg_call pg_call_named(const char *s, size_t n);

/* The log's name of a call ("send"); "?" if out of range. */
const char *pg_call_name(enum pg_call call);

/* The call under the name that programs write: send for __send, recv for __recv_chk. */
enum pg_call pg_call_plain(enum pg_call call);

/* The system call number behind CALL, and the call that system call NR is taken for (or
 * PG_NO_CALL). */
long pg_call_number(enum pg_call call);
enum pg_call pg_call_of_number(long nr);

/* The calls of rules that make the system call behind CALL, as bits. Those that format are libc's.
 */
uint64_t pg_calls_alike(enum pg_call call);

/* The same of NR with the arguments ARG: where they name an address it is sendto or recvfrom, else
 * send or recv. */
enum pg_call pg_call_made_raw(long nr, const long arg[6]);

#endif
