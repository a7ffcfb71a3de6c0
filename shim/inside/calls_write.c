/* SPDX-License-Identifier: MIT */
/* The calls that write. Each is marked as in progress, made, and its result looked at. */
#include "base/peek.h"
#include "base/twins.h"
#include "inside/apply.h"
#include "inside/connect.h"
#include "inside/perform.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

PG_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct pg_op op;

	if (PG_ASIDE(write, fd))
		return PG_APPLY(write, fd, buf, len);
	return PG_OUT(write, op, fd, len, PG_HOT(write)(fd, buf, len));
}
PG_TWIN(__write, write);

PG_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct pg_op op;

	if (PG_ASIDE(writev, fd))
		return PG_APPLY(writev, fd, iov, n);
	op.data = iov;
	op.count = (uint32_t)n;
	return PG_OUT_VECTOR(writev, op, fd, PG_HOT(writev)(fd, iov, n));
}

PG_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct pg_op op;

	if (PG_ASIDE(pwritev2, fd))
		return PG_APPLY(pwritev2, fd, iov, n, at, flags);
	op.data = iov;
	op.count = (uint32_t)n;
	op.flags = flags;
	return PG_OUT_VECTOR(pwritev2, op, fd, PG_HOT(pwritev2)(fd, iov, n, at, flags));
}

PG_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t at, int flags)
{
	struct pg_op op;

	if (PG_ASIDE(pwritev64v2, fd))
#ifdef __i386__
		return PG_APPLY(pwritev64v2, fd, iov, n, at, (uint64_t)at >> 32, flags);
#else
		return PG_APPLY(pwritev64v2, fd, iov, n, at, flags);
#endif
	op.data = iov;
	op.count = (uint32_t)n;
	op.flags = flags;
	return PG_OUT_VECTOR(pwritev64v2, op, fd, PG_HOT(pwritev64v2)(fd, iov, n, at, flags));
}

PG_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	struct pg_op op;

	if (PG_ASIDE(send, fd))
		return PG_APPLY(send, fd, buf, len, flags);
	op.flags = flags;
	return PG_OUT(send, op, fd, len, PG_HOT(send)(fd, buf, len, flags));
}
PG_TWIN(__send, send);

/* MSG_FASTOPEN (tcp(7)): sending opens a connection. What is sent by it belongs to that. */
static PG_COLD ssize_t opened(enum pg_call call, int fd, const void *to, socklen_t to_len,
			      ssize_t sent, uintptr_t caller)
{
	if (!to || pg_fd_type(fd) != SOCK_STREAM) {		       /* the flag says nothing */
		if (sent < 0 && errno != EPIPE && errno != ECONNRESET) /* those are logged */
			pg_guard_warned(call, fd, errno, caller);
		return sent;
	}
	pg_connected(call, fd, to, to_len, sent < 0 ? -1 : 0, caller);
	if (sent > 0)
		pg_fd_sent(fd, (uint64_t)sent);
	return sent;
}

/* Does a rule decide how the connection goes? Then that is what the call returns. */
static PG_COLD bool refused(int fd, const void *to, socklen_t to_len, uintptr_t caller)
{
	int ret;

	if (!to || !(pg_front.ruled & PG_BIT(PG_CALL_connect)) ||
	    !pg_apply_connect(PG_CALL_connect, fd, to, to_len, &ret, caller))
		return false;
	pg_connected(PG_CALL_connect, fd, to, to_len, ret, caller);
	return ret < 0;
}

