/* SPDX-License-Identifier: MIT */
/* The calls that read: what a descriptor told the program before it wrote on. */
#include "base/twins.h"
#include "inside/apply.h"
#include "inside/connect.h"
#include "inside/guard.h"

#include <sys/uio.h>
#include <unistd.h>

PG_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct pg_op op;

	if (PG_ASIDE(read, fd))
		return PG_APPLY(read, fd, buf, len);
	op.fd = fd;
	op.len = (int64_t)len;
	return PG_IN(read, op, PG_HOT(read)(fd, buf, len));
}
PG_TWIN(__read, read);

PG_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	struct pg_op op;

	if (PG_ASIDE(__read_chk, fd))
		return PG_APPLY(__read_chk, fd, buf, len, room);
	op.fd = fd;
	op.len = (int64_t)len;
	return PG_IN(read, op, PG_HOT(__read_chk)(fd, buf, len, room));
}

PG_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct pg_op op;

	if (PG_ASIDE(readv, fd))
		return PG_APPLY(readv, fd, iov, n);
	op.fd = fd;
	op.data = iov;
	op.count = (uint32_t)n;
	return PG_IN(readv, op, PG_HOT(readv)(fd, iov, n));
}

PG_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	struct pg_op op;

	if (PG_ASIDE(recv, fd))
		return PG_APPLY(recv, fd, buf, len, flags);
	op.fd = fd;
	op.len = (int64_t)len;
	op.flags = flags;
	return PG_IN(recv, op, PG_HOT(recv)(fd, buf, len, flags));
}
PG_TWIN(__recv, recv);

PG_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	struct pg_op op;

	if (PG_ASIDE(__recv_chk, fd))
		return PG_APPLY(__recv_chk, fd, buf, len, room, flags);
	op.fd = fd;
	op.len = (int64_t)len;
	op.flags = flags;
	return PG_IN(recv, op, PG_HOT(__recv_chk)(fd, buf, len, room, flags));
}

PG_EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, PG_SOCKADDR_OUT from,
			   socklen_t *from_len)
{
	struct pg_op op;

	if (PG_ASIDE(recvfrom, fd))
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	op.fd = fd;
	op.len = (int64_t)len;
	op.flags = flags;
	return PG_IN(recvfrom, op, PG_HOT(recvfrom)(fd, buf, len, flags, from, from_len));
}

/* Seven words, one more than a rule takes: once checked it is recvfrom. */
PG_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
				 PG_SOCKADDR_OUT from, socklen_t *from_len)
{
	struct pg_op op;

	if (len <= room && PG_ASIDE(__recvfrom_chk, fd))
		return PG_APPLY(recvfrom, fd, buf, len, flags, PG_ADDR(from), from_len);
	op.fd = fd;
	op.len = (int64_t)len;
	op.flags = flags;
	return PG_IN(recvfrom, op, NEXT(__recvfrom_chk)(fd, buf, len, room, flags, from, from_len));
}

/* The kernel has just filled MSG in: descriptors that came with it are the program's now. */
#define RECVMSG(name)                                                                              \
	static PG_INLINE ssize_t one_by_##name(int fd, struct msghdr *msg, int flags,              \
					       uintptr_t caller)                                   \
	{                                                                                          \
		struct pg_op op;                                                                   \
                                                                                                   \
		if (PG_ASIDE(name, fd))                                                            \
			return pg_apply(PG_CALL_##name, caller, PG_W(fd), PG_W(msg), PG_W(flags),  \
					0, 0, 0);                                                  \
		op.fd = fd;                                                                        \
		op.data = msg;                                                                     \
		op.flags = flags;                                                                  \
		return PG_IN(recvmsg, op, PG_HOT(name)(fd, msg, flags));                           \
	}                                                                                          \
                                                                                                   \
	PG_EXPORT ssize_t name(int fd, struct msghdr *msg, int flags)                              \
	{                                                                                          \
		ssize_t got = one_by_##name(fd, msg, flags, PG_CALLER);                            \
                                                                                                   \
		if (PG_UNLIKELY(got >= 0 && msg->msg_controllen))                                  \
			pg_adopt_passed(msg);                                                      \
		return got;                                                                        \
	}
RECVMSG(recvmsg)

#define RECVMMSG(name)                                                                             \
	static PG_INLINE int all_by_##name(int fd, struct mmsghdr *msgs, unsigned n,               \
					   PG_MMSG_FLAGS flags, struct timespec *wait,             \
					   uintptr_t caller)                                       \
	{                                                                                          \
		struct pg_op op;                                                                   \
                                                                                                   \
		if (PG_ASIDE(name, fd))                                                            \
			return (int)pg_apply(PG_CALL_##name, caller, PG_W(fd), PG_W(msgs),         \
					     PG_W(n), PG_W(flags), PG_W(wait), 0);                 \
		op.fd = fd;                                                                        \
		op.len = n;                                                                        \
		op.flags = (int)flags;                                                             \
		return PG_IN(recvmmsg, op, PG_HOT(name)(fd, msgs, n, flags, wait));                \
	}                                                                                          \
                                                                                                   \
	PG_EXPORT int name(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,          \
			   struct timespec *wait)                                                  \
	{                                                                                          \
		int got = all_by_##name(fd, msgs, n, flags, wait, PG_CALLER);                      \
                                                                                                   \
		for (int i = 0; i < got; i++)                                                      \
			if (PG_UNLIKELY(msgs[i].msg_hdr.msg_controllen))                           \
				pg_adopt_passed(&msgs[i].msg_hdr);                                 \
		return got;                                                                        \
	}
RECVMMSG(recvmmsg)

#if __SIZEOF_LONG__ == 4
RECVMSG(__recvmsg64)
RECVMMSG(__recvmmsg64)
RECVMMSG(__recvmmsg_time64)
#endif
