/* SPDX-License-Identifier: MIT */
/* Everything that writes: what it is given, bytes, vectors, messages, other descriptors. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

static int some_flags(const struct how *how)
{
	static const int sends[] = {0,
				    0,
				    0,
				    MSG_NOSIGNAL,
				    MSG_NOSIGNAL,
				    MSG_DONTWAIT,
				    MSG_EOR,
				    MSG_NOSIGNAL | MSG_DONTWAIT,
				    MSG_OOB,
				    MSG_CONFIRM,
				    1 << 24};
	static const int writes[] = {0,		 0,	    0,	       RWF_NOSIGNAL,
				     RWF_NOWAIT, RWF_DSYNC, RWF_HIPRI, 1 << 20};
	static const int splices[] = {0, SPLICE_F_NONBLOCK, SPLICE_F_NONBLOCK, SPLICE_F_MORE, 64};

	switch (how->flags) {
	case SEND_FLAGS:
		return ONE_OF(sends);
	case RWF_FLAGS:
		return ONE_OF(writes);
	case SPLICE_FLAGS:
		return ONE_OF(splices);
	default:
		return 0;
	}
}

static size_t odd_length(void)
{
	static const size_t odd[] = {SIZE_MAX, SIZE_MAX - 4095, SSIZE_MAX, 0x7ffff000, 1 << 20};

	return ONE_OF(odd);
}

/* BIG: more than there is may be asked for, which goes on until the memory ends. */
static struct buf some_buffer(size_t len, bool big)
{
	struct buf b;

	if (on(C_badptr) && percent(6))
		b = bad_buffer(len);
	else
		b = buffer_out(len);
	if (on(C_badlen) && big && percent(3))
		b.len = odd_length();
	return b;
}

static struct buf some_text(size_t len)
{
	struct buf b = buffer_out(len > 60000 ? 60000 : len);
	char *text = block(b.len + 1);

	for (size_t i = 0; i < b.len; i++)
		text[i] = (char)('a' + i % 26);
	text[b.len] = 0;
	b.at = text;
	return b;
}

/* Data beside the data: descriptors that travel, or something that is no control data. */
static void add_control(struct msghdr *m, char *text, size_t room)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} u = {.room = {0}};
	int fd = percent(80) ? good_fd(IN) : 77;

	u.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd),
				  .cmsg_level = percent(90) ? SOL_SOCKET : SOL_IP,
				  .cmsg_type = percent(90) ? SCM_RIGHTS : 7};
	memcpy(CMSG_DATA(&u.head), &fd, sizeof fd);
	m->msg_control = (void *)(uintptr_t)constant(&u, sizeof u);
	m->msg_controllen = percent(90) ? sizeof u : below(2 * sizeof u);
	snprintf(text, room, ", control %zu of fd %d", (size_t)m->msg_controllen, fd);
}

static void add_name(struct msghdr *m, char *text, size_t room)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "nobody"};
	const char *what = "nobody";

	m->msg_name = (void *)(uintptr_t)constant(&un, sizeof un);
	m->msg_namelen = percent(80) ? sizeof un : below(200);
	if (on(C_badptr) && percent(20))
		m->msg_name = bad_pointer(&what);
	snprintf(text, room, ", name %s %u", what, (unsigned)m->msg_namelen);
}

static void add_more(struct msghdr *m, char *text, size_t room)
{
	text[0] = 0;
	if (on(C_rights) && percent(12))
		add_control(m, text, room);
	else if (percent(6))
		add_name(m, text, room);
}

const struct msghdr *message_out(struct vec *v, char *text, size_t room)
{
	struct msghdr m = {0};
	const char *what;

	*v = vector(false);
	if (on(C_badptr) && percent(4)) {
		const void *bad = bad_pointer(&what);

		snprintf(text, room, ", message %s", what);
		v->bytes = -1;
		return bad;
	}
	m.msg_iov = (struct iovec *)(uintptr_t)v->at;
	m.msg_iovlen = v->n < 0 ? (size_t)v->n : (size_t)v->n;
	add_more(&m, text, room);
	return constant(&m, sizeof m);
}

static struct call call_of(const struct how *how, const struct request *r, const char *more)
{
	struct call c = {.name = how->name, .way = WRITES, .fd = r->fd, .flags = r->flags};

	if (how->needs == NEEDS_BUF || how->needs == NEEDS_TEXT) {
		c.len = (long long)r->b.len;
		detail(&c, ", %s %lld", r->b.what, c.len);
	} else {
		c.len = r->v.bytes;
		detail(&c, ", %s", r->v.text);
	}
	if (r->flags)
		detail(&c, ", flags %#x", (unsigned)r->flags);
	detail(&c, "%s", more);
	return c;
}

