/* SPDX-License-Identifier: MIT */
/* Everything that reads: what came, what was left as it was, what the flags say. */
#include "diff.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

extern ssize_t __read(int fd, void *buf, size_t len);
extern ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
extern ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
extern ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
			      struct sockaddr *from, socklen_t *from_len);

static const int recv_flags[] = {0,
				 0,
				 0,
				 MSG_PEEK,
				 MSG_TRUNC,
				 MSG_PEEK | MSG_TRUNC,
				 MSG_DONTWAIT,
				 MSG_WAITALL,
				 MSG_ERRQUEUE,
				 MSG_ERRQUEUE | MSG_DONTWAIT,
				 MSG_OOB,
				 MSG_CMSG_CLOEXEC,
				 MSG_WAITFORONE,
				 1 << 25};

static struct buf some_room(size_t len)
{
	struct buf b;

	if (on(C_badptr) && percent(8))
		b = bad_buffer(len);
	else
		b = buffer_in(len);
	if (on(C_badlen) && percent(3))
		b.len = percent(50) ? SIZE_MAX : SSIZE_MAX;
	return b;
}

static void say_buffer(const struct buf *b, size_t room)
{
	if (!strcmp(b->what, "good"))
		say("  hash %llx", (unsigned long long)hash(b->at, room));
}

static bool is_out_of_band(int fd, int flags)
{
	return flags & MSG_OOB && slot_roles(fd) & TCP;
}

void op_read(void)
{
	static const char *const names[] = {"read",	  "read",	 "read",   "read",
					    "read",	  "read",	 "__read", "__read",
					    "__read_chk", "syscall-read"};
	struct call c = {.way = READS, .fd = some_fd(IN)};
	size_t room = some_length(true);
	struct buf b = some_room(room);
	unsigned which = below(10);

	c.len = (long long)b.len;
	ready_in(c.fd, false);
	detail(&c, ", %s %zu", b.what, b.len);
	c.name = names[which];
	MAKE(&c, which < 6   ? read(c.fd, b.at, b.len)
		 : which < 8 ? __read(c.fd, b.at, b.len)
		 : which < 9 ? __read_chk(c.fd, b.at, b.len, SIZE_MAX)
			     : syscall(SYS_read, c.fd, b.at, b.len));
	say_buffer(&b, room);
}

void op_readv(void)
{
	struct call c = {.name = "readv", .way = READS, .fd = some_fd(IN)};
	struct vec v = vector(true);

	c.len = v.bytes;
	ready_in(c.fd, false);
	detail(&c, ", %s", v.text);
	MAKE(&c, readv(c.fd, v.at, v.n));
	say("  hash %llx", (unsigned long long)vector_hash(&v));
}

/* Of an address: its family, and whether what lies behind it was left alone. */
static void say_address(const void *at, size_t room, socklen_t len)
{
	const unsigned char *p = at;
	sa_family_t family = 0;
	size_t kept = len < room ? len : room;

	if (kept >= sizeof family)
		memcpy(&family, at, sizeof family);
	if (family == AF_INET || family == AF_INET6) /* ports are the kernel's choice */
		say("  family %d, length %u, behind %llx", family, len,
		    (unsigned long long)hash(p + kept, room - kept));
	else
		say("  length %u, address %llx", len, (unsigned long long)hash(p, room));
}

struct address {
	void *at;
	socklen_t *len;
	size_t room;
};

/* Room for an address of any size, or a bad pointer, or none. */
static struct address some_address(struct call *c)
{
	static const unsigned rooms[] = {0, 1, 2, 7, 8, 16, 28, 110, 128};
	struct address a = {.room = ONE_OF(rooms)};
	const char *what = "null", *len_what = "good";

