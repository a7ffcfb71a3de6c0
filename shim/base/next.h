/* SPDX-License-Identifier: MIT */
/* libc's own version of every interposed call. */
#ifndef PG_NEXT_H
#define PG_NEXT_H

#include "base/sys.h"

#include <errno.h>
#include <stdarg.h>

enum pg_call {
	PG_NO_CALL,
#define CALL(name, kernel, group, args) PG_CALL_##name,
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

/* Is CALL the one that takes messages, or libc's second name for it? */
#if __SIZEOF_LONG__ == 4
#define PG_IS(call, name) ((call) == PG_CALL_##name || (call) == PG_CALL___##name##64)
#else
#define PG_IS(call, name) ((call) == PG_CALL_##name)
#endif

typedef void pg_fn(void);

/* Filled once by pg_next_resolve(); a zero entry: not yet, or this libc lacks the call. Immutable
 * afterwards. */
extern pg_fn *pg_next_table[PG_CALL_COUNT] PG_HIDDEN;

/*
 * What every wrapper asks first, as bits of calls' numbers: those that are not
 * to be made at once (all before start-up, afterwards those that a rule
 * watches), and those that a rule watches. It lies in a page of its own: where
 * rules may change while the program runs, the file's page takes its place.
 */
struct pg_front {
	uint64_t aside, ruled;
	uint32_t generation; /* of the rules; 0: those of the start */
	uint32_t unused;
	char rest[PG_PAGE_MOST - 24];
};
extern _Alignas(PG_PAGE_MOST) struct pg_front pg_front PG_HIDDEN;

/* Looks every call up with dlsym(RTLD_NEXT). Start-up only: it may take the loader's lock. */
void pg_next_resolve(void);

/* One call, looked up before start-up has run (another library's constructor): may take the
 * loader's lock. */
pg_fn *pg_next_early(enum pg_call call);

/* Is the version that we call of any call in there? Then that module stands between us and libc: a
 * sanitizer's runtime, another preload. */
bool pg_next_within(uintptr_t lo, uintptr_t hi);

/* Does CALL format, and write what comes of it inside libc? */
bool pg_call_formats(enum pg_call call);

/* libc's way to format into memory, with the checks of __vdprintf_chk if CHECK is not negative. */
int pg_next_format(char *to, size_t size, int check, const char *format, va_list ap);

/* The log's name of a call ("send"); "?" if out of range. */
const char *pg_call_name(enum pg_call call);

/* The call under the name that programs write: send for __send, recv for __recv_chk. */
enum pg_call pg_call_plain(enum pg_call call);

/* The system call number behind CALL, and the first call in the list that is the system call NR (or
 * PG_NO_CALL). */
long pg_call_number(enum pg_call call);
enum pg_call pg_call_of_number(long nr);

/* The call that the log takes system call NR of syscall(2) for: where ARG names an address it is
 * sendto, else send. */
enum pg_call pg_call_made_raw(long nr, const long arg[6]);

/* A system call made for the program without libc (before start-up, or where it called syscall(2)):
 * errno is set as libc would. */
long pg_syscall_errno(long nr, long a, long b, long c, long d, long e, long f);

/* NEXT(write)(fd, buf, len): libc's own write; its type is the one in libc's header. */
#define PG_TYPE(name) __typeof__(&(name))
#define PG_HOT(name) ((PG_TYPE(name))(void *)pg_next_table[PG_CALL_##name]) /* not PG_ASIDE */
#define NEXT(name)                                                                                 \
	((PG_TYPE(name))(void *)(PG_LIKELY(pg_next_table[PG_CALL_##name])                          \
					 ? pg_next_table[PG_CALL_##name]                           \
					 : pg_next_early(PG_CALL_##name)))

/*
 * The same where the call is a plain system call. An IFUNC resolver or a
 * foreign malloc may call before start-up, when no symbol can be looked up
 * safely: then the kernel is asked directly.
 */
#define NEXT_SYS(name, nr, a, b, c, d, e, f, ...)                                                  \
	(PG_LIKELY(pg_next_table[PG_CALL_##name])                                                  \
		 ? ((PG_TYPE(name))(void *)pg_next_table[PG_CALL_##name])(__VA_ARGS__)             \
		 : (__typeof__(name(__VA_ARGS__)))pg_syscall_errno(nr, PG_W(a), PG_W(b), PG_W(c),  \
								   PG_W(d), PG_W(e), PG_W(f)))
#define NEXT_SYS1(name, nr, a) NEXT_SYS(name, nr, a, 0, 0, 0, 0, 0, a)
#define NEXT_SYS2(name, nr, a, b) NEXT_SYS(name, nr, a, b, 0, 0, 0, 0, a, b)
#define NEXT_SYS3(name, nr, a, b, c) NEXT_SYS(name, nr, a, b, c, 0, 0, 0, a, b, c)
#define NEXT_SYS4(name, nr, a, b, c, d) NEXT_SYS(name, nr, a, b, c, d, 0, 0, a, b, c, d)
#define NEXT_SYS5(name, nr, a, b, c, d, e) NEXT_SYS(name, nr, a, b, c, d, e, 0, a, b, c, d, e)
#define NEXT_SYS6(name, nr, a, b, c, d, e, f) NEXT_SYS(name, nr, a, b, c, d, e, f, a, b, c, d, e, f)

#endif
