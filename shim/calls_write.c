/* SPDX-License-Identifier: MIT */
/* The calls that write. Each is marked as in progress, made, and its result looked at. */
#include "apply.h"
#include "guard.h"
#include "twins.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

/* The result of the call, or what a rule decided instead of it. */
#define LEAVE(op, made) ((ssize_t)pg_leave(op, PG_UNLIKELY((op).skip) ? (op).result : (made)))

/* A rule made the vector shorter: IOV and N are a copy of its first bytes. */
#define CLAMP(op, iov, n)                                                                          \
	struct iovec room[PG_CLAMP];                                                               \
	if (PG_UNLIKELY((op).clamped)) {                                                           \
		(n) = (__typeof__(n))pg_apply_clamp(&(op), room);                                  \
		(iov) = room;                                                                      \
	}

/* A vector's length is not known before the kernel has read it: any result is looked at. */
#define UNKNOWN ((int64_t)-2)

PG_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct pg_op op = PG_OUT(write, .fd = fd, .len = (int64_t)len);

	return LEAVE(op, NEXT_SYS3(write, SYS_write, fd, buf, (size_t)op.len));
}

PG_EXPORT ssize_t __write(int fd, const void *buf, size_t len)
{
	struct pg_op op = PG_OUT(__write, .fd = fd, .len = (int64_t)len);

	return LEAVE(op, NEXT_SYS3(__write, SYS_write, fd, buf, (size_t)op.len));
}

PG_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct pg_op op =
		PG_OUT(writev, .fd = fd, .len = UNKNOWN, .vector = iov, .count = (unsigned)n);
	CLAMP(op, iov, n);

	return LEAVE(op, NEXT_SYS3(writev, SYS_writev, fd, iov, n));
}

PG_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct pg_op op = PG_OUT(pwritev2, .fd = fd, .len = UNKNOWN, .flags = flags, .vector = iov,
				 .count = (unsigned)n);
	CLAMP(op, iov, n);

	return LEAVE(op, NEXT(pwritev2)(fd, iov, n, at, flags));
}

PG_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t at, int flags)
{
	struct pg_op op = PG_OUT(pwritev64v2, .fd = fd, .len = UNKNOWN, .flags = flags,
				 .vector = iov, .count = (unsigned)n);
	CLAMP(op, iov, n);

	return LEAVE(op, NEXT(pwritev64v2)(fd, iov, n, at, flags));
}

PG_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	struct pg_op op = PG_OUT(send, .fd = fd, .len = (int64_t)len, .flags = flags);

	return LEAVE(op, NEXT_SYS(send, SYS_sendto, fd, buf, op.len, flags, 0, 0, fd, buf,
				  (size_t)op.len, flags));
}

PG_EXPORT ssize_t __send(int fd, const void *buf, size_t len, int flags)
{
	struct pg_op op = PG_OUT(__send, .fd = fd, .len = (int64_t)len, .flags = flags);

	return LEAVE(op, NEXT_SYS(__send, SYS_sendto, fd, buf, op.len, flags, 0, 0, fd, buf,
				  (size_t)op.len, flags));
}

PG_EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags, PG_SOCKADDR to,
			 socklen_t to_len)
{
	struct pg_op op = PG_OUT(sendto, .fd = fd, .len = (int64_t)len, .flags = flags);

	return LEAVE(op, NEXT(sendto)(fd, buf, (size_t)op.len, flags, to, to_len));
}

PG_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct pg_op op = PG_OUT(sendmsg, .fd = fd, .len = UNKNOWN, .flags = flags, .vector = msg);
	struct iovec room[PG_CLAMP];
	struct msghdr clamped;

	if (PG_UNLIKELY(op.clamped)) {
		clamped = *msg;
		clamped.msg_iovlen = (__typeof__(clamped.msg_iovlen))pg_apply_clamp(&op, room);
		clamped.msg_iov = room;
		msg = &clamped;
	}
	return LEAVE(op, NEXT_SYS3(sendmsg, SYS_sendmsg, fd, msg, flags));
}