	if (percent(40)) {
		a.room = 0;
	} else {
		a.at = buffer_in(a.room).at;
		what = "good";
	}
	a.len = block(sizeof *a.len);
	*a.len = (socklen_t)a.room;
	if (on(C_badptr) && percent(10)) {
		a.at = bad_pointer(&what);
		a.room = 0;
	}
	if (percent(10) || (!a.at && percent(60))) {
		a.len = NULL;
		len_what = "null";
	} else if (on(C_badlen) && percent(6)) {
		*a.len = percent(50) ? (socklen_t)-1 : 0x7fffffff;
		a.room = 0;
	}
	detail(c, ", address %s %zu, length %s", what, a.room, len_what);
	return a;
}

static void say_some_address(const struct address *a)
{
	if (a->at && a->len && a->room)
		say_address(a->at, a->room, *a->len);
	else if (a->len)
		say("  length %u", *a->len);
}

static long receive(const struct call *c, unsigned which, const struct buf *b,
		    const struct address *a)
{
	switch (which) {
	case 0:
	case 1:
		return recv(c->fd, b->at, b->len, c->flags);
	case 2:
		return __recv_chk(c->fd, b->at, b->len, SIZE_MAX, c->flags);
	case 3:
	case 4:
		return recvfrom(c->fd, b->at, b->len, c->flags, a->at, a->len);
	case 5:
		return __recvfrom_chk(c->fd, b->at, b->len, SIZE_MAX, c->flags, a->at, a->len);
	default:
		return syscall(SYS_recvfrom, c->fd, b->at, b->len, c->flags, a->at, a->len);
	}
}

static void get_ready(const struct call *c)
{
	if (!(c->flags & MSG_DONTWAIT))
		ready_in(c->fd, c->flags & MSG_WAITALL);
}

void op_recv(void)
{
	struct call c = {.name = "recv", .way = READS, .fd = some_fd(IN | SOCK)};
	static const char *const names[] = {
		"recv",	    "recv",	      "__recv_chk",	 "recvfrom",
		"recvfrom", "__recvfrom_chk", "syscall-recvfrom"};
	size_t room = some_length(true);
	struct buf b = some_room(room);
	unsigned which = below(7);
	struct address a;

	c.len = (long long)b.len;
	c.flags = ONE_OF(recv_flags);
	if (is_out_of_band(c.fd, c.flags))
		c.flags = 0;
	get_ready(&c);
	detail(&c, ", %s %zu, flags %#x", b.what, b.len, (unsigned)c.flags);
	a = some_address(&c);
	c.name = names[which];
	MAKE(&c, receive(&c, which, &b, &a));
	say_buffer(&b, room);
	say_some_address(&a);
}

/* ---- messages ---- */

/* Descriptors that came are new slots; what else came is told by its size. */
static void take_rights(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int fd[8];
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		say("  control: level %d, type %d, length %zu", c->cmsg_level, c->cmsg_type,
		    (size_t)c->cmsg_len);
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > 8)
			continue;
		memcpy(fd, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			slot_add(fd[i], IN, new_pair(), 0);
	}
}

static void say_message(struct msghdr *m, const struct vec *v, long ret)
{
	say("  name %u, control %zu, flags %#x, hash %llx", (unsigned)m->msg_namelen,
	    (size_t)m->msg_controllen, (unsigned)m->msg_flags, (unsigned long long)vector_hash(v));
	if (ret >= 0 && m->msg_control && m->msg_controllen)
		take_rights(m);
}

static struct msghdr message_in(struct vec *v, struct call *c)
{
	static const unsigned rooms[] = {0, 1, 16, 20, 24, 64, 200};
	struct msghdr m = {0};
	const char *what;

