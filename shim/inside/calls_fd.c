/* SPDX-License-Identifier: MIT */
/* Where numbers of descriptors begin and end. */
#include "base/twins.h"
#include "inside/calls.h"
#include "inside/connect.h"
#include "inside/guard.h"
#include "inside/leave.h"
#include "log/log.h"
#include "rules/config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static int type_of(int type)
{
	enum { FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK };

	return type & ~FLAGS;
}

PG_EXPORT int socket(int domain, int type, int protocol)
{
	int fd = NEXT_SYS3(socket, SYS_socket, domain, type, protocol);

	pg_fd_fresh(fd, type_of(type));
	return fd;
}

static int fresh_pair(int ret, const int fd[2], int type)
{
	if (!ret) {
		pg_fd_fresh(fd[0], type);
		pg_fd_fresh(fd[1], type);
	}
	return ret;
}

PG_EXPORT int socketpair(int domain, int type, int protocol, int fd[2])
{
	return fresh_pair(NEXT_SYS4(socketpair, SYS_socketpair, domain, type, protocol, fd), fd,
			  type_of(type));
}

static int fresh_pipe(int ret, const int fd[2])
{
	fresh_pair(ret, fd, 0);
	if (!ret && pg_has_endings())
		pg_fd_unread(fd[0]);
	return ret;
}

PG_EXPORT int pipe(int fd[2])
{
	return fresh_pipe(NEXT_SYS(pipe, SYS_pipe2, fd, 0, 0, 0, 0, 0, fd), fd);
}
PG_TWIN(__pipe, pipe);

PG_EXPORT int pipe2(int fd[2], int flags)
{
	return fresh_pipe(NEXT_SYS2(pipe2, SYS_pipe2, fd, flags), fd);
}

PG_EXPORT int close(int fd)
{
	struct pg_leaving l;
	bool leaves;
	int ret;

	pg_guard_close(fd);
	leaves = pg_lets_go(&l, fd, "close", PG_CALLER);
	pg_fd_closed(fd);
	ret = NEXT_SYS1(close, SYS_close, fd);
	if (PG_UNLIKELY(leaves))
		pg_leaving_end(&l, true);
	return ret;
}
PG_TWIN(__close, close);

/* RET is FROM from now on, if the kernel said so. */
static int copied(int from, int ret)
{
	if (ret >= 0)
		pg_fd_copied(from, ret);
	if (PG_UNLIKELY(!ret && from && pg_has_endings()))
		pg_leaving_hold(PG_HOW_TOOK, 0);
	return ret;
}

PG_EXPORT int dup2(int from, int to)
{
	struct pg_leaving l;
	bool leaves = from != to && pg_lets_go(&l, to, "dup2", PG_CALLER);
	int ret = copied(from, NEXT(dup2)(from, to));

	if (PG_UNLIKELY(leaves))
		pg_leaving_end(&l, ret == to);
	return ret;
}
PG_TWIN(__dup2, dup2);

PG_EXPORT int dup3(int from, int to, int flags)
{
	struct pg_leaving l;
	bool leaves = from != to && pg_lets_go(&l, to, "dup3", PG_CALLER);
	int ret = copied(from, NEXT_SYS3(dup3, SYS_dup3, from, to, flags));

	if (PG_UNLIKELY(leaves))
		pg_leaving_end(&l, ret == to);
	return ret;
}

PG_EXPORT int dup(int from)
{
	return copied(from, NEXT_SYS1(dup, SYS_dup, from));
}

/* A number that the kernel frees may be another thread's at once, so records end before. What is
 * only marked (CLOSE_RANGE_CLOEXEC), or refused, ends nothing. */
static void range_ends(unsigned first, unsigned last, unsigned flags)
{
	enum { UNSHARE = 2 }; /* CLOSE_RANGE_UNSHARE, <linux/close_range.h> */

	if (first <= last && !(flags & ~(unsigned)UNSHARE))
		pg_fd_closed_range(first, last);
}

/* Is there a close_range here, and does nobody forbid it? What it would not close stays open. */
static bool is_taken(void)
{
	return !pg_sys3(SYS_close_range, ~0u, ~0u, 0);
}

