/* SPDX-License-Identifier: MIT */
/* The ways to write: through libc, through syscall(2), past both. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libc's own names, that checked builds and other libraries call. */
extern ssize_t __write(int fd, const void *buf, size_t len);
extern ssize_t __send(int fd, const void *buf, size_t len, int flags);
extern int __dprintf_chk(int fd, int flag, const char *format, ...);
extern int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);

static long by_write(const struct request *r)
{
	return write(r->fd, r->b.at, r->b.len);
}

static long by___write(const struct request *r)
{
	return __write(r->fd, r->b.at, r->b.len);
}

static long by_send(const struct request *r)
{
	return send(r->fd, r->b.at, r->b.len, r->flags);
}

static long by___send(const struct request *r)
{
	return __send(r->fd, r->b.at, r->b.len, r->flags);
}

static long by_sendto(const struct request *r)
{
	return sendto(r->fd, r->b.at, r->b.len, r->flags, NULL, 0);
}

static long by_writev(const struct request *r)
{
	return writev(r->fd, r->v.at, r->v.n);
}

static long by_pwritev2(const struct request *r)
{
	return pwritev2(r->fd, r->v.at, r->v.n, -1, r->flags);
}

static long by_pwritev64v2(const struct request *r)
{
	return pwritev64v2(r->fd, r->v.at, r->v.n, -1, r->flags);
}

static long by_vmsplice(const struct request *r)
{
	return vmsplice(r->fd, r->v.at, (size_t)r->v.n, (unsigned)r->flags);
}

static long by_sendmsg(const struct request *r)
{
	return sendmsg(r->fd, r->m, r->flags);
}

static long by_syscall_write(const struct request *r)
{
	return syscall(SYS_write, r->fd, r->b.at, r->b.len);
}

static long by_syscall_sendto(const struct request *r)
{
	return syscall(SYS_sendto, r->fd, r->b.at, r->b.len, r->flags, NULL, 0);
}

static long by_syscall_writev(const struct request *r)
{
	return syscall(SYS_writev, r->fd, r->v.at, r->v.n);
}

static long by_syscall_pwritev2(const struct request *r)
{
	return syscall(SYS_pwritev2, r->fd, r->v.at, r->v.n, -1L, -1L, r->flags);
}

static long by_syscall_sendmsg(const struct request *r)
{
	return syscall(SYS_sendmsg, r->fd, r->m, r->flags);
}

/* The kernel's answer, as libc gives it. */
static long answered(long ret)
{
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = (int)-ret;
	return -1;
}

#ifdef __x86_64__
static long trap(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;
	register long r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return answered(ret);
}
#else
static long trap(long nr, long a, long b, long c, long d)
{
	(void)answered;
	return syscall(nr, a, b, c, d, 0L, 0L);
}
#endif

static long by_inline_write(const struct request *r)
{
	return trap(SYS_write, r->fd, (long)r->b.at, (long)r->b.len, 0);
}

static long by_inline_writev(const struct request *r)
{
	return trap(SYS_writev, r->fd, (long)r->v.at, r->v.n, 0);
}

static long by_inline_sendto(const struct request *r)
{
	return trap(SYS_sendto, r->fd, (long)r->b.at, (long)r->b.len, r->flags);
}

static long by_inline_sendmsg(const struct request *r)
{
	return trap(SYS_sendmsg, r->fd, (long)r->m, r->flags, 0);
}

static long by_dprintf(const struct request *r)
{
	return dprintf(r->fd, "%.*s", (int)r->b.len, (char *)r->b.at);
}

static long vformatted(int fd, int checked, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = checked ? __vdprintf_chk(fd, 1, format, ap) : vdprintf(fd, format, ap);
	va_end(ap);
	return ret;
}

static long by_vdprintf(const struct request *r)
{
	return vformatted(r->fd, 0, "%.*s", (int)r->b.len, (char *)r->b.at);
}

