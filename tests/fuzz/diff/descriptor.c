/* SPDX-License-Identifier: MIT */
/* Numbers: copied, closed, closed twice, closed by the range, asked. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int __close(int fd);
extern int __dup2(int from, int to);

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
#endif

/* Where a copy goes: over another, to itself, to a number that is free, or to none. */
static int target(int from)
{
	unsigned which = below(10);

	if (which < 5)
		return good_fd(0);
	if (which < 6)
		return from;
	if (which < 9)
		return 60 + (int)below(20);
	return on(C_low) ? (int)below(3) : 70;
}

static int copied(struct call *c, unsigned which)
{
	static const char *const names[] = {"dup2",    "__dup2",       "dup3", "fcntl",
					    "fcntl64", "syscall-dup2", "dup"};
	int to = target(c->fd);

	c->name = names[which];
	detail(c, ", %d", to);
	switch (which) {
	case 0:
		return (int)MAKE(c, dup2(c->fd, to));
	case 1:
		return (int)MAKE(c, __dup2(c->fd, to));
	case 2:
		return (int)MAKE(c, dup3(c->fd, to, percent(50) ? O_CLOEXEC : 0));
	case 3:
		return (int)MAKE(c, fcntl(c->fd, F_DUPFD, to));
	case 4:
		return (int)MAKE(c, fcntl64(c->fd, F_DUPFD_CLOEXEC, to));
	case 5:
		return (int)MAKE(c, syscall(SYS_dup2, c->fd, to));
	default:
		return (int)MAKE(c, dup(c->fd));
	}
}

void op_dup(void)
{
	struct call c = OTHER_CALL("dup", some_fd(0));
	unsigned roles = slot_roles(c.fd);
	int fd = copied(&c, below(9) % 7);

	if (fd > 2 && roles)
		slot_add(fd, roles, new_pair(), 0);
}

/* How many numbers of this process are the same object. */
static unsigned numbers_of(int fd)
{
	char first[64];
	unsigned n = 0;

	snprintf(first, sizeof first, "%s", identity(fd));
	for (int i = 0; i < OWN_FDS; i++)
		n += !strcmp(first, identity(i));
	return n;
}

/* Unread bytes make a TCP close a reset: the judge is told how many there are, and whether this is
 * the last number of it. */
void close_fact(int fd)
{
	int saved = errno, unread = 0;
	unsigned numbers = 0;

	if (is_tcp(fd) && !ioctl(fd, FIONREAD, &unread) && unread > 0) {
		numbers = numbers_of(fd);
		fact("closing %d %d %u %s", getpid(), unread, numbers, identity(fd));
	}
	errno = saved;
}

void op_close(void)
{
	static const char *const names[] = {"close", "__close", "syscall-close"};
	struct call c = OTHER_CALL("close", some_fd(0));
	int times = percent(15) ? 2 : 1;
	unsigned which;

	if (c.fd >= 0 && c.fd < 3)
		return;
	while (times--) {
		close_fact(c.fd);
		which = below(3);
		c.name = names[which];
		MAKE(&c, !which	     ? close(c.fd)
			 : which < 2 ? __close(c.fd)
				     : syscall(SYS_close, c.fd));
	}
	settle();
}

void op_close_range(void)
{
	static const int flags[] = {0,
				    0,
				    CLOSE_RANGE_CLOEXEC,
				    CLOSE_RANGE_UNSHARE,
				    CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC,
				    8};
	unsigned first = on(C_low) && percent(10) ? 0 : 3 + below(12), last = first + below(6);
	struct call c = OTHER_CALL("close_range", -1);

	c.flags = ONE_OF(flags);
	if (percent(15))
		last = ~0u;
	else if (percent(10))
		last = first - 1 - below(2);
	if (percent(10)) {
		detail(&c, ", from %u", first + 20);
		c.name = "closefrom";
		MAKE(&c, (closefrom((int)first + 20), 0));
		return;
	}
	detail(&c, ", %u to %u, flags %#x", first, last, (unsigned)c.flags);
	MAKE(&c, close_range(first, last, c.flags));
	settle();
}

void op_fcntl(void)
{
	struct call c = OTHER_CALL("fcntl", some_fd(0));
	int flags = fcntl(c.fd, F_GETFL);

	switch (below(6)) {
	case 0:
		MAKE(&c, fcntl(c.fd, F_GETFD));
		return;
	case 1:
		MAKE(&c, fcntl(c.fd, F_SETFD, percent(50) ? FD_CLOEXEC : 0));
		return;
	case 2:
		if (c.fd > 2 && flags >= 0)
			MAKE(&c, fcntl(c.fd, F_SETFL, flags | O_NONBLOCK));
		return;
	case 3:
		if (c.fd > 2 && flags >= 0)
			MAKE(&c, fcntl(c.fd, F_SETFL, flags & ~O_NONBLOCK));
		return;
	case 4:
		MAKE(&c, fcntl(c.fd, F_GETPIPE_SZ));
		return;
	default:
		c.name = "fcntl64";
		MAKE(&c, fcntl64(c.fd, percent(50) ? 9999 : F_GETFL, 0));
	}
}

static struct pollfd all[SLOTS];
static unsigned polled;

static void add(int fd)
{
	all[polled++] = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};
}

void op_poll(void)
{
	char text[400] = "";
	size_t at = 0;
	int ready;

	polled = 0;
	each_slot(add);
	ready = poll(all, polled, 0);
	for (unsigned i = 0; i < polled; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, " %d:%#x", all[i].fd,
				       (unsigned)all[i].revents);
	say("poll: %d%s", ready, text);
}

static void watch(int epoll, int fd)
{
	static const unsigned events[] = {EPOLLIN,
					  EPOLLOUT,
					  EPOLLIN | EPOLLOUT | EPOLLRDHUP,
					  EPOLLET | EPOLLIN | EPOLLOUT,
					  EPOLLONESHOT | EPOLLIN | EPOLLOUT,
					  EPOLLEXCLUSIVE};
	struct epoll_event e = {.events = ONE_OF(events), .data.fd = fd};
	int how = percent(70) ? EPOLL_CTL_ADD : percent(50) ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
	int ret = epoll_ctl(epoll, how, fd, &e);

	say("epoll_ctl(%d, %d, %d, %#x) = %d %s", epoll, how, fd, e.events, ret,
	    ret ? error_name(errno) : "");
}

void op_epoll(void)
{
	struct epoll_event events[SLOTS];
	int epoll = good_fd(EPOLL), n, seen;

	if (epoll < 0)
		return;
	if (percent(60))
		watch(epoll, some_fd(0));
	n = epoll_wait(epoll, events, SLOTS, 0);
	say("epoll_wait(%d) = %d", epoll, n);
	for (int fd = 0; fd < OWN_FDS; fd++) {
		seen = 0;
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == fd && !seen++)
				say("  %d: %#x", fd, events[i].events);
	}
}
