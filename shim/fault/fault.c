/* SPDX-License-Identifier: MIT */
#include "fault/fault.h"

#include "base/clock.h"
#include "base/dl.h"
#include "fault/reseat.h"
#include "fault/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

enum { FUTEX_WAIT_PRIVATE = 128 };

struct timing {
	long sec, nsec;
};

/* libc's, or a null pointer where the program has no threads: then nobody cancels. */
static PG_START_DATA int (*set_cancel_type)(int, int *);
static PG_START_DATA void (*test_cancel)(void);

void pg_fault_start(void)
{
	set_cancel_type = (int (*)(int, int *))pg_dl_default("pthread_setcanceltype");
	test_cancel = (void (*)(void))pg_dl_default("pthread_testcancel");
}

void pg_fault_cancel_point(void)
{
	if (test_cancel)
		test_cancel();
}

/* ---- faults ---- */

int pg_fault_queued(int fd)
{
	int queued = 0;

	return pg_sys3(SYS_ioctl, fd, TIOCOUTQ, &queued) || queued < 0 ? 0 : queued;
}

bool pg_fault_flush(int fd)
{
	struct pg_stat first, now;
	int before = 0, queued;
	bool known = !pg_fstat(fd, &first);

	for (int i = 0, idle = 0; i < PG_FLUSH && idle < PG_FLUSH_IDLE; i++, idle++) {
		if (i && known && (pg_fstat(fd, &now) || now.ino != first.ino))
			return false;
		queued = pg_fault_queued(fd);
		if (!queued)
			return true;
		if (queued != before)
			idle = 0;
		before = queued;
		pg_fault_sleep(PG_FLUSH_STEP);
	}
	return true;
}

/* A thread that waits on FD is woken, but until 6.7 some kernels refuse to disconnect under one:
 * EBUSY. Then the shutdown wakes it, and the next try resets. */
static void disconnect(int fd)
{
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	struct timing ms = {0, 1000000};
	long ret;

	for (int i = 0; i < 100; i++) {
		ret = pg_sys3(SYS_connect, fd, &unspec, sizeof unspec);
		pg_sys2(SYS_shutdown, fd, SHUT_RDWR);
		if (ret != -EBUSY)
			return;
		pg_sys5(SYS_ppoll, 0, 0, &ms, 0, 0);
	}
}

int pg_fault_reset(int fd, enum pg_kind kind, bool keep, int *waits)
{
	int other;

	*waits = -1;
	if (kind == PG_TCP) {
		other = keep ? pg_standin_tcp(fd) : -1;
		disconnect(fd);
		return other >= 0 ? pg_reseat(fd, other) : 0;
	}
	other = pg_standin_unix(fd, keep);
	if (other < 0)
		return other;
	*waits = (int)pg_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, PG_HIGH_FD);
	return pg_reseat(fd, other);
}

void pg_fault_wake(int waits)
{
	if (waits < 0)
		return;
	pg_sys2(SYS_shutdown, waits, SHUT_RDWR);
	pg_sys1(SYS_close, waits);
}

/* Where no dead end can be made, SS is port 0 of this host, where nobody listens either; without
 * that host nothing is reached. */
int pg_fault_refuse(int fd, const struct sockaddr_storage *addr)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int dead = pg_dead_end(addr, &ss, &len), ret;

	if (dead < 0 && ss.ss_family != AF_INET && ss.ss_family != AF_INET6)
		return -EAFNOSUPPORT;
	ret = (int)pg_sys3(SYS_connect, fd, &ss, len);
	if (dead >= 0)
		pg_sys1(SYS_close, dead);
	return dead < 0 && ret == -ENETUNREACH ? -EAFNOSUPPORT : ret;
}

bool pg_fault_is_up(int fd)
{
	enum { SYN_SENT = 2, SYN_RECV = 3, CLOSE = 7 }; /* <netinet/tcp.h> */
	uint8_t state = CLOSE;
	socklen_t len = sizeof state;

	return !pg_sys5(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &state, &len) &&
	       state != SYN_SENT && state != SYN_RECV && state != CLOSE;
}

/* The listener stays open for as long as the process lives: closed, it would refuse. Unless it is
 * full, it would take the connection. */
int pg_fault_hang(int fd, const struct sockaddr_storage *addr)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int listener;

	if (pg_fault_is_up(fd)) /* half an address connects nobody */
		return (int)pg_sys3(SYS_connect, fd, addr, sizeof addr->ss_family);
	listener = pg_dead_end(addr, &ss, &len);
	if (listener < 0)
		return -EAFNOSUPPORT;
	listener = pg_lift(listener);
	pg_sys2(SYS_listen, listener, 0);
	for (int i = 0; i < 2; i++) { /* a backlog of 0 holds one connection */
		int filler = (int)pg_sys3(SYS_socket, ss.ss_family,
					  SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (filler < 0 && !i) {
			pg_sys1(SYS_close, listener);
			return -EAFNOSUPPORT;
		}
		pg_sys3(SYS_connect, filler, &ss, len);
		if (!i)
			pg_lift(filler);
		else
			pg_sys1(SYS_close, filler);
	}
	return (int)pg_sys3(SYS_connect, fd, &ss, len);
}

/* One end of a pipe whose other end is closed takes the number FD. END: 0 the reading, 1 the
 * writing one. */
