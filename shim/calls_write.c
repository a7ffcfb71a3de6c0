/* SPDX-License-Identifier: MIT */
/* The calls that write. Each is marked as in progress, made, and its result looked at. */
#include "apply.h"
#include "connect.h"
#include "guard.h"
#include "peek.h"
#include "twins.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define VECTOR(iov, n) op.data = (iov), op.count = (uint64_t)(__typeof__(0u + (n)))(n)

PG_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	if (PG_ASIDE(write, fd))
		return PG_APPLY(write, fd, buf, len);
	return PG_OUT(write, PG_HOT(write)(fd, buf, len), fd, len);
}

PG_EXPORT ssize_t __write(int fd, const void *buf, size_t len)
{
	if (PG_ASIDE(__write, fd))
		return PG_APPLY(__write, fd, buf, len);
	return PG_OUT(__write, PG_HOT(__write)(fd, buf, len), fd, len);
}

PG_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (PG_ASIDE(writev, fd))
		return PG_APPLY(writev, fd, iov, n);
	return PG_OUT_VECTOR(writev, PG_HOT(writev)(fd, iov, n), fd, VECTOR(iov, n));
}

PG_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (PG_ASIDE(pwritev2, fd))
		return PG_APPLY(pwritev2, fd, iov, n, at, flags);
	return PG_OUT_VECTOR(pwritev2, PG_HOT(pwritev2)(fd, iov, n, at, flags), fd, VECTOR(iov, n),
			     op.flags = flags);
}

PG_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t at, int flags)
{
	if (PG_ASIDE(pwritev64v2, fd))
#ifdef __i386__
		return PG_APPLY(pwritev64v2, fd, iov, n, at, (uint64_t)at >> 32, flags);
#else
		return PG_APPLY(pwritev64v2, fd, iov, n, at, flags);
#endif
	return PG_OUT_VECTOR(pwritev64v2, PG_HOT(pwritev64v2)(fd, iov, n, at, flags), fd,
			     VECTOR(iov, n), op.flags = flags);
}

PG_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	if (PG_ASIDE(send, fd))
		return PG_APPLY(send, fd, buf, len, flags);
	return PG_OUT(send, PG_HOT(send)(fd, buf, len, flags), fd, len, op.flags = flags);
}

PG_EXPORT ssize_t __send(int fd, const void *buf, size_t len, int flags)
{
	if (PG_ASIDE(__send, fd))
		return PG_APPLY(__send, fd, buf, len, flags);
	return PG_OUT(__send, PG_HOT(__send)(fd, buf, len, flags), fd, len, op.flags = flags);
}

/* MSG_FASTOPEN (tcp(7)): sending opens a connection. What is sent by it belongs to that. */
static PG_COLD ssize_t opened(enum pg_call call, int fd, const void *to, socklen_t to_len,
			      ssize_t sent, uintptr_t caller)
{
	pg_connected(call, fd, to, to_len, sent < 0 ? -1 : 0, caller);
	if (sent > 0)
		pg_fd_sent(fd, (uint64_t)sent);
	return sent;
}

/* Does a rule decide how the connection goes? Then that is what the call returns. */
static PG_COLD bool refused(int fd, const void *to, socklen_t to_len, uintptr_t caller)
{
	int ret;

	if (!(pg_ruled & PG_BIT(PG_CALL_connect)) ||
	    !pg_apply_connect(PG_CALL_connect, fd, to, to_len, &ret, caller))
		return false;
	pg_connected(PG_CALL_connect, fd, to, to_len, ret, caller);
	return ret < 0;
}

static inline ssize_t send_to(int fd, const void *buf, size_t len, int flags, PG_SOCKADDR to,
			      socklen_t to_len, uintptr_t caller)
{
	if (PG_ASIDE(sendto, fd))
		return pg_apply(PG_CALL_sendto, caller, PG_W(fd), PG_W(buf), PG_W(len), PG_W(flags),
				PG_W(PG_ADDR(to)), PG_W(to_len));
	return PG_OUT(sendto, PG_HOT(sendto)(fd, buf, len, flags, to, to_len), fd, len,
		      op.flags = flags, op.to = PG_ADDR(to), op.to_len = to_len);
}

