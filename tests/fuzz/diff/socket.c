/* SPDX-License-Identifier: MIT */
/* Connections: begun, refused, begun again, shut down, asked. */
#include "diff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

extern int __connect(int fd, const struct sockaddr *addr, socklen_t len);

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage room;
};

/* A port that is bound, so that nobody else takes it, and does not listen. */
static socklen_t refused_port(union address *a)
{
	static int held = -1;
	socklen_t len = sizeof a->in;

	memset(a, 0, sizeof *a);
	a->in = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (held < 0 || getsockname(held, &a->any, &len)) {
		held = new_socket(AF_INET, SOCK_STREAM);
		if (bind(held, &a->any, sizeof a->in) || getsockname(held, &a->any, &len))
			say("no port to refuse: %s", error_name(errno));
	}
	return sizeof a->in;
}

static socklen_t a_listeners(union address *a)
{
	int fd = good_fd(LISTENS);
	socklen_t len = sizeof *a;

	memset(a, 0, sizeof *a);
	if (fd < 0 || getsockname(fd, &a->any, &len))
		return refused_port(a);
	return len < sizeof *a ? len : (socklen_t)sizeof *a;
}

static socklen_t some_target(union address *a, struct call *c)
{
	unsigned which = below(10);

	if (which < 5) {
		detail(c, ", to a listener");
		return a_listeners(a);
	}
	if (which < 7) {
		detail(c, ", to a port that refuses");
		return refused_port(a);
	}
	memset(a, 0, sizeof *a);
	if (which < 8) {
		detail(c, ", disconnects");
		a->any.sa_family = AF_UNSPEC;
		return sizeof a->in;
	}
	detail(c, ", to nobody");
	a->un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "nobody"};
	return percent(80) ? sizeof a->un : sizeof(sa_family_t) + 6;
}

/* What the address is given as: mostly as it is. */
static const void *given(const union address *a, socklen_t *len, struct call *c)
{
	const char *what;

	if (on(C_badptr) && percent(8)) {
		const void *bad = bad_pointer(&what);

		detail(c, " at %s", what);
		return bad;
	}
	if (on(C_badlen) && percent(10)) {
		static const socklen_t odd[] = {0, 1, 2, 3, 8, 15, 129, 0x7fffffff, (socklen_t)-1};
		socklen_t all = *len;

		*len = ONE_OF(odd);
		detail(c, ", length %d", (int)*len);
		return constant(a, *len <= all ? *len : all);
	}
	return constant(a, *len);
}

/* Until it is known how it went. */
static void wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	say("  then %d, events %#x", poll(&p, 1, 1000), (unsigned)p.revents);
}

static int connecting_fd(void)
{
	int fd = some_fd(CONNECTS);

	return fd >= 0 && percent(85) ? fd : some_fd(SOCK);
}

static bool has_peer(int fd)
{
	union address a;
	socklen_t len = sizeof a;

	return !getpeername(fd, &a.any, &len);
}

void op_connect(void)
{
	struct call c = OTHER_CALL("connect", connecting_fd());
	union address a;
	socklen_t len = some_target(&a, &c);
	const void *at = given(&a, &len, &c);
	bool inner = percent(20);
	int saved;

	c.name = inner ? "__connect" : "connect";
	if (MAKE(&c, inner ? __connect(c.fd, at, len) : connect(c.fd, at, len))) {
		saved = errno;
		fact("try %s", identity(c.fd));
		if (saved == EINPROGRESS) {
			wait_for(c.fd);
			connection_fact(c.fd, true);
		}
		return;
	}
	if (!has_peer(c.fd)) { /* the family was AF_UNSPEC */
		fact("disconnected %s", identity(c.fd));
		return;
	}
	connection_fact(c.fd, true);
	slot_add(c.fd, IN | OUT | SOCK | STREAM | CONNECTS | (is_tcp(c.fd) ? TCP : 0), new_pair(),
		 0);
	settle();
}

