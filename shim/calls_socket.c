/* SPDX-License-Identifier: MIT */
/* Where descriptors begin and end. */
#include "apply.h"
#include "config.h"
#include "guard.h"
#include "match.h"
#include "twins.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

/* A connection that stands or is on its way is remembered; so is a refusal. One that was on its way
 * before is not counted again. errno is kept. */
static int connected(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len, int ret,
		     uintptr_t caller)
{
	int saved = errno;
	struct pg_fd *f = pg_fd(fd);
	bool stands = !ret || saved == EINPROGRESS;
	bool counts;

	if (!pg_config.active || (!stands && saved != ECONNREFUSED))
		return ret;
	counts = !pg_fd_is_connecting(fd);
	if (counts)
		pg_fd_connection(fd, PG_CLIENT, addr, len, stands);
	if (f)
		f->connecting = ret && stands;
	if (PG_UNLIKELY(pg_ruled) && stands && counts)
		pg_match_connection(fd);
	errno = saved;
	if (PG_UNLIKELY(pg_watch_all) && stands && counts)
		pg_guard_connected(call, fd, ret, caller);
	if (ret && saved == ECONNREFUSED)
		pg_guard_warned(call, fd, saved, caller);
	errno = saved;
	return ret;
}

PG_EXPORT int connect(int fd, PG_SOCKADDR addr, socklen_t len)
{
	int ret;

	if (PG_UNLIKELY(pg_ruled & PG_BIT(PG_CALL_connect)) &&
	    pg_apply_connect(PG_CALL_connect, fd, PG_ADDR(addr), len, &ret, PG_CALLER))
		return connected(PG_CALL_connect, fd, PG_ADDR(addr), len, ret, PG_CALLER);
	ret = NEXT(connect)(fd, addr, len);
	return connected(PG_CALL_connect, fd, PG_ADDR(addr), len, ret, PG_CALLER);
}

PG_EXPORT int __connect(int fd, PG_SOCKADDR addr, socklen_t len)
{
	int ret;

	if (PG_UNLIKELY(pg_ruled & PG_BIT(PG_CALL___connect)) &&
	    pg_apply_connect(PG_CALL_connect, fd, PG_ADDR(addr), len, &ret, PG_CALLER))
		return connected(PG_CALL_connect, fd, PG_ADDR(addr), len, ret, PG_CALLER);
	ret = NEXT(__connect)(fd, addr, len);
	return connected(PG_CALL_connect, fd, PG_ADDR(addr), len, ret, PG_CALLER);
}

/* accept4 with room for the peer's name of our own where the program gives none: the kernel tells
 * it for free. */
static int accepted(int fd, const struct sockaddr *addr, const socklen_t *len)
{
	if (fd >= 0 && pg_config.active)
		pg_fd_connection(fd, PG_SERVER, addr, *len, true);
	if (fd >= 0 && PG_UNLIKELY(pg_ruled))
		pg_match_connection(fd);
	return fd;
}

PG_EXPORT int accept(int fd, PG_SOCKADDR_OUT addr, socklen_t *len)
{
	struct sockaddr_storage own;
	socklen_t own_len = sizeof own;

	if (PG_UNLIKELY(pg_ruled & PG_BIT(PG_CALL_accept)) &&
	    pg_apply_accept(PG_CALL_accept, fd, PG_CALLER))
		return -1;
	if (!PG_ADDR(addr) || !len)
		return accepted(NEXT(accept)(fd, (struct sockaddr *)&own, &own_len),
				(struct sockaddr *)&own, &own_len);
	return accepted(NEXT(accept)(fd, addr, len), PG_ADDR(addr), len);
}

PG_EXPORT int accept4(int fd, PG_SOCKADDR_OUT addr, socklen_t *len, int flags)
{
	struct sockaddr_storage own;
	socklen_t own_len = sizeof own;

	if (PG_UNLIKELY(pg_ruled & PG_BIT(PG_CALL_accept4)) &&
	    pg_apply_accept(PG_CALL_accept4, fd, PG_CALLER))
		return -1;
	if (!PG_ADDR(addr) || !len)
		return accepted(NEXT(accept4)(fd, (struct sockaddr *)&own, &own_len, flags),
				(struct sockaddr *)&own, &own_len);
	return accepted(NEXT(accept4)(fd, addr, len, flags), PG_ADDR(addr), len);
}

PG_EXPORT int shutdown(int fd, int how)
{
	int ret = NEXT_SYS2(shutdown, SYS_shutdown, fd, how);

	if (!ret && how != SHUT_RD)
		pg_guard_warned(PG_CALL_shutdown, fd, 0, PG_CALLER);
	return ret;
}

PG_EXPORT int socket(int domain, int type, int protocol)
{
	int fd = NEXT_SYS3(socket, SYS_socket, domain, type, protocol);

	pg_fd_fresh(fd);
	return fd;
}

static int fresh_pair(int ret, const int fd[2])
{
	if (!ret) {
		pg_fd_fresh(fd[0]);
		pg_fd_fresh(fd[1]);
	}
	return ret;
}

PG_EXPORT int socketpair(int domain, int type, int protocol, int fd[2])
{
	return fresh_pair(NEXT_SYS4(socketpair, SYS_socketpair, domain, type, protocol, fd), fd);
}

PG_EXPORT int pipe(int fd[2])
{
	return fresh_pair(NEXT_SYS(pipe, SYS_pipe2, fd, 0, 0, 0, 0, 0, fd), fd);
}

PG_EXPORT int __pipe(int fd[2])
{
	return fresh_pair(NEXT_SYS(__pipe, SYS_pipe2, fd, 0, 0, 0, 0, 0, fd), fd);
}

PG_EXPORT int pipe2(int fd[2], int flags)
{
	return fresh_pair(NEXT_SYS2(pipe2, SYS_pipe2, fd, flags), fd);
}

PG_EXPORT int close(int fd)
{
	if (PG_UNLIKELY(pg_config.verbose))
		pg_guard_close(fd);
	pg_fd_closed(fd);
	return NEXT_SYS1(close, SYS_close, fd);
}

PG_EXPORT int __close(int fd)
{
	pg_fd_closed(fd);
	return NEXT_SYS1(__close, SYS_close, fd);
}

PG_EXPORT int dup2(int from, int to)
{
	int ret = NEXT(dup2)(from, to);

	if (ret >= 0)
		pg_fd_copied(from, to);
	return ret;
}

PG_EXPORT int __dup2(int from, int to)
{
	int ret = NEXT(__dup2)(from, to);

	if (ret >= 0)
		pg_fd_copied(from, to);
	return ret;
}

PG_EXPORT int dup3(int from, int to, int flags)
{
	int ret = NEXT_SYS3(dup3, SYS_dup3, from, to, flags);

	if (ret >= 0)
		pg_fd_copied(from, to);
	return ret;
}

PG_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	pg_fd_closed_range(first, last);
	return NEXT_SYS3(close_range, SYS_close_range, first, last, flags);
}

PG_EXPORT void closefrom(int first)
{
	pg_fd_closed_range(first < 0 ? 0 : (unsigned)first, ~0u);
	NEXT(closefrom)(first);
}

PG_EXPORT int dup(int from)
{
	int to = NEXT_SYS1(dup, SYS_dup, from);

	if (to >= 0)
		pg_fd_copied(from, to);
	return to;
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
		if (ret >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))                \
			pg_fd_copied(fd, ret);                                                     \
		return ret;                                                                        \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