static int take_over(int fd, int end)
{
	int pair[2], ret = (int)pg_sys2(SYS_pipe2, pair, O_CLOEXEC);

	if (ret)
		return ret;
	pg_sys1(SYS_close, pair[!end]);
	return pg_reseat(fd, pair[end]);
}

/* A socket that is no longer connected, or was shut down before, is as it is wanted. */
static int shut(int fd, int how)
{
	int ret = (int)pg_sys2(SYS_shutdown, fd, how);

	return ret == -ENOTCONN ? 0 : ret;
}

int pg_fault_break(int fd, enum pg_kind kind)
{
	return pg_kind_is_socket(kind) ? shut(fd, SHUT_RDWR) : take_over(fd, 1);
}

int pg_fault_fin(int fd)
{
	return shut(fd, SHUT_WR);
}

int pg_fault_linger(int fd)
{
	const struct linger none = {.l_onoff = 1};

	return (int)pg_sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void pg_fault_drain(int fd, enum pg_kind kind)
{
	enum { TIMES = 65536 };
	char buf[512];
	/* tcp(7): with MSG_TRUNC the bytes are not even copied */
	bool discard = kind == PG_TCP;
	void *to = discard ? NULL : buf;
	size_t n = discard ? 1 << 24 : sizeof buf;

	for (int i = 0; i < TIMES; i++)
		if (pg_sys6(SYS_recvfrom, fd, to, n, MSG_DONTWAIT | (discard ? MSG_TRUNC : 0), 0,
			    0) <= 0)
			return;
}

/* How long the program lets calls on FROM wait is how long it lets them wait on TO. */
static void copy_timeouts(int from, int to)
{
	static const int names[] = {SO_RCVTIMEO, SO_SNDTIMEO};
	long value[2];
	socklen_t len = sizeof value;

	for (int i = 0; i < 2; i++)
		if (!pg_sys5(SYS_getsockopt, from, SOL_SOCKET, names[i], value, &len))
			pg_sys5(SYS_setsockopt, to, SOL_SOCKET, names[i], value, len);
}

int pg_fault_silence(int fd, enum pg_kind kind)
{
	enum { TIMES = 65536 };
	struct pollfd p = {.fd = fd, .events = POLLIN | PG_POLLRDHUP};
	struct timing none = {0, 0};
	char buf[512];
	int mine, other = -1;

	if (kind == PG_PIPE)
		for (int i = 0; i < TIMES && pg_sys3(SYS_read, fd, buf, sizeof buf) > 0; i++)
			;
	else
		pg_fault_drain(fd, kind);
	if ((kind != PG_PIPE && kind != PG_TCP && kind != PG_UNIX) ||
	    pg_sys5(SYS_ppoll, &p, 1, &none, 0, 0) <= 0)
		return -1;
	mine = pg_standin_silent(fd, kind, &other);
	if (mine < 0)
		return -1;
	copy_timeouts(fd, mine);
	pg_reseat(fd, mine);
	return pg_lift(other);
}

int pg_fault_eof(int fd, enum pg_kind kind)
{
	int ret = 0;

	if (kind == PG_PIPE)
		return take_over(fd, 0);
	if (pg_kind_is_socket(kind)) {
		ret = shut(fd, SHUT_RD);
		pg_fault_drain(fd, kind);
	}
	return ret;
}

/* ---- waiting ---- */

/* A thread that waits here may be cancelled at once, as in the call that it stands for. */
static int cancellable(void)
{
	int old = PTHREAD_CANCEL_DEFERRED;

	if (set_cancel_type)
		set_cancel_type(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	return old;
}

static void as_before(int type)
{
	if (set_cancel_type)
		set_cancel_type(type, &type);
}

static struct timing timing_of(uint64_t ns)
{
	return (struct timing){(long)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* Waits on P for NS; 1 if something came, -errno: it cannot be waited for. Signals do not shorten
 * it. */
static int wait_for(struct pollfd *p, unsigned n, uint64_t ns)
{
	uint64_t deadline = pg_now() + ns;
	int type = cancellable();
	long ret;

	for (;;) {
		uint64_t now = pg_now(), left = now < deadline ? deadline - now : 0;
		struct timing t = timing_of(left);

		ret = pg_sys5(SYS_ppoll, p, n, &t, 0, 0);
		if (ret > 0 || !left || (ret < 0 && ret != -EINTR))
			break;
	}
	as_before(type);
	return ret == -EINTR ? 0 : (int)ret;
}

/* All that TCP tells of a peer that closed is its FIN, POLLRDHUP; of others it would be an end of
 * writing alone. */
int pg_fault_hold(int fd, enum pg_kind kind, uint64_t ns)
{
	struct pollfd p = {.fd = fd, .events = kind == PG_TCP ? PG_POLLRDHUP : 0};

	return wait_for(&p, 1, ns);
}

void pg_fault_sleep(uint64_t ns)
{
	wait_for(NULL, 0, ns);
}

/* signal(7): FUTEX_WAIT goes on after a handler with SA_RESTART, as read and write do; with a
 * timeout it does not, nor do they on a socket with one. */
int pg_fault_stall(uint64_t ns)
{
	static uint32_t never;
	struct timing t = timing_of(ns);
	int type = cancellable();
	long ret = pg_sys4(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, ns ? &t : NULL);

	as_before(type);
	return ret == -EINTR ? EINTR : EAGAIN;
}