PG_EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags, PG_SOCKADDR to,
			 socklen_t to_len)
{
	if (PG_LIKELY(!(flags & MSG_FASTOPEN)))
		return send_to(fd, buf, len, flags, to, to_len, PG_CALLER);
	if (refused(fd, PG_ADDR(to), to_len, PG_CALLER))
		return -1;
	return opened(PG_CALL_sendto, fd, PG_ADDR(to), to_len,
		      send_to(fd, buf, len, flags, to, to_len, PG_CALLER), PG_CALLER);
}

#define SENDMSG(name)                                                                              \
	static inline ssize_t one_by_##name(int fd, const struct msghdr *msg, int flags,           \
					    uintptr_t caller)                                      \
	{                                                                                          \
		if (PG_ASIDE(name, fd))                                                            \
			return pg_apply(PG_CALL_##name, caller, PG_W(fd), PG_W(msg), PG_W(flags),  \
					0, 0, 0);                                                  \
		return PG_OUT_VECTOR(name, PG_HOT(name)(fd, msg, flags), fd, op.data = msg,        \
				     op.flags = flags);                                            \
	}                                                                                          \
                                                                                                   \
	PG_EXPORT ssize_t name(int fd, const struct msghdr *msg, int flags)                        \
	{                                                                                          \
		struct msghdr copy = {.msg_name = NULL};                                           \
		ssize_t sent;                                                                      \
                                                                                                   \
		if (PG_LIKELY(!(flags & MSG_FASTOPEN))) {                                          \
			sent = one_by_##name(fd, msg, flags, PG_CALLER);                           \
			if (PG_UNLIKELY(sent >= 0 && msg->msg_controllen))                         \
				pg_lend_passed(msg);                                               \
			return sent;                                                               \
		}                                                                                  \
		if (!pg_peek(&copy, msg, sizeof copy) ||                                           \
		    refused(fd, copy.msg_name, copy.msg_namelen, PG_CALLER))                       \
			return copy.msg_name ? -1 : one_by_##name(fd, msg, flags, PG_CALLER);      \
		return opened(PG_CALL_sendmsg, fd, copy.msg_name, copy.msg_namelen,                \
			      one_by_##name(fd, msg, flags, PG_CALLER), PG_CALLER);                \
	}
SENDMSG(sendmsg)

#define SENDMMSG(name)                                                                             \
	PG_EXPORT int name(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags)          \
	{                                                                                          \
		int sent;                                                                          \
                                                                                                   \
		if (PG_ASIDE(name, fd))                                                            \
			return (int)PG_APPLY(name, fd, msgs, n, flags);                            \
		sent = PG_OUT(name, PG_HOT(name)(fd, msgs, n, flags), fd, n, op.data = msgs,       \
			      op.flags = (int)flags);                                              \
		for (int i = 0; i < sent; i++) /* they were counted as messages: make it bytes */  \
			pg_fd_sent(fd, (uint64_t)msgs[i].msg_len - 1);                             \
		return sent;                                                                       \
	}
SENDMMSG(sendmmsg)

#if __SIZEOF_LONG__ == 4
SENDMSG(__sendmsg64)
SENDMMSG(__sendmmsg64)
#endif

PG_EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
	if (PG_ASIDE(sendfile, out))
		return PG_APPLY(sendfile, out, in, at, len);
	return PG_OUT(sendfile, PG_HOT(sendfile)(out, in, at, len), out, len);
}

PG_EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
	if (PG_ASIDE(sendfile64, out))
		return PG_APPLY(sendfile64, out, in, at, len);
	return PG_OUT(sendfile64, PG_HOT(sendfile64)(out, in, at, len), out, len);
}

PG_EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
			 unsigned flags)
{
	if (PG_ASIDE(splice, out))
		return PG_APPLY(splice, in, in_at, out, out_at, len, flags);
	return PG_OUT(splice, PG_HOT(splice)(in, in_at, out, out_at, len, flags), out, len);
}

PG_EXPORT ssize_t tee(int in, int out, size_t len, unsigned flags)
{
	if (PG_ASIDE(tee, out))
		return PG_APPLY(tee, in, out, len, flags);
	return PG_OUT(tee, PG_HOT(tee)(in, out, len, flags), out, len);
}

PG_EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	if (PG_ASIDE(vmsplice, fd))
		return PG_APPLY(vmsplice, fd, iov, n, flags);
	return PG_OUT_VECTOR(vmsplice, PG_HOT(vmsplice)(fd, iov, n, flags), fd, VECTOR(iov, n),
			     op.flags = (int)flags);
}

