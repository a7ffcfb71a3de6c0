/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/un.h>

/* Not under __USE_MISC in every libc. */
#define PG_POLLRDHUP 0x2000

struct timing {
	long sec, nsec;
};

void pg_fault_reset(int fd, enum pg_kind kind)
{
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};

	if (kind != PG_TCP) {
		pg_fault_break(fd, kind);
		return;
	}
	pg_sys3(SYS_connect, fd, &unspec, sizeof unspec);
	pg_sys2(SYS_shutdown, fd, SHUT_RDWR);
}

/* A socket bound to a name of this host for which nobody listens; its name in SS. Negative: not
 * possible. */
static int dead_end(const struct sockaddr *addr, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *in4 = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;
	int fd = (int)pg_sys3(SYS_socket, addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ss = (struct sockaddr_storage){.ss_family = addr->sa_family};
	*len = sizeof(sa_family_t); /* AF_UNIX: the kernel chooses an abstract name, unix(7),
				       "Autobind" */
	if (addr->sa_family == AF_INET) {
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*len = sizeof *in4;
	} else if (addr->sa_family == AF_INET6) {
		in6->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
		if (IN6_IS_ADDR_V4MAPPED(
			    &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr)) {
			in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
			in6->sin6_addr.s6_addr[12] = 127;
		}
		*len = sizeof *in6;
	}
	if (fd < 0 || pg_sys3(SYS_bind, fd, ss, *len)) {
		if (fd >= 0)
			pg_sys1(SYS_close, fd);
		return -1;
	}
	*len = sizeof *ss;
	pg_sys3(SYS_getsockname, fd, ss, len);
	return fd;
}

int pg_fault_refuse(int fd, const struct sockaddr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int dead, ret;

	if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6 && addr->sa_family != AF_UNIX)
		return -EAFNOSUPPORT;
	dead = dead_end(addr, &ss, &len);
	if (dead < 0)
		return -EAFNOSUPPORT;
	ret = (int)pg_sys3(SYS_connect, fd, &ss, len);
	pg_sys1(SYS_close, dead);
	return ret;
}

static bool is_socket(enum pg_kind kind)
{
	return kind == PG_TCP || kind == PG_UDP || kind == PG_UNIX || kind == PG_SOCKET;
}

/* One end of a pipe whose other end is closed takes the number FD. END: 0 the reading, 1 the
 * writing one. */
static void take_over(int fd, int end)
{
	int pair[2];
	long cloexec = pg_sys3(SYS_fcntl, fd, F_GETFD, 0),
	     flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0);

	if (pg_sys2(SYS_pipe2, pair, O_CLOEXEC))
		return;
	pg_sys1(SYS_close, pair[!end]);
	pg_sys3(SYS_fcntl, pair[end], F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	pg_sys3(SYS_dup3, pair[end], fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0);
	pg_sys1(SYS_close, pair[end]);
}

void pg_fault_break(int fd, enum pg_kind kind)
{
	if (is_socket(kind))
		pg_sys2(SYS_shutdown, fd, SHUT_RDWR);
	else
		take_over(fd, 1);
}

void pg_fault_fin(int fd)
{
	pg_sys2(SYS_shutdown, fd, SHUT_WR);
}

void pg_fault_eof(int fd, enum pg_kind kind)
{
	if (is_socket(kind))
		pg_sys2(SYS_shutdown, fd, SHUT_RD);
	else
		take_over(fd, 0);
}

/* Waits on P until DEADLINE (pg_now); true if something came. Signals do not shorten it. */
static bool wait_until(struct pollfd *p, unsigned n, uint64_t deadline)
{
	for (;;) {
		uint64_t now = pg_now(), left = now < deadline ? deadline - now : 0;
		struct timing t = {(long)(left / 1000000000), (long)(left % 1000000000)};
		long ret = pg_sys5(SYS_ppoll, p, n, &t, 0, 0);

		if (ret > 0)
			return true;
		if (!left || (ret < 0 && ret != -EINTR))
			return false;
	}
}

bool pg_fault_hold(int fd, uint64_t ns)
{
	struct pollfd p = {.fd = fd, .events = PG_POLLRDHUP};

	return wait_until(&p, 1, pg_now() + ns);
}

void pg_fault_sleep(uint64_t ns)
{
	wait_until(NULL, 0, pg_now() + ns);
}

int pg_fault_stall(int fd)
{
	if (pg_sys3(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK)
		return EAGAIN;
	pg_sys5(SYS_ppoll, 0, 0, 0, 0, 0);
	return EINTR;
}

bool pg_fault_peek(void *to, const void *from, size_t n)
{
	struct iovec here = {to, n}, there = {(void *)(uintptr_t)from, n};

	return !n || pg_sys6(SYS_process_vm_readv, pg_sys0(SYS_getpid), &here, 1, &there, 1, 0) ==
			     (long)n;
}

void pg_fault_raise(int sig)
{
	siginfo_t si;
	long pid = pg_sys0(SYS_getpid);

	__builtin_memset(&si, 0, sizeof si);
	si.si_signo = sig;
	si.si_code = SI_USER;
	si.si_pid = (pid_t)pid;
	si.si_uid = (uid_t)pg_sys0(SYS_getuid);
	pg_sys4(SYS_rt_tgsigqueueinfo, pid, pg_sys0(SYS_gettid), sig, &si);
}
