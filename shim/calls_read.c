/* SPDX-License-Identifier: MIT */
/* The calls that read: what a descriptor told the program before it wrote on. */
#include "apply.h"
#include "guard.h"
#include "twins.h"

#include <sys/uio.h>
#include <unistd.h>

PG_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	if (PG_RULED(read))
		return PG_APPLY(read, fd, buf, len);
	return PG_IN(read, NEXT_SYS3(read, SYS_read, fd, buf, len), fd, len);
}

PG_EXPORT ssize_t __read(int fd, void *buf, size_t len)
{
	if (PG_RULED(__read))
		return PG_APPLY(__read, fd, buf, len);
	return PG_IN(read, NEXT_SYS3(__read, SYS_read, fd, buf, len), fd, len);
}

PG_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (PG_RULED(__read_chk))
		return PG_APPLY(__read_chk, fd, buf, len, room);
	return PG_IN(read, NEXT(__read_chk)(fd, buf, len, room), fd, len);
}

PG_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (PG_RULED(readv))
		return PG_APPLY(readv, fd, iov, n);
	return PG_IN(readv, NEXT_SYS3(readv, SYS_readv, fd, iov, n), fd, n);
}

PG_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (PG_RULED(recv))
		return PG_APPLY(recv, fd, buf, len, flags);
	return PG_IN(recv,
		     NEXT_SYS(recv, SYS_recvfrom, fd, buf, len, flags, 0, 0, fd, buf, len, flags),
		     fd, len);
}

PG_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	if (PG_RULED(__recv_chk))
		return PG_APPLY(__recv_chk, fd, buf, len, room, flags);
	return PG_IN(recv, NEXT(__recv_chk)(fd, buf, len, room, flags), fd, len);
}

PG_EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, PG_SOCKADDR_OUT from,
			   socklen_t *from_len)
{
	if (PG_RULED(recvfrom))
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	return PG_IN(recvfrom, NEXT(recvfrom)(fd, buf, len, flags, from, from_len), fd, len);
}

PG_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (PG_RULED(recvmsg))
		return PG_APPLY(recvmsg, fd, msg, flags);
	return PG_IN(recvmsg, NEXT_SYS3(recvmsg, SYS_recvmsg, fd, msg, flags), fd, 1);
}

PG_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		       struct timespec *wait)
{
	if (PG_RULED(recvmmsg))
		return (int)PG_APPLY(recvmmsg, fd, msgs, n, flags, wait);
	return PG_IN(recvmmsg, NEXT(recvmmsg)(fd, msgs, n, flags, wait), fd, n);
}

/* Seven words, one more than a rule takes: once checked it is recvfrom. */
PG_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
				 PG_SOCKADDR_OUT from, socklen_t *from_len)
{
	if (PG_RULED(__recvfrom_chk) && len <= room)
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	return PG_IN(recvfrom, NEXT(__recvfrom_chk)(fd, buf, len, room, flags, from, from_len), fd,
		     len);
}

PG_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int ret = NEXT_SYS5(getsockopt, SYS_getsockopt, fd, level, name, value, len);

	if (PG_UNLIKELY(!ret && level == SOL_SOCKET && name == SO_ERROR && *len >= sizeof(int) &&
			*(int *)value))
		pg_guard_warned(PG_CALL_getsockopt, fd, *(int *)value, PG_CALLER);
	return ret;
}
