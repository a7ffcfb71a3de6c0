/* SPDX-License-Identifier: MIT */
/* The calls that read: what a descriptor told the program before it wrote on. */
#include "guard.h"
#include "twins.h"

#include <sys/uio.h>
#include <unistd.h>

/* Only an end or an error is of interest; data costs one comparison. */
#define IN(name, fd, len, result)                                                                  \
	__extension__({                                                                            \
		ssize_t ret_ = (result);                                                           \
		if (PG_UNLIKELY(ret_ <= 0))                                                        \
			pg_guard_in(PG_CALL_##name, fd, len, ret_, PG_CALLER);                     \
		ret_;                                                                              \
	})

PG_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	return IN(read, fd, len, NEXT_SYS3(read, SYS_read, fd, buf, len));
}

PG_EXPORT ssize_t __read(int fd, void *buf, size_t len)
{
	return IN(read, fd, len, NEXT_SYS3(__read, SYS_read, fd, buf, len));
}

PG_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	return IN(read, fd, len, NEXT(__read_chk)(fd, buf, len, room));
}

PG_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return IN(readv, fd, 1, NEXT_SYS3(readv, SYS_readv, fd, iov, n));
}

PG_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return IN(recv, fd, len,
		  NEXT_SYS(recv, SYS_recvfrom, fd, buf, len, flags, 0, 0, fd, buf, len, flags));
}

PG_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	return IN(recv, fd, len, NEXT(__recv_chk)(fd, buf, len, room, flags));
}

PG_EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, PG_SOCKADDR_OUT from,
			   socklen_t *from_len)
{
	return IN(recvfrom, fd, len, NEXT(recvfrom)(fd, buf, len, flags, from, from_len));
}

PG_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
				 PG_SOCKADDR_OUT from, socklen_t *from_len)
{
	return IN(recvfrom, fd, len,
		  NEXT(__recvfrom_chk)(fd, buf, len, room, flags, from, from_len));
}

PG_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	return IN(recvmsg, fd, 1, NEXT_SYS3(recvmsg, SYS_recvmsg, fd, msg, flags));
}

PG_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		       struct timespec *wait)
{
	return (int)IN(recvmmsg, fd, n, NEXT(recvmmsg)(fd, msgs, n, flags, wait));
}

PG_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int ret = NEXT_SYS5(getsockopt, SYS_getsockopt, fd, level, name, value, len);

	if (PG_UNLIKELY(!ret && level == SOL_SOCKET && name == SO_ERROR && *len >= sizeof(int) &&
			*(int *)value))
		pg_guard_warned(PG_CALL_getsockopt, fd, *(int *)value, PG_CALLER);
	return ret;
}
