/* SPDX-License-Identifier: MIT */
/* The calls that read: what a descriptor told the program before it wrote on. */
#include "apply.h"
#include "guard.h"
#include "twins.h"

#include <sys/uio.h>
#include <unistd.h>

PG_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	if (PG_ASIDE(read, fd))
		return PG_APPLY(read, fd, buf, len);
	return PG_IN(read, PG_HOT(read)(fd, buf, len), fd, len);
}

PG_EXPORT ssize_t __read(int fd, void *buf, size_t len)
{
	if (PG_ASIDE(__read, fd))
		return PG_APPLY(__read, fd, buf, len);
	return PG_IN(read, PG_HOT(__read)(fd, buf, len), fd, len);
}

PG_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (PG_ASIDE(__read_chk, fd))
		return PG_APPLY(__read_chk, fd, buf, len, room);
	return PG_IN(read, PG_HOT(__read_chk)(fd, buf, len, room), fd, len);
}

PG_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (PG_ASIDE(readv, fd))
		return PG_APPLY(readv, fd, iov, n);
	return PG_IN(readv, PG_HOT(readv)(fd, iov, n), fd, n);
}

PG_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (PG_ASIDE(recv, fd))
		return PG_APPLY(recv, fd, buf, len, flags);
	return PG_IN(recv, PG_HOT(recv)(fd, buf, len, flags), fd, len);
}

PG_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	if (PG_ASIDE(__recv_chk, fd))
		return PG_APPLY(__recv_chk, fd, buf, len, room, flags);
	return PG_IN(recv, PG_HOT(__recv_chk)(fd, buf, len, room, flags), fd, len);
}

PG_EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, PG_SOCKADDR_OUT from,
			   socklen_t *from_len)
{
	if (PG_ASIDE(recvfrom, fd))
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	return PG_IN(recvfrom, PG_HOT(recvfrom)(fd, buf, len, flags, from, from_len), fd, len);
}

/* Seven words, one more than a rule takes: once checked it is recvfrom. */
PG_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
				 PG_SOCKADDR_OUT from, socklen_t *from_len)
{
	if (len <= room && PG_ASIDE(__recvfrom_chk, fd))
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	return PG_IN(recvfrom, NEXT(__recvfrom_chk)(fd, buf, len, room, flags, from, from_len), fd,
		     len);
}

PG_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (PG_ASIDE(recvmsg, fd))
		return PG_APPLY(recvmsg, fd, msg, flags);
	return PG_IN(recvmsg, PG_HOT(recvmsg)(fd, msg, flags), fd, 1);
}

PG_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		       struct timespec *wait)
{
	if (PG_ASIDE(recvmmsg, fd))
		return (int)PG_APPLY(recvmmsg, fd, msgs, n, flags, wait);
	return PG_IN(recvmmsg, PG_HOT(recvmmsg)(fd, msgs, n, flags, wait), fd, n);
}

PG_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int ret = NEXT_SYS5(getsockopt, SYS_getsockopt, fd, level, name, value, len);

	if (PG_UNLIKELY(!ret && level == SOL_SOCKET && name == SO_ERROR && *len >= sizeof(int) &&
			*(int *)value))
		pg_guard_warned(PG_CALL_getsockopt, fd, *(int *)value, PG_CALLER);
	return ret;
}
