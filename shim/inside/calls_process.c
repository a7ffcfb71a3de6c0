/* SPDX-License-Identifier: MIT */
/* Leaving without destructors; a program that confines itself; processes that share our memory;
 * syscall(2). */
#include "base/clock.h"
#include "base/process.h"
#include "base/twins.h"
#include "inside/apply.h"
#include "inside/calls.h"
#include "inside/ends.h"
#include "inside/guard.h"
#include "inside/leave.h"
#include "log/event.h"
#include "log/line.h"
#include "log/room.h"
#include "log/site.h"
#include "who/module.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>

PG_EXPORT void _exit(int status)
{
	pg_guard_leaves();
	pg_guard_exit();
	pg_leave_all(PG_HOW_EXIT, status & 0xff);
	NEXT(_exit)(status);
	__builtin_unreachable();
}
PG_TWIN(_Exit, _exit);

/* ---- a program that confines itself ---- */

/* <linux/seccomp.h> */
enum { SET_MODE_STRICT, SET_MODE_FILTER };
enum { MODE_STRICT = 1 };

/* In strict mode a handler with siginfo does not come back on i386: rt_sigreturn(2) is not among
 * what it may call (kernel/seccomp.c), and kills. */
#ifdef __i386__
enum { HANDLER_KILLS = true };
#else
enum { HANDLER_KILLS = false };
#endif

/* What is asked now cannot be asked later; and the default handler of SIGPIPE must do without
 * system calls from then on. */
static void before_confining(bool strictly)
{
	if (!pg_config.active || pg_confined)
		return;
	pg_module_prepare();
	pg_process();
	pg_room_prepare();
	pg_site_prepare();
	pg_event_note_process();
	pg_clock_confine(strictly);
	if (strictly && HANDLER_KILLS)
		pg_sigpipe_withdraw(false);
	else
		pg_sigpipe_confine(false);
}

static void after_confining(bool done)
{
	if (done)
		pg_confined = true;
	else if (pg_config.active && !pg_confined && HANDLER_KILLS)
		pg_sigpipe_withdraw(true);
	else if (pg_config.active && !pg_confined)
		pg_sigpipe_confine(true);
}

#define PRCTL(name)                                                                                \
	PG_EXPORT int name(int option, ...)                                                        \
	{                                                                                          \
		unsigned long a, b, c, d;                                                          \
		va_list ap;                                                                        \
		int ret, saved;                                                                    \
                                                                                                   \
		va_start(ap, option);                                                              \
		a = va_arg(ap, unsigned long);                                                     \
		b = va_arg(ap, unsigned long);                                                     \
		c = va_arg(ap, unsigned long);                                                     \
		d = va_arg(ap, unsigned long);                                                     \
		va_end(ap);                                                                        \
		if (option == PR_SET_TSC)                                                          \
			pg_clock_traps(a == PR_TSC_SIGSEGV);                                       \
		if (option != PR_SET_SECCOMP)                                                      \
			return NEXT(name)(option, a, b, c, d);                                     \
		before_confining(a == MODE_STRICT);                                                \
		ret = NEXT(name)(option, a, b, c, d);                                              \
		saved = errno;                                                                     \
		after_confining(!ret);                                                             \
		errno = saved;                                                                     \
		return ret;                                                                        \
	}
PRCTL(prctl)
#if __SIZEOF_LONG__ == 4
PRCTL(__prctl_time64)
#endif

/* ---- a process that shares our memory ---- */

pg_fn *pg_vfork_prepare(void) __attribute__((visibility("hidden")));

/* libc's own, once it is noted what comes. */
pg_fn *pg_vfork_prepare(void)
{
	pg_fn *next = pg_next_table[PG_CALL_vfork];

	if (pg_config.active)
		pg_process_before_vfork();
	return next ? next : pg_next_early(PG_CALL_vfork);
}

#define CLONE(name)                                                                                \
	PG_EXPORT int name(int (*fn)(void *), void *stack, int flags, void *arg, ...)              \
	{                                                                                          \
		void *parent, *tls, *child;                                                        \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, arg);                                                                 \
		parent = va_arg(ap, void *);                                                       \
		tls = va_arg(ap, void *);                                                          \
		child = va_arg(ap, void *);                                                        \
		va_end(ap);                                                                        \
		if (flags & CLONE_VM && !(flags & CLONE_THREAD) && pg_config.active)               \
			pg_process_before_vfork();                                                 \
		if (!(flags & CLONE_VM) && pg_has_endings())                                       \
			pg_leaving_lends(0);                                                       \
		return NEXT(name)(fn, stack, flags, arg, parent, tls, child);                      \
	}