/* To an address: a datagram, or a connection that begins with its first bytes (TCP Fast Open). */
void op_sendto(void)
{
	static const int flags[] = {0, MSG_NOSIGNAL, MSG_FASTOPEN, MSG_FASTOPEN | MSG_NOSIGNAL};
	struct call c = {.name = "sendto", .way = WRITES, .fd = some_fd(SOCK | LOOSE)};
	struct buf b = buffer_out(below(500));
	union address a;
	socklen_t len;
	const void *at;

	c.flags = ONE_OF(flags);
	c.len = (long long)b.len;
	detail(&c, ", good %zu, flags %#x", b.len, (unsigned)c.flags);
	len = some_target(&a, &c);
	at = given(&a, &len, &c);
	ready_out(c.fd, b.len);
	if (MAKE(&c, sendto(c.fd, b.at, b.len, c.flags, at, len)) < 0 && errno == EINPROGRESS)
		wait_for(c.fd);
	if (c.flags & MSG_FASTOPEN && is_tcp(c.fd)) {
		fact("try %s", identity(c.fd));
		connection_fact(c.fd, true);
		slot_add(c.fd, IN | OUT | SOCK | STREAM | CONNECTS | TCP, new_pair(), 0);
	}
}

void op_listen(void)
{
	struct call c = OTHER_CALL("listen", some_fd(SOCK | LOOSE));

	MAKE(&c, listen(c.fd, 8));
}

void op_shutdown(void)
{
	static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_WR, SHUT_RDWR, SHUT_RDWR, 7};
	struct call c = OTHER_CALL("shutdown", some_fd(SOCK));

	c.flags = ONE_OF(hows);
	detail(&c, ", %d", c.flags);
	MAKE(&c, shutdown(c.fd, c.flags));
	settle();
}

void op_option(void)
{
	static const int names[] = {SO_ERROR, SO_ERROR,	     SO_ERROR,
				    SO_TYPE,  SO_ACCEPTCONN, SO_SNDTIMEO};
	static const socklen_t rooms[] = {4, 4, 4, 2, 0, 8, 16, (socklen_t)-1};
	struct call c = OTHER_CALL("getsockopt", some_fd(SOCK));
	socklen_t room = ONE_OF(rooms), *len = block(sizeof *len);
	void *value = buffer_in(16).at, *at = value;
	const char *what = "good";

	*len = room;
	c.flags = ONE_OF(names);
	if (on(C_badptr) && percent(8))
		at = bad_pointer(&what);
	if (on(C_badptr) && percent(4))
		len = NULL;
	detail(&c, ", option %d, %s %d%s", c.flags, what, (int)room, len ? "" : ", no length");
	MAKE(&c, getsockopt(c.fd, percent(97) ? SOL_SOCKET : SOL_TCP, c.flags, at, len));
	say("  length %d, value %llx", len ? (int)*len : -1, (unsigned long long)hash(value, 16));
	fact("value %d", *(int *)value);
}

void op_linger(void)
{
	struct linger hard = {1, 0};
	struct timeval soon = {0, 1000};
	int fd = some_fd(SOCK), small = 4096;

	if (percent(40))
		say("linger %d: %d", fd, setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
	else if (slot_roles(fd) & TCP)
		return;
	else if (percent(50))
		say("small %d: %d", fd,
		    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
	else
		say("timeout %d: %d", fd,
		    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
}

/* A socket or pipe goes to a child by SCM_RIGHTS on a pair that is made for it; the child writes.
 */
static int passed_pair[2], passed_fd;

static void write_what_came(void)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	struct call c = {.name = "write", .way = WRITES, .len = 5};

	close(passed_fd);
	if (recvmsg(passed_pair[1], &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return;
	memcpy(&c.fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	detail(&c, ", good 5");
	ready_out(c.fd, 5);
	fact("passed");
	MAKE(&c, write(c.fd, "12345", 5));
}

void op_rights(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} u = {.room = {0}};
	struct iovec v = {"x", 1};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u};
	bool sent;

	passed_fd = good_fd(OUT);
	if (passed_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, passed_pair))
		return;
	u.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&u.head), &passed_fd, sizeof(int));
	sent = sendmsg(passed_pair[0], &m, 0) == 1;
	say("pass %d: %d", passed_fd, sent);
	if (sent)
		in_child(write_what_came);
	close(passed_pair[0]);
	close(passed_pair[1]);
}