	*v = vector(true);
	m.msg_iov = (struct iovec *)(uintptr_t)v->at;
	m.msg_iovlen = (size_t)v->n;
	m.msg_flags = 0x5a5a;
	if (percent(60)) {
		m.msg_controllen = ONE_OF(rooms);
		m.msg_control = memset(block(m.msg_controllen), 0, m.msg_controllen);
	}
	if (percent(40)) {
		m.msg_namelen = ONE_OF(rooms);
		m.msg_name = memset(block(m.msg_namelen), 0, m.msg_namelen);
	}
	if (on(C_badptr) && percent(4)) {
		m.msg_name = bad_pointer(&what);
		m.msg_namelen = 16;
		detail(c, ", name %s", what);
	}
	return m;
}

void op_recvmsg(void)
{
	struct call c = {.name = "recvmsg", .way = READS, .fd = some_fd(IN | SOCK), .len = -1};
	struct msghdr *m = block(sizeof *m);
	const char *what;
	struct vec v;
	bool raw = on(C_raw) && percent(15);
	long ret;

	c.flags = ONE_OF(recv_flags);
	if (is_out_of_band(c.fd, c.flags))
		c.flags = 0;
	get_ready(&c);
	if (on(C_badptr) && percent(4)) {
		m = bad_pointer(&what);
		detail(&c, ", message %s", what);
		MAKE(&c, recvmsg(c.fd, m, c.flags));
		return;
	}
	*m = message_in(&v, &c);
	c.len = v.bytes;
	detail(&c, ", %s, flags %#x", v.text, (unsigned)c.flags);
	if (raw)
		c.name = "syscall-recvmsg";
	ret = MAKE(&c, raw ? syscall(SYS_recvmsg, c.fd, m, c.flags) : recvmsg(c.fd, m, c.flags));
	say_message(m, &v, ret);
}

void op_recvmmsg(void)
{
	struct call c = {.name = "recvmmsg", .way = READS, .fd = some_fd(IN | SOCK), .len = -1};
	struct mmsghdr *all = block(4 * sizeof *all);
	struct timespec *wait = NULL;
	struct vec v[4];
	unsigned n = below(5);
	long ret;

	c.flags = ONE_OF(recv_flags) & ~MSG_OOB;
	ready_in(c.fd, true);
	for (unsigned i = 0; i < 4; i++)
		all[i] = (struct mmsghdr){message_in(&v[i], &c), 0xabcd};
	if (percent(20)) {
		wait = block(sizeof *wait);
		*wait = (struct timespec){0, percent(70) ? 1000 : -1};
	}
	detail(&c, ", %u messages, flags %#x, wait %s", n, (unsigned)c.flags, wait ? "yes" : "no");
	ret = MAKE(&c, recvmmsg(c.fd, all, n, c.flags, wait));
	for (unsigned i = 0; i < 4; i++) {
		say("  message %u: %#x", i, all[i].msg_len);
		say_message(&all[i].msg_hdr, &v[i], i < ret ? 0 : -1);
	}
}

/* ---- names: the same lengths and pointers ---- */

void op_names(void)
{
	bool peer = percent(50);
	struct call c = OTHER_CALL(peer ? "getpeername" : "getsockname", some_fd(SOCK));
	struct address a = some_address(&c);

	MAKE(&c, peer ? getpeername(c.fd, a.at, a.len) : getsockname(c.fd, a.at, a.len));
	say_some_address(&a);
}

void op_accept(void)
{
	static const int flags[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, 1};
	struct call c = OTHER_CALL("accept", some_fd(SOCK | (percent(90) ? LISTENS : 0)));
	struct address a = some_address(&c);
	int flag = ONE_OF(flags), fd;
	bool four = flag || percent(50);

	ready_in(c.fd, false);
	detail(&c, ", flags %#x", (unsigned)flag);
	c.name = four ? "accept4" : "accept";
	fd = (int)MAKE(&c, four ? accept4(c.fd, a.at, a.len, flag) : accept(c.fd, a.at, a.len));
	if (fd >= 0) {
		connection_fact(fd, false);
		slot_add(fd, IN | OUT | SOCK | STREAM | (is_tcp(fd) ? TCP : 0), new_pair(), 0);
	}
	say_some_address(&a);
}