CLONE(clone)
CLONE(__clone)

/* vfork itself is a jump: arch/. */

/* ---- syscall(2) ---- */

/*
 * syscall(2) may be vfork, clone or rt_sigreturn: no frame of ours may stand
 * between. So this is a jump, to libc's own for all but the system calls
 * whose bit is set here.
 */
/* clang-format off */
#define PG_WATCHED \
	X(SYS_write) X(SYS_writev) X(SYS_pwritev2) X(SYS_sendto) X(SYS_sendmsg) X(SYS_sendmmsg) \
	X(SYS_sendfile) X(SYS_splice) X(SYS_tee) X(SYS_vmsplice) X(SYS_copy_file_range) \
	X(SYS_seccomp) PG_RAW_NUMBERS
#define PG_RAW_NUMBERS PG_RAW_EVERYWHERE PG_RAW_OLD
#define PG_RAW_EVERYWHERE \
	X(SYS_close) X(SYS_close_range) X(SYS_dup) X(SYS_dup3) X(SYS_fcntl) X(SYS_pipe2) X(SYS_socket) \
	X(SYS_socketpair) X(SYS_accept4) X(SYS_connect) X(SYS_sigaltstack)
/* clang-format on */

extern unsigned char pg_watched[64] __attribute__((visibility("hidden")));
PG_START_DATA unsigned char pg_watched[64];

PG_START_DATA pg_fn *pg_next_syscall;

void pg_calls_start(void)
{
#define X(nr) pg_watched[(nr) / 8] = (unsigned char)(pg_watched[(nr) / 8] | 1u << (nr) % 8);
	PG_WATCHED
#undef X
	pg_next_syscall = pg_next_early(PG_CALL_syscall);
}

long pg_syscall_watched(long nr, long a, long b, long c, long d, long e, long f)
	__attribute__((visibility("hidden")));
long pg_syscall_early(long nr, long a, long b, long c, long d, long e, long f)
	__attribute__((visibility("hidden")));

/* seccomp(2): its other operations only ask. */
static long confine(long nr, long a, long b, long c, long d, long e, long f)
{
	bool confines = a == SET_MODE_STRICT || a == SET_MODE_FILTER;
	long ret;
	int saved;

	if (!confines)
		return NEXT(syscall)(nr, a, b, c, d, e, f);
	before_confining(a == SET_MODE_STRICT);
	ret = NEXT(syscall)(nr, a, b, c, d, e, f);
	saved = errno;
	after_confining(ret >= 0); /* a listener's descriptor, perhaps */
	errno = saved;
	return ret;
}

/* Does NR make or end numbers of descriptors? */
static bool is_of_numbers(long nr)
{
	switch (nr) {
#define X(number) case number:
		PG_RAW_NUMBERS
#undef X
		return true;
	default:
		return false;
	}
}

static long number(long nr, const long a[6], uintptr_t caller)
{
	long ret;

	pg_raw_before(nr, a);
	ret = NEXT(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (nr == SYS_sigaltstack)
		pg_alternate_set((int)ret, (const stack_t *)a[0]);
	else
		pg_raw_after(nr, a, ret, caller);
	return ret;
}

/* The mark says which call it is; the descriptor and length are the kernel's arguments. */
long pg_syscall_watched(long nr, long a, long b, long c, long d, long e, long f)
{
	struct pg_op op = {.caller = PG_CALLER, .arg = {a, b, c, d, e, f}};

	if (nr == SYS_seccomp)
		return confine(nr, a, b, c, d, e, f);
	if (is_of_numbers(nr))
		return number(nr, op.arg, op.caller);
	op.call = pg_call_made_raw(nr, op.arg);
	return pg_apply_raw(&op, NEXT(syscall));
}

long pg_syscall_early(long nr, long a, long b, long c, long d, long e, long f)
{
	return pg_syscall_errno(nr, a, b, c, d, e, f);
}