static PG_INLINE ssize_t send_to(int fd, const void *buf, size_t len, int flags, PG_SOCKADDR to,
				 socklen_t to_len, uintptr_t caller)
{
	struct pg_op op;

	if (PG_ASIDE(sendto, fd))
		return pg_apply(PG_CALL_sendto, caller, PG_W(fd), PG_W(buf), PG_W(len), PG_W(flags),
				PG_W(PG_ADDR(to)), PG_W(to_len));
	op.flags = flags;
	op.to = PG_ADDR(to);
	op.to_len = to_len;
	return PG_OUT(sendto, op, fd, len, PG_HOT(sendto)(fd, buf, len, flags, to, to_len));
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

static PG_COLD bool refused_to(int fd, const struct msghdr *msg, uintptr_t caller)
{
	struct msghdr to;

	return pg_peek(&to, msg, sizeof to) && refused(fd, to.msg_name, to.msg_namelen, caller);
}

static PG_COLD ssize_t opened_to(int fd, const struct msghdr *msg, ssize_t sent, uintptr_t caller)
{
	struct msghdr to;

	if (!pg_peek(&to, msg, sizeof to))
		return sent;
	return opened(PG_CALL_sendmsg, fd, to.msg_name, to.msg_namelen, sent, caller);
}

#define SENDMSG(name)                                                                              \
	static PG_INLINE ssize_t one_by_##name(int fd, const struct msghdr *msg, int flags,        \
					       uintptr_t caller)                                   \
	{                                                                                          \
		struct pg_op op;                                                                   \
                                                                                                   \
		if (PG_ASIDE(name, fd))                                                            \
			return pg_apply(PG_CALL_##name, caller, PG_W(fd), PG_W(msg), PG_W(flags),  \
					0, 0, 0);                                                  \
		op.data = msg;                                                                     \
		op.flags = flags;                                                                  \
		return PG_OUT_VECTOR(name, op, fd, PG_HOT(name)(fd, msg, flags));                  \
	}                                                                                          \
                                                                                                   \
	PG_EXPORT ssize_t name(int fd, const struct msghdr *msg, int flags)                        \
	{                                                                                          \
		ssize_t sent;                                                                      \
                                                                                                   \
		if (PG_LIKELY(!(flags & MSG_FASTOPEN))) {                                          \
			sent = one_by_##name(fd, msg, flags, PG_CALLER);                           \
			if (sent >= 0)                                                             \
				pg_lend_passed(fd, msg);                                           \
			return sent;                                                               \
		}                                                                                  \
		if (refused_to(fd, msg, PG_CALLER))                                                \
			return -1;                                                                 \
		return opened_to(fd, msg, one_by_##name(fd, msg, flags, PG_CALLER), PG_CALLER);    \
	}
SENDMSG(sendmsg)

/* They were counted as messages: make it bytes. */
static void count_bytes(int fd, const struct mmsghdr *msgs, int sent)
{
	for (int i = 0; i < sent; i++) {
		pg_fd_sent(fd, (uint64_t)msgs[i].msg_len - 1);
		pg_lend_passed(fd, &msgs[i].msg_hdr);
	}
}

static PG_COLD int opened_by_first(enum pg_call call, int fd, const struct mmsghdr *msgs, int sent,
				   uintptr_t caller)
{
	struct msghdr first;
	uint64_t bytes = 0;

	if (!pg_peek(&first, msgs, sizeof first))
		return sent;
	for (int i = 0; i < sent; i++)
		bytes += msgs[i].msg_len;
	opened(call, fd, first.msg_name, first.msg_namelen, sent > 0 ? (ssize_t)bytes : sent,
	       caller);
	return sent;
}

#define SENDMMSG(name)                                                                             \
	static PG_INLINE int several_by_##name(int fd, struct mmsghdr *msgs, unsigned n,           \
					       PG_MMSG_FLAGS flags, uintptr_t caller)              \
	{                                                                                          \
		struct pg_op op;                                                                   \
		int sent;                                                                          \
                                                                                                   \
		if (PG_ASIDE(name, fd))                                                            \
			return (int)pg_apply(PG_CALL_##name, caller, PG_W(fd), PG_W(msgs),         \
					     PG_W(n), PG_W(flags), 0, 0);                          \
		op.data = msgs;                                                                    \
		op.flags = (int)flags;                                                             \
		sent = PG_OUT(name, op, fd, n, PG_HOT(name)(fd, msgs, n, flags));                  \
		count_bytes(fd, msgs, sent);                                                       \
		return sent;                                                                       \
	}                                                                                          \
                                                                                                   \
	PG_EXPORT int name(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags)          \
	{                                                                                          \
		if (PG_LIKELY(!((int)flags & MSG_FASTOPEN)))                                       \
			return several_by_##name(fd, msgs, n, flags, PG_CALLER);                   \
		if (n && refused_to(fd, &msgs->msg_hdr, PG_CALLER))                                \
			return -1;                                                                 \
		return opened_by_first(PG_CALL_sendmmsg, fd, msgs,                                 \
				       several_by_##name(fd, msgs, n, flags, PG_CALLER),           \
				       PG_CALLER);                                                 \
	}