static char more_text[64];

struct request ask(const struct how *how, int fd, size_t len)
{
	struct request r = {.fd = fd, .flags = some_flags(how)};

	more_text[0] = 0;
	/* Urgent data makes poll(2) and recv(2) disagree; what is big comes in parts by chance. */
	if (slot_roles(fd) & STREAM && how->flags == SEND_FLAGS)
		r.flags &= ~MSG_OOB;
	if (slot_roles(fd) & TCP && len > 20000)
		len = 20000;
	if (slot_roles(fd) & TTY && len > 500)
		len = 500;
	if (how->flags == SPLICE_FLAGS && !is_broken(fd)) /* O_NONBLOCK means nothing to it */
		r.flags |= SPLICE_F_NONBLOCK;
	if (how->needs == NEEDS_BUF)
		r.b = some_buffer(len, !(slot_roles(fd) & (TCP | TTY)));
	else if (how->needs == NEEDS_TEXT)
		r.b = some_text(len);
	else if (how->needs == NEEDS_VEC)
		r.v = vector(false);
	else
		r.m = message_out(&r.v, more_text, sizeof more_text);
	return r;
}

long perform(const struct how *how, const struct request *r)
{
	struct call c = call_of(how, r, more_text);

	return MAKE(&c, how->make(r));
}

/* A way, and what it is asked; the descriptor will not block. */
struct request some_request(const struct how **how, unsigned roles)
{
	int fd;
	struct request r;
	long long len;

	*how = some_how();
	fd = some_fd(OUT | roles | ((*how)->sockets && percent(85) ? SOCK : 0));
	if (slot_roles(fd) & TTY && (*how)->needs == NEEDS_VEC)
		*how = the_plainest_how();
	r = ask(*how, fd, some_length(true));
	len = r.v.text[0] ? r.v.bytes : (long long)r.b.len;
	ready_out(fd, len < 0 ? SIZE_MAX : (size_t)len);
	return r;
}

void op_write(void)
{
	const struct how *how;
	struct request r = some_request(&how, 0);

	perform(how, &r);
}

/* ---- several messages ---- */

enum { MESSAGES = 5 };

static long long fill(struct mmsghdr *all, unsigned n)
{
	long long bytes = 0;
	char text[64];

	for (unsigned i = 0; i < n; i++) {
		struct vec v;
		struct msghdr m = {0};

		v = vector(false);
		m.msg_iov = (struct iovec *)(uintptr_t)v.at;
		m.msg_iovlen = (size_t)v.n;
		add_more(&m, text, sizeof text);
		all[i].msg_hdr = m;
		all[i].msg_len = 0xabcd;
		bytes = v.bytes < 0 || bytes < 0 ? -1 : bytes + v.bytes;
		if (!i) /* which is the one that breaks, if the call does */
			fact("first %lld", v.bytes);
	}
	return bytes;
}

static void say_lengths(const struct mmsghdr *all, unsigned n)
{
	char text[100] = "";
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, " %#x", all[i].msg_len);
	say("  lengths%s", text);
}

/* The messages' bytes that were taken: for the judge, who counts what was sent. */
static void sent_fact(const struct mmsghdr *all, long n)
{
	unsigned long bytes = 0;

	for (long i = 0; i < n; i++)
		bytes += all[i].msg_len;
	fact("bytes %lu", bytes);
}

void op_sendmmsg(void)
{
	static const int flags[] = {0, 0, MSG_NOSIGNAL, MSG_DONTWAIT};
	struct call c = {.name = "sendmmsg", .way = WRITES, .fd = some_fd(OUT | SOCK)};
	unsigned n = below(MESSAGES);
	struct mmsghdr *all = block(n * sizeof *all);
	bool raw = on(C_raw) && percent(20);
	const char *what;
	long ret;

	c.flags = ONE_OF(flags);
	c.len = fill(all, n);
	if (on(C_badptr) && percent(5)) {
		void *bad = bad_pointer(&what);

		detail(&c, ", %s", what);
		c.len = -1;
		MAKE(&c, sendmmsg(c.fd, bad, n, c.flags));
		return;
	}
	ready_out(c.fd, SIZE_MAX);
	if (raw)
		c.name = "syscall-sendmmsg";
	detail(&c, ", %u messages, flags %#x", n, (unsigned)c.flags);
	ret = MAKE(&c, raw ? syscall(SYS_sendmmsg, c.fd, all, n, c.flags)
			   : sendmmsg(c.fd, all, n, c.flags));
	say_lengths(all, n);
	sent_fact(all, ret);
}

