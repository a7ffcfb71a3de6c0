/* SPDX-License-Identifier: MIT */
/* The calls that read: what a descriptor told the program before it wrote on. */
#include "apply.h"
#include "guard.h"
#include "twins.h"

#include <sys/uio.h>
#include <unistd.h>

/* Only an end or an error is of interest; data costs two comparisons. */
static inline __attribute__((always_inline)) struct pg_op enter(struct pg_op op)
{
	if (PG_UNLIKELY(pg_ruled & PG_BIT(op.call)))
		op = pg_apply_in(op, PG_CALLER);
	return op;
}

static inline __attribute__((always_inline)) ssize_t leave(struct pg_op op, ssize_t ret, void *buf)
{
	if (PG_UNLIKELY(ret <= 0))
		pg_guard_in(op.call, op.fd, (uint64_t)op.len, ret, PG_CALLER);
	if (PG_UNLIKELY(op.watched)) {
		struct pg_op copy = op; /* in memory on this path alone */

		pg_apply_read(&copy, buf, ret);
	}
	return ret;
}

#define IN(name, descriptor, length)                                                               \
	enter((struct pg_op){.call = PG_CALL_##name, .fd = (descriptor), .len = (int64_t)(length)})
#define LEAVE(op, buf, made) leave(op, PG_UNLIKELY((op).skip) ? (ssize_t)(op).result : (made), buf)

PG_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct pg_op op = IN(read, fd, len);

	return LEAVE(op, buf, NEXT_SYS3(read, SYS_read, fd, buf, (size_t)op.len));
}

PG_EXPORT ssize_t __read(int fd, void *buf, size_t len)
{
	struct pg_op op = IN(read, fd, len);

	return LEAVE(op, buf, NEXT_SYS3(__read, SYS_read, fd, buf, (size_t)op.len));
}

PG_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	struct pg_op op = IN(read, fd, len);

	return LEAVE(op, buf, NEXT(__read_chk)(fd, buf, (size_t)op.len, room));
}

PG_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct pg_op op = enter((struct pg_op){
		.call = PG_CALL_readv, .fd = fd, .len = 1, .vector = iov, .count = (unsigned)n});
	struct iovec room[PG_CLAMP];

	if (PG_UNLIKELY(op.clamped)) {
		n = pg_apply_clamp(&op, room);
		iov = room;
	}
	return LEAVE(op, NULL, NEXT_SYS3(readv, SYS_readv, fd, iov, n));
}

PG_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	struct pg_op op = IN(recv, fd, len);

	return LEAVE(op, buf,
		     NEXT_SYS(recv, SYS_recvfrom, fd, buf, op.len, flags, 0, 0, fd, buf,
			      (size_t)op.len, flags));
}

PG_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	struct pg_op op = IN(recv, fd, len);

	return LEAVE(op, buf, NEXT(__recv_chk)(fd, buf, (size_t)op.len, room, flags));
}

PG_EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, PG_SOCKADDR_OUT from,
			   socklen_t *from_len)
{
	struct pg_op op = IN(recvfrom, fd, len);

	return LEAVE(op, buf, NEXT(recvfrom)(fd, buf, (size_t)op.len, flags, from, from_len));
}

PG_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
				 PG_SOCKADDR_OUT from, socklen_t *from_len)
{
	struct pg_op op = IN(recvfrom, fd, len);

	return LEAVE(op, buf,
		     NEXT(__recvfrom_chk)(fd, buf, (size_t)op.len, room, flags, from, from_len));
}

PG_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct pg_op op =
		enter((struct pg_op){.call = PG_CALL_recvmsg, .fd = fd, .len = 1, .vector = msg});
	struct iovec room[PG_CLAMP], *own = NULL;
	size_t own_n = 0;
	ssize_t ret;

	if (PG_UNLIKELY(op.clamped)) { /* the kernel writes into the header, so it must be the
					  program's */
		own = msg->msg_iov;
		own_n = (size_t)msg->msg_iovlen;
		msg->msg_iovlen = (__typeof__(msg->msg_iovlen))pg_apply_clamp(&op, room);
		msg->msg_iov = room;
	}
	ret = LEAVE(op, NULL, NEXT_SYS3(recvmsg, SYS_recvmsg, fd, msg, flags));
	if (PG_UNLIKELY(own != NULL)) {
		msg->msg_iov = own;
		msg->msg_iovlen = (__typeof__(msg->msg_iovlen))own_n;
	}
	return ret;
}

PG_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		       struct timespec *wait)
{
	struct pg_op op = IN(recvmmsg, fd, n);

	op.clamped = false; /* rules see it, and make none of its messages short */
	return (int)LEAVE(op, NULL, NEXT(recvmmsg)(fd, msgs, n, flags, wait));
}

PG_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int ret = NEXT_SYS5(getsockopt, SYS_getsockopt, fd, level, name, value, len);

	if (PG_UNLIKELY(!ret && level == SOL_SOCKET && name == SO_ERROR && *len >= sizeof(int) &&
			*(int *)value))
		pg_guard_warned(PG_CALL_getsockopt, fd, *(int *)value, PG_CALLER);
	return ret;
}