SENDMMSG(sendmmsg)

#if __SIZEOF_LONG__ == 4
SENDMSG(__sendmsg64)
SENDMMSG(__sendmmsg64)
#endif

PG_EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
	struct pg_op op;

	if (PG_ASIDE(sendfile, out))
		return PG_APPLY(sendfile, out, in, at, len);
	return PG_OUT(sendfile, op, out, len, PG_HOT(sendfile)(out, in, at, len));
}

PG_EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
	struct pg_op op;

	if (PG_ASIDE(sendfile64, out))
		return PG_APPLY(sendfile64, out, in, at, len);
	return PG_OUT(sendfile64, op, out, len, PG_HOT(sendfile64)(out, in, at, len));
}

PG_EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
			 unsigned flags)
{
	struct pg_op op;

	if (PG_ASIDE(splice, out))
		return PG_APPLY(splice, in, in_at, out, out_at, len, flags);
	return PG_OUT(splice, op, out, len, PG_HOT(splice)(in, in_at, out, out_at, len, flags));
}

PG_EXPORT ssize_t tee(int in, int out, size_t len, unsigned flags)
{
	struct pg_op op;

	if (PG_ASIDE(tee, out))
		return PG_APPLY(tee, in, out, len, flags);
	return PG_OUT(tee, op, out, len, PG_HOT(tee)(in, out, len, flags));
}

PG_EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	struct pg_op op;

	if (PG_ASIDE(vmsplice, fd))
		return PG_APPLY(vmsplice, fd, iov, n, flags);
	op.data = iov;
	op.count = (uint32_t)n;
	op.flags = (int)flags;
	return PG_OUT_VECTOR(vmsplice, op, fd, PG_HOT(vmsplice)(fd, iov, n, flags));
}

PG_EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
				  unsigned flags)
{
	struct pg_op op;

	if (PG_ASIDE(copy_file_range, out))
		return PG_APPLY(copy_file_range, in, in_at, out, out_at, len, flags);
	return PG_OUT(copy_file_range, op, out, len,
		      PG_HOT(copy_file_range)(in, in_at, out, out_at, len, flags));
}

/* ---- the dprintf family: libc formats and writes inside; the stdio gate leaves the line to us
 * ---- */

/* One of them. CHECK: the argument of the __*_chk ones, else negative. CFA: of the wrapper. */
struct print {
	enum pg_call call;
	int fd, check;
	const char *format;
	uintptr_t caller, cfa;
};

static int by_libc(const struct print *p, va_list ap)
{
	uintptr_t outer = pg_format_frame;
	int ret;

	pg_format_frame = p->cfa;
	ret = p->check < 0 ? NEXT(vdprintf)(p->fd, p->format, ap)
			   : NEXT(__vdprintf_chk)(p->fd, p->check, p->format, ap);
	pg_format_frame = outer;
	return ret;
}

/* How many bytes it would write; negative: it fails for its format. */
static int length_of(const struct print *p, va_list ap)
{
	va_list again;
	int saved = errno, n; /* %m is of the errno that was */

	va_copy(again, ap);
	n = pg_next_format(NULL, 0, p->check, p->format, again);
	va_end(again);
	errno = saved;
	return n;
}

static struct pg_op asked_of(const struct print *p, const char *text, int64_t len)
{
	return (struct pg_op){.call = p->call,
			      .fd = p->fd,
			      .len = len,
			      .shape = text ? PG_BUF : PG_NOTHING,
			      .data = text,
			      .bits = PG_BIT(p->call),
			      .caller = p->caller};
}