PG_EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
				  unsigned flags)
{
	if (PG_ASIDE(copy_file_range, out))
		return PG_APPLY(copy_file_range, in, in_at, out, out_at, len, flags);
	return PG_OUT(copy_file_range, PG_HOT(copy_file_range)(in, in_at, out, out_at, len, flags),
		      out, len);
}

/* ---- the dprintf family: libc formats and writes inside; the stdio gate leaves the telling to us
 * ---- */

/* Where a rule watches, what libc formats goes to a file in memory first. Returns it, or a negative
 * number. */
static int page_to_format(enum pg_call call)
{
	enum { CLOSE_ON_EXEC = 1 };

	if (PG_LIKELY(!(pg_ruled & PG_BIT(call))) || pg_confined)
		return -1;
	return (int)pg_sys2(SYS_memfd_create, "dprintf", CLOSE_ON_EXEC);
}

/* As libc does: on until all is written, or until an error. */
static int write_ruled(enum pg_call call, int fd, const char *text, long n, uintptr_t caller)
{
	long total = 0, done;

	do {
		struct pg_op op = pg_enter((struct pg_op){.call = call,
							  .fd = fd,
							  .len = n - total,
							  .shape = PG_BUF,
							  .data = text + total},
					   0, caller);

		op = pg_apply_out(op, PG_BIT(call), caller);
		done = op.skip ? (long)op.result
			       : NEXT_SYS3(write, SYS_write, fd, text + total, (size_t)op.len);
		pg_leave(op, done, caller);
		if (op.midway)
			pg_apply_midway(&op, n - total, done, caller);
		total += done > 0 ? done : 0;
	} while (done > 0 && total < n);
	return total < n ? -1 : (int)n;
}

/* The kernel's mmap(2), of a file's first N bytes. */
#ifdef SYS_mmap2
#define MAP_PAGE(n, page) pg_sys6(SYS_mmap2, 0, n, PROT_READ, MAP_PRIVATE, page, 0)
#else
#define MAP_PAGE(n, page) pg_sys6(SYS_mmap, 0, n, PROT_READ, MAP_PRIVATE, page, 0)
#endif

/* N bytes of PAGE go to FD as the rules want it. */
static PG_COLD int write_page(enum pg_call call, int fd, int page, int n, uintptr_t caller)
{
	long text = n > 0 ? MAP_PAGE(n, page) : 0;
	int ret;

	pg_sys1(SYS_close, page);
	if (n <= 0)
		return n;
	if (text < 0 && text > -4096) {
		errno = ENOMEM;
		return -1;
	}
	ret = write_ruled(call, fd, (const char *)text, n, caller);
	pg_sys2(SYS_munmap, text, n);
	return ret;
}

/* MADE writes to TO. */
#define FORMAT(name, made)                                                                         \
	__extension__({                                                                            \
		int page = page_to_format(PG_CALL_##name), to = page < 0 ? fd : page;              \
		uintptr_t outer_frame = pg_format_frame;                                           \
		struct pg_op op =                                                                  \
			pg_enter((struct pg_op){.call = PG_CALL_##name, .fd = fd, .len = -2}, 0,   \
				 PG_CALLER);                                                       \
		int pg_made = (pg_format_frame = PG_CFA, made);                                    \
		pg_format_frame = outer_frame;                                                     \
		if (PG_LIKELY(page < 0))                                                           \
			pg_leave(op, pg_made, PG_CALLER);                                          \
		else                                                                               \
			pg_mark = op.outer,                                                        \
			pg_made = write_page(PG_CALL_##name, fd, page, pg_made, PG_CALLER);        \
		pg_made;                                                                           \
	})

PG_EXPORT int vdprintf(int fd, const char *format, va_list ap)
{
	return FORMAT(vdprintf, NEXT(vdprintf)(to, format, ap));
}

PG_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	return FORMAT(__vdprintf_chk, NEXT(__vdprintf_chk)(to, flag, format, ap));
}

PG_EXPORT int dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = FORMAT(dprintf, NEXT(vdprintf)(to, format, ap));
	va_end(ap);
	return ret;
}

PG_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = FORMAT(__dprintf_chk, NEXT(__vdprintf_chk)(to, flag, format, ap));
	va_end(ap);
	return ret;
}
