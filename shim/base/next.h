/* SPDX-License-Identifier: MIT */
/* libc's own version of every interposed call. */
#ifndef PG_NEXT_H
#define PG_NEXT_H

#include "base/call.h"

#include <errno.h>
#include <stdarg.h>

typedef void pg_fn(void);

/* A zero entry: not looked up yet, or this libc lacks the call. Others never change. */
extern pg_fn *pg_next_table[PG_CALL_COUNT] PG_HIDDEN;

/*
 * What every wrapper asks first, as bits of calls' numbers: those that are not
 * to be made at once (all before start-up, afterwards those that a rule
 * watches), and those that a rule watches. It lies in a page of its own: where
 * rules may change while the program runs, the file's page takes its place.
 */
struct pg_front {
	pg_shared64 aside, ruled;
	uint32_t generation; /* of the rules; 0: those of the start */
	uint32_t unused;
	char rest[PG_PAGE_MOST - 24];
};
extern _Alignas(PG_PAGE_MOST) struct pg_front pg_front PG_HIDDEN;

/*
 * Looks the calls up as dlsym(RTLD_NEXT) would. Start-up only: it may take the loader's lock. LATE:
 * each when it is first made, for most programs make few of them. For that nothing may have been
 * unloaded since: it is the front that sends the first one aside.
 */
void pg_next_start(bool late);

/* For a call that was set aside. True if that was only because it had not been looked up: the next
 * one goes its way. Now it has been. Async-signal-safe, as all that comes late. */
bool pg_next_first(enum pg_call call);

/* The calls that have been looked up, or need not be, as bits: a record must not let others by.
 * PG_NO_CALL and stdio are some of them. */
extern uint64_t pg_next_known PG_HIDDEN;

/* For a call that is not made at once: looks it up if such come late. False: it is not there. */
bool pg_next_late(enum pg_call call);

/* One call, looked up before start-up has run (another library's constructor): may take the
 * loader's lock. */
pg_fn *pg_next_early(enum pg_call call);

/* True if the version that we call of any call is in there. Then that module stands between us and
 * libc: a sanitizer's runtime, another preload. */
bool pg_next_within(uintptr_t lo, uintptr_t hi);

/* libc's way to format into memory, with the checks of __vdprintf_chk if CHECK is not negative. */
int pg_next_format(char *to, size_t size, int check, const char *format, va_list ap);

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
	(PG_LIKELY(pg_next_table[PG_CALL_##name] || pg_next_late(PG_CALL_##name))                  \
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