/* What is printed by parts: N bytes, which go to memory first. */
struct parts {
	const struct print *print;
	va_list ap;
	char *text;
	int n;
};

/* A part: its memory to its descriptor. */
static int64_t part(struct pg_op *op, void *how)
{
	(void)how;
	return NEXT_SYS3(write, SYS_write, op->fd, op->data, (size_t)op->len);
}

/* As long as no rule cuts it libc writes it, in its own way. */
static int64_t first_part(struct pg_op *op, void *how)
{
	struct parts *all = how;
	const struct print *p = all->print;
	size_t room = (size_t)all->n + 1;

	if (!op->clamped)
		return by_libc(p, all->ap);
	all->text = pg_map(room);
	if (!all->text) {
		errno = ENOMEM;
		return -1;
	}
	all->n = pg_next_format(all->text, room, p->check, p->format, all->ap);
	if (all->n >= (int)room) /* its arguments changed meanwhile */
		all->n = (int)room - 1;
	if (all->n < op->len)
		op->len = all->n;
	op->data = all->text;
	return part(op, NULL);
}

/* What is left behind the first part, DONE bytes: on until all is written or until an error, as
 * libc does; each part meets the rules. */
static int write_rest(const struct parts *all, int64_t done)
{
	int64_t total = done;
	struct pg_op op;

	while (done > 0 && total < all->n) {
		op = asked_of(all->print, all->text + total, all->n - total);
		done = pg_perform(&op, part, NULL);
		total += done > 0 ? done : 0;
	}
	return total < all->n ? -1 : all->n;
}

/* Under a rule. */
static PG_COLD int print_ruled(const struct print *p, va_list ap)
{
	int n = length_of(p, ap), ret;
	struct parts all = {.print = p, .n = n};
	struct pg_op op = asked_of(p, NULL, n);

	if (n < 0)
		return by_libc(p, ap);
	va_copy(all.ap, ap);
	ret = (int)pg_perform(&op, first_part, &all);
	va_end(all.ap);
	if (!all.text)
		return ret;
	ret = write_rest(&all, ret);
	pg_sys2(SYS_munmap, all.text, (size_t)n + 1);
	return ret;
}

/* libc wrote nothing, or everything is to be logged. */
static PG_COLD void print_odd(const struct print *p, int ret)
{
	struct pg_op op = asked_of(p, NULL, -2);

	if (pg_front.ruled & op.bits && ret < 0)
		pg_apply_refused(op.fd, op.bits, errno);
	pg_judge(&op, ret);
}

static int print(const struct print *p, va_list ap)
{
	uint64_t bit = PG_BIT(p->call);
	struct pg_op op; /* no more than its mark */
	int ret;

	if (PG_UNLIKELY(pg_front.ruled & bit) && pg_fd_ruled(p->fd, bit) &&
	    pg_apply_asks(p->fd, bit))
		return print_ruled(p, ap);
	pg_mark_as(&op, PG_MARK(p->call, p->fd, 0), p->caller + 1);
	ret = by_libc(p, ap);
	if (PG_UNLIKELY(ret <= 0 || pg_watch_all))
		print_odd(p, ret);
	else
		pg_fd_sent(p->fd, (uint64_t)ret);
	pg_unmark(&op);
	return ret;
}

#define PRINT(name, number) ((struct print){PG_CALL_##name, fd, number, format, PG_CALLER, PG_CFA})

PG_EXPORT int vdprintf(int fd, const char *format, va_list ap)
{
	return print(&PRINT(vdprintf, -1), ap);
}

PG_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	return print(&PRINT(__vdprintf_chk, flag), ap);
}

PG_EXPORT int dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = print(&PRINT(dprintf, -1), ap);
	va_end(ap);
	return ret;
}

PG_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = print(&PRINT(__dprintf_chk, flag), ap);
	va_end(ap);
	return ret;
}