static long by___dprintf_chk(const struct request *r)
{
	return __dprintf_chk(r->fd, 1, "%.*s", (int)r->b.len, (char *)r->b.at);
}

static long by___vdprintf_chk(const struct request *r)
{
	return vformatted(r->fd, 1, "%.*s", (int)r->b.len, (char *)r->b.at);
}

static const struct how hows[] = {
	{"write", "write", C_write, NEEDS_BUF, ANY_FLAGS, false, by_write},
	{"write", "write", C_write, NEEDS_BUF, ANY_FLAGS, false, by_write},
	{"__write", "write", C_write, NEEDS_BUF, ANY_FLAGS, false, by___write},
	{"send", "send", C_write, NEEDS_BUF, SEND_FLAGS, true, by_send},
	{"__send", "send", C_write, NEEDS_BUF, SEND_FLAGS, true, by___send},
	{"sendto", "sendto", C_write, NEEDS_BUF, SEND_FLAGS, true, by_sendto},
	{"writev", "writev", C_vector, NEEDS_VEC, ANY_FLAGS, false, by_writev},
	{"pwritev2", "pwritev2", C_vector, NEEDS_VEC, RWF_FLAGS, false, by_pwritev2},
	{"pwritev64v2", "pwritev64v2", C_vector, NEEDS_VEC, RWF_FLAGS, false, by_pwritev64v2},
	{"vmsplice", "vmsplice", C_copy, NEEDS_VEC, SPLICE_FLAGS, false, by_vmsplice},
	{"sendmsg", "sendmsg", C_message, NEEDS_MSG, SEND_FLAGS, true, by_sendmsg},
	{"dprintf", "dprintf", C_format, NEEDS_TEXT, ANY_FLAGS, false, by_dprintf},
	{"vdprintf", "vdprintf", C_format, NEEDS_TEXT, ANY_FLAGS, false, by_vdprintf},
	{"__dprintf_chk", "dprintf", C_format, NEEDS_TEXT, ANY_FLAGS, false, by___dprintf_chk},
	{"__vdprintf_chk", "vdprintf", C_format, NEEDS_TEXT, ANY_FLAGS, false, by___vdprintf_chk},
	{"syscall-write", "write", C_raw, NEEDS_BUF, ANY_FLAGS, false, by_syscall_write},
	{"syscall-sendto", "sendto", C_raw, NEEDS_BUF, SEND_FLAGS, true, by_syscall_sendto},
	{"syscall-writev", "writev", C_raw, NEEDS_VEC, ANY_FLAGS, false, by_syscall_writev},
	{"syscall-pwritev2", "pwritev2", C_raw, NEEDS_VEC, RWF_FLAGS, false, by_syscall_pwritev2},
	{"syscall-sendmsg", "sendmsg", C_raw, NEEDS_MSG, SEND_FLAGS, true, by_syscall_sendmsg},
	{"inline-write", "write", C_inlined, NEEDS_BUF, ANY_FLAGS, false, by_inline_write},
	{"inline-writev", "writev", C_inlined, NEEDS_VEC, ANY_FLAGS, false, by_inline_writev},
	{"inline-sendto", "sendto", C_inlined, NEEDS_BUF, SEND_FLAGS, true, by_inline_sendto},
	{"inline-sendmsg", "sendmsg", C_inlined, NEEDS_MSG, SEND_FLAGS, true, by_inline_sendmsg},
};

const struct how *the_plainest_how(void)
{
	return &hows[0];
}

const struct how *some_how(void)
{
	for (int i = 0; i < 100; i++) {
		const struct how *h = &ONE_OF(hows);

		if (on(h->class))
			return h;
	}
	return &hows[0];
}

const struct how *some_signalling_how(void)
{
	for (int i = 0; i < 100; i++) {
		const struct how *h = some_how();

		if (h->needs != NEEDS_TEXT)
			return h;
	}
	return &hows[0];
}