PG_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if (pg_has_endings() && !flags && is_taken())
		pg_leave_range(first, last, "close_range", PG_CALLER);
	range_ends(first, last, (unsigned)flags);
	return NEXT_SYS3(close_range, SYS_close_range, first, last, flags);
}

/* For who finds our closefrom where libc (before 2.34) has none. */
static void close_from(unsigned first)
{
	uint64_t most[2] = {0, 0}; /* the kernel's struct rlimit64 */

	if (!pg_sys3(SYS_close_range, first, ~0u, 0))
		return;
	pg_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, most);
	for (; first < most[0]; first++)
		pg_sys1(SYS_close, first);
}

PG_EXPORT void closefrom(int first)
{
	unsigned from = first < 0 ? 0 : (unsigned)first;

	if (pg_has_endings())
		pg_leave_range(from, ~0u, "closefrom", PG_CALLER);
	pg_fd_closed_range(from, ~0u);
	if (pg_next_table[PG_CALL_closefrom] || pg_next_late(PG_CALL_closefrom))
		NEXT(closefrom)(first);
	else
		close_from(from);
}

void pg_raw_before(long nr, const long arg[6])
{
	if (nr == SYS_close) {
		pg_guard_close((int)arg[0]);
		pg_fd_closed((int)arg[0]);
	} else if (nr == SYS_close_range) {
		range_ends((unsigned)arg[0], (unsigned)arg[1], (unsigned)arg[2]);
	}
}

static void raw_after(long nr, const long arg[6], int ret, uintptr_t caller)
{
	switch (nr) {
#ifdef SYS_fcntl64
	case SYS_fcntl64:
#endif
	case SYS_fcntl:
		if (arg[1] == F_DUPFD || arg[1] == F_DUPFD_CLOEXEC)
			copied((int)arg[0], ret);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup:
	case SYS_dup3:
		copied((int)arg[0], ret);
		break;
#ifdef SYS_pipe
	case SYS_pipe:
#endif
	case SYS_pipe2:
		fresh_pipe(ret, (const int *)arg[0]);
		break;
	case SYS_socketpair:
		fresh_pair(ret, (const int *)arg[3], type_of((int)arg[1]));
		break;
	case SYS_socket:
		pg_fd_fresh(ret, type_of((int)arg[1]));
		break;
#ifdef SYS_accept
	case SYS_accept:
#endif
	case SYS_accept4:
		pg_accepted((int)arg[0], ret);
		break;
	case SYS_connect:
		pg_connected(PG_CALL_syscall, (int)arg[0], (const struct sockaddr *)arg[1],
			     (socklen_t)arg[2], ret, caller);
		break;
	default:
		break;
	}
}

void pg_raw_after(long nr, const long arg[6], long ret, uintptr_t caller)
{
	int saved = errno;

	raw_after(nr, arg, (int)ret, caller);
	errno = saved;
}

/* The third argument is an int or a pointer: one machine word, handed on as it came. */
#define FCNTL(name)                                                                                \
	PG_EXPORT int name(int fd, int command, ...)                                               \
	{                                                                                          \
		va_list ap;                                                                        \
		void *arg;                                                                         \
		int ret;                                                                           \
                                                                                                   \
		va_start(ap, command);                                                             \
		arg = va_arg(ap, void *);                                                          \
		va_end(ap);                                                                        \
		ret = NEXT(name)(fd, command, arg);                                                \
		if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)                              \
			copied(fd, ret);                                                           \
		return ret;                                                                        \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
#if __SIZEOF_LONG__ == 4
FCNTL(__fcntl_time64)
#endif

#ifdef __GLIBC__
#define FILE_NUMBER(f) ((f)->_fileno) /* fileno() would be one more import */
#else
#define FILE_NUMBER(f) fileno(f)
#endif

/* Inside libc another file takes the number of the stream. */
#define FREOPEN(name)                                                                              \
	PG_EXPORT FILE *name(const char *path, const char *mode, FILE *f)                          \
	{                                                                                          \
		int fd = FILE_NUMBER(f), saved;                                                    \
		FILE *ret = NEXT(name)(path, mode, f);                                             \
                                                                                                   \
		saved = errno;                                                                     \
		pg_fd_closed(fd);                                                                  \
		errno = saved;                                                                     \
		return ret;                                                                        \
	}
FREOPEN(freopen)
FREOPEN(freopen64)