/* Rules see the first message; what makes it short sends that one alone. */
PG_EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags)
{
	struct pg_op op = PG_OUT(sendmmsg, .fd = fd, .len = n, .flags = (int)flags, .vector = msgs);
	struct iovec room[PG_CLAMP];
	struct mmsghdr one;
	int sent;

	if (PG_UNLIKELY(op.clamped)) {
		one = *msgs;
		one.msg_hdr.msg_iovlen =
			(__typeof__(one.msg_hdr.msg_iovlen))pg_apply_clamp(&op, room);
		one.msg_hdr.msg_iov = room;
		op.len = 1;
		sent = (int)LEAVE(op, NEXT_SYS4(sendmmsg, SYS_sendmmsg, fd, &one, 1, flags));
		msgs->msg_len = one.msg_len;
	} else {
		sent = (int)LEAVE(op, NEXT_SYS4(sendmmsg, SYS_sendmmsg, fd, msgs, n, flags));
	}
	for (int i = 0; i < sent && !op.skip; i++) /* pg_leave counted messages: make it bytes */
		pg_fd_sent(fd, (uint64_t)msgs[i].msg_len - 1);
	return sent;
}

PG_EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
	struct pg_op op = PG_OUT(sendfile, .fd = out, .len = (int64_t)len);

	return LEAVE(op, NEXT(sendfile)(out, in, at, (size_t)op.len));
}

PG_EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
	struct pg_op op = PG_OUT(sendfile64, .fd = out, .len = (int64_t)len);

	return LEAVE(op, NEXT(sendfile64)(out, in, at, (size_t)op.len));
}

PG_EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
			 unsigned flags)
{
	struct pg_op op = PG_OUT(splice, .fd = out, .len = (int64_t)len);

	return LEAVE(op,
		     NEXT_SYS6(splice, SYS_splice, in, in_at, out, out_at, (size_t)op.len, flags));
}

PG_EXPORT ssize_t tee(int in, int out, size_t len, unsigned flags)
{
	struct pg_op op = PG_OUT(tee, .fd = out, .len = (int64_t)len);

	return LEAVE(op, NEXT_SYS4(tee, SYS_tee, in, out, (size_t)op.len, flags));
}

PG_EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	struct pg_op op = PG_OUT(vmsplice, .fd = fd, .len = UNKNOWN, .vector = iov, .count = n);
	CLAMP(op, iov, n);

	return LEAVE(op, NEXT_SYS4(vmsplice, SYS_vmsplice, fd, iov, n, flags));
}

PG_EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
				  unsigned flags)
{
	struct pg_op op = PG_OUT(copy_file_range, .fd = out, .len = (int64_t)len);

	return LEAVE(op, NEXT_SYS6(copy_file_range, SYS_copy_file_range, in, in_at, out, out_at,
				   (size_t)op.len, flags));
}

/* The dprintf family: libc formats and writes inside; the stdio gate leaves the telling to us. */
PG_EXPORT int vdprintf(int fd, const char *format, va_list ap)
{
	struct pg_op op = PG_OUT(vdprintf, .fd = fd, .len = UNKNOWN);

	return (int)LEAVE(op, NEXT(vdprintf)(fd, format, ap));
}

PG_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	struct pg_op op = PG_OUT(__vdprintf_chk, .fd = fd, .len = UNKNOWN);

	return (int)LEAVE(op, NEXT(__vdprintf_chk)(fd, flag, format, ap));
}

PG_EXPORT int dprintf(int fd, const char *format, ...)
{
	struct pg_op op = PG_OUT(dprintf, .fd = fd, .len = UNKNOWN);
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = (int)LEAVE(op, NEXT(vdprintf)(fd, format, ap));
	va_end(ap);
	return ret;
}

PG_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	struct pg_op op = PG_OUT(__dprintf_chk, .fd = fd, .len = UNKNOWN);
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = (int)LEAVE(op, NEXT(__vdprintf_chk)(fd, flag, format, ap));
	va_end(ap);
	return ret;
}
