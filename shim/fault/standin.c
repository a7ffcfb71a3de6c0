/* SPDX-License-Identifier: MIT */
#include "fault/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/un.h>

enum { ROOM = 1 << 22, PATIENCE_MS = 1000 };

int pg_dead_end(const struct sockaddr_storage *addr, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *in4 = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss, like;
	int family = addr->ss_family, fd = -1;

	__builtin_memcpy(&like, addr, sizeof like); /* SS may be ADDR */
	if (family == AF_INET || family == AF_INET6 || family == AF_UNIX)
		fd = (int)pg_sys3(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ss = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
	*len = sizeof(sa_family_t); /* AF_UNIX: the kernel chooses an abstract name, unix(7),
				       "Autobind" */
	if (family == AF_INET) {
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*len = sizeof *in4;
	} else if (family == AF_INET6) {
		in6->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
		if (IN6_IS_ADDR_V4MAPPED(&like.sin6_addr)) {
			in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
			in6->sin6_addr.s6_addr[12] = 127;
		}
		*len = sizeof *in6;
	}
	if (fd < 0 || pg_sys3(SYS_bind, fd, ss, *len)) {
		if (fd >= 0)
			pg_sys1(SYS_close, fd);
		return fd < 0 ? fd : -1;
	}
	*len = sizeof *ss;
	pg_sys3(SYS_getsockname, fd, ss, len);
	return fd;
}

static void put_option(int fd, int name, const void *value, socklen_t len)
{
	pg_sys5(SYS_setsockopt, fd, SOL_SOCKET, name, value, len);
}

/* Waits for EVENTS on FD, MS at the most. FD -1: for nothing. */
static void wait_ms(int fd, short events, long ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct {
		long sec, nsec;
	} t = {ms / 1000, ms % 1000 * 1000000};

	pg_sys5(SYS_ppoll, &p, fd < 0 ? 0 : 1, &t, 0, 0);
}

static int waiting(int fd)
{
	int n = 0;

	return pg_sys3(SYS_ioctl, fd, FIONREAD, &n) ? 0 : n;
}

/* Gives TO what waits on FROM now; returns how much. FLAGS: MSG_PEEK leaves it there, too. */
static __attribute__((noinline)) int move(int from, int to, int flags)
{
	char buf[512];
	int left = waiting(from), sum = 0;
	long got;

	while (left > sum) {
		size_t n = (size_t)(left - sum);

		got = pg_sys6(SYS_recvfrom, from, buf, n < sizeof buf ? n : sizeof buf,
			      MSG_DONTWAIT | flags, 0, 0);
		if (got > 0)
			got = pg_sys6(SYS_sendto, to, buf, got, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
		if (got <= 0)
			break;
		sum += (int)got;
	}
	return sum;
}

/* Of a unix socket like FD: a stream, packets or datagrams. */
static int unix_pair(int fd, int pair[2])
{
	int type = SOCK_STREAM;
	socklen_t len = sizeof type;

	pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return (int)pg_sys4(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, pair);
}

int pg_standin_unix(int fd, bool keep)
{
	int pair[2], start = 0, ret = unix_pair(fd, pair);

	if (ret)
		return ret;
	put_option(fd, SO_PEEK_OFF, &start, sizeof start);
	if (keep)
		move(fd, pair[1], MSG_PEEK);
	pg_sys6(SYS_sendto, pair[0], "", 1, MSG_NOSIGNAL, 0, 0);
	pg_sys1(SYS_close, pair[1]);
	return pair[0];
}

/* Is TO the socket that FROM is connected to, and not a stranger that was quicker? */
static bool each_other(int from, int to)
{
	struct sockaddr_in6 name, peer; /* the port is where an IPv4 address has it */
	socklen_t n = sizeof name, m = sizeof peer;

	return !pg_sys3(SYS_getsockname, from, &name, &n) &&
	       !pg_sys3(SYS_getpeername, to, &peer, &m) && name.sin6_port == peer.sin6_port;
}

/* Two sockets of FD's family that are connected to each other. */
static __attribute__((noinline)) bool connected_pair(int fd, int pair[2])
{
	struct sockaddr_storage like, ss;
	socklen_t len = sizeof like;
	int room = ROOM, listener = -1;

	if (!pg_sys3(SYS_getsockname, fd, &like, &len))
		listener = pg_dead_end(&like, &ss, &len);
	if (listener < 0)
		return false;
	put_option(listener, SO_SNDBUF, &room, sizeof room);
	pg_sys2(SYS_listen, listener, 1);
	pair[0] = (int)pg_sys3(SYS_socket, like.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	put_option(pair[0], SO_RCVBUF, &room, sizeof room);
	pair[1] = -1;
	if (!pg_sys3(SYS_connect, pair[0], &ss, len))
		pair[1] = (int)pg_sys4(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
	pg_sys1(SYS_close, listener);
	if (pair[1] >= 0 && each_other(pair[0], pair[1]))
		return true;
	pg_sys1(SYS_close, pair[0]);
	if (pair[1] >= 0)
		pg_sys1(SYS_close, pair[1]);
	return false;
}

int pg_standin_tcp(int fd)
{
	struct linger none = {.l_onoff = 1, .l_linger = 0};
	int pair[2], sent;

	if (!waiting(fd) || !connected_pair(fd, pair))
		return -1;
	sent = move(fd, pair[1], 0);
	for (int i = 0; i < PATIENCE_MS && waiting(pair[0]) < sent; i++)
		wait_ms(-1, 0, 1);
	put_option(pair[1], SO_LINGER, &none, sizeof none);
	pg_sys1(SYS_close, pair[1]);
	wait_ms(pair[0], 0, PATIENCE_MS);
	return pair[0];
}

/* A TCP connection to this host, of the family of FD; *OTHER is its other end. */
static int tcp_pair(int fd, int *other)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof ss;
	int listener, mine;

	pg_sys3(SYS_getsockname, fd, &ss, &len);
	listener = pg_dead_end(&ss, &ss, &len);
	if (listener < 0)
		return -1;
	pg_sys2(SYS_listen, listener, 1);
	mine = (int)pg_sys3(SYS_socket, ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pg_sys3(SYS_connect, mine, &ss, len);
	*other = (int)pg_sys4(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
	pg_sys1(SYS_close, listener);
	return mine;
}

int pg_standin_silent(int fd, enum pg_kind kind, int *other)
{
	int pair[2];

	if (kind == PG_TCP)
		return tcp_pair(fd, other);
	if (kind == PG_PIPE ? pg_sys2(SYS_pipe2, pair, O_CLOEXEC) : unix_pair(fd, pair))
		return -1;
	*other = pair[1];
	return pair[0];
}