/* ---- between descriptors ---- */

/* Where to read from, or a null pointer, or a bad one. */
static off_t *some_offset(struct call *c, const char *name)
{
	off_t *at;
	const char *what;

	if (percent(60))
		return NULL;
	if (on(C_badptr) && percent(10)) {
		at = bad_pointer(&what);
		detail(c, ", %s %s", name, what);
		return at;
	}
	at = block(sizeof *at);
	*at = percent(80) ? (off_t)below(5000) : percent(50) ? -1 : (off_t)1 << 62;
	detail(c, ", %s %lld", name, (long long)*at);
	return at;
}

static void say_offset(const off_t *at, const char *name)
{
	off_t value = 0;
	struct iovec mine = {&value, sizeof value}, theirs = {(void *)(uintptr_t)at, sizeof value};

	if (at && process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0) > 0)
		say("  %s is %lld", name, (long long)value);
}

static size_t copy_length(int in, int out)
{
	size_t len = on(C_badlen) && percent(5) ? odd_length() : some_length(true);

	if ((slot_roles(in) | slot_roles(out)) & TCP && len > 20000)
		len = 20000;
	if ((slot_roles(in) | slot_roles(out)) & TTY && len > 500)
		len = 500;
	return len;
}

void op_sendfile(void)
{
	int out = some_fd(OUT), in = some_fd(percent(80) ? FILED : IN);
	struct call c = {.name = "sendfile", .way = WRITES, .fd = out};
	size_t len = copy_length(in, out);
	off_t *at = some_offset(&c, "from");
	unsigned which = on(C_raw) ? below(5) : 1 + below(4);

	c.len = (long long)len;
	ready_out(out, SIZE_MAX);
	ready_in(in, false);
	c.name = !which ? "syscall-sendfile" : which < 3 ? "sendfile" : "sendfile64";
	detail(&c, ", in %d, %zu", in, len);
	MAKE(&c, !which	     ? syscall(SYS_sendfile, out, in, at, len)
		 : which < 3 ? sendfile(out, in, at, len)
			     : sendfile64(out, in, at, len));
	say_offset(at, "from");
}

static const unsigned splice_flags[] = {SPLICE_F_NONBLOCK, 0, SPLICE_F_NONBLOCK | SPLICE_F_MOVE,
					128};

void op_splice(void)
{
	bool to_pipe = percent(50);
	int in = some_fd(to_pipe ? IN : IN | PIPE), out = some_fd(to_pipe ? OUT | PIPE : OUT);
	struct call c = {.name = "splice", .way = WRITES, .fd = out};
	size_t len = copy_length(in, out);
	off_t *from = some_offset(&c, "from"), *to = some_offset(&c, "to");
	unsigned flags = ONE_OF(splice_flags);
	bool raw = on(C_raw) && percent(20);

	c.len = (long long)len;
	ready_out(out, SIZE_MAX);
	ready_in(in, false);
	if (raw)
		c.name = "syscall-splice";
	detail(&c, ", in %d, %zu, %#x", in, len, flags);
	MAKE(&c, raw ? syscall(SYS_splice, in, from, out, to, len, flags)
		     : splice(in, from, out, to, len, flags));
	say_offset(from, "from");
	say_offset(to, "to");
}

void op_tee(void)
{
	int in = some_fd(IN | PIPE), out = some_fd(OUT | PIPE);
	struct call c = {.name = "tee", .way = WRITES, .fd = out};
	size_t len = copy_length(in, out);
	unsigned flags = ONE_OF(splice_flags);

	c.len = (long long)len;
	ready_out(out, SIZE_MAX);
	ready_in(in, false);
	detail(&c, ", in %d, %zu, %#x", in, len, flags);
	MAKE(&c, tee(in, out, len, flags));
}

void op_copy_range(void)
{
	int in = some_fd(percent(80) ? FILED : IN), out = some_fd(percent(80) ? FILED | OUT : OUT);
	struct call c = {.name = "copy_file_range", .way = WRITES, .fd = out};
	size_t len = some_length(true);
	off_t *from = some_offset(&c, "from"), *to = some_offset(&c, "to");

	c.len = (long long)len;
	ready_out(out, SIZE_MAX);
	ready_in(in, false);
	detail(&c, ", in %d, %zu", in, len);
	MAKE(&c, copy_file_range(in, from, out, to, len, percent(95) ? 0 : 1));
	say_offset(from, "from");
	say_offset(to, "to");
}
