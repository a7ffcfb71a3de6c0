/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

void detail(struct call *c, const char *format, ...)
{
	size_t at = strlen(c->detail);
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->detail + at, sizeof c->detail - at, format, ap);
	va_end(ap);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

static const char *socket_kind(int fd)
{
	static const char *const unixes[] = {"?", "unix-stream", "unix-dgram",
					     "?", "?",		 "unix-seqpacket"};
	int type = option(fd, SO_TYPE), domain = option(fd, SO_DOMAIN);

	if (domain == AF_UNIX && type > 0 && type < 6)
		return unixes[type];
	if (domain == AF_INET || domain == AF_INET6)
		return type == SOCK_STREAM ? "tcp" : "udp";
	return "socket";
}

static const char *kind_of(int fd, mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return socket_kind(fd);
	case S_IFCHR:
		return isatty(fd) ? "tty" : "device";
	case 0:
		return "anon";
	default:
		return "file";
	}
}

const char *identity(int fd)
{
	static __thread char text[64];
	int saved = errno;
	struct stat st;

	if (fstat(fd, &st))
		snprintf(text, sizeof text, "-");
	else
		snprintf(text, sizeof text, "%lx:%lu %s", (unsigned long)st.st_dev,
			 (unsigned long)st.st_ino, kind_of(fd, st.st_mode));
	errno = saved;
	return text;
}

bool is_tcp(int fd)
{
	return !strcmp(socket_kind(fd), "tcp");
}

static const char way_letters[] = {'w', 'r', 'o'};

void call_begin(struct call *c)
{
	c->blocked = pipe_blocked();
	c->pending = pipe_pending();
	c->caught = caught;
	fact("> %d %d %c %s %d %lld %x %s", getpid(), gettid(), way_letters[c->way], c->name, c->fd,
	     c->len, (unsigned)c->flags, identity(c->fd));
	errno = ERRNO_BEFORE;
}

/* Bytes that wait on a socket whose write broke; -1: not asked. */
static int unread(const struct call *c, long ret, int err)
{
	int queued = -1;

	if (ret >= 0 || err != EPIPE || option(c->fd, SO_TYPE) < 0 ||
	    ioctl(c->fd, FIONREAD, &queued))
		return -1;
	return queued;
}

/* The state of SIGPIPE is asked for after the call: a handler may have changed it, as programs'
 * do. */
long call_end(struct call *c, long ret)
{
	int err = errno;
	unsigned ran = caught - c->caught;
	bool pending = pipe_pending();

	if (c->way == WRITES && ret > 0 && slot_roles(c->fd) & TTY)
		settle();
	count_use(c->name);
	say("%s(%d%s) = %ld %s", c->name, c->fd, c->detail, ret, error_name(err));
	if (ran || pending != c->pending)
		say("  SIGPIPE: %u times caught, pending %d -> %d", ran, c->pending, pending);
	fact("< %d %d %ld %s %u %d %d %d %s %d", getpid(), gettid(), ret, error_name(err), ran,
	     c->blocked, c->pending, pending, disposition(), unread(c, ret, err));
	errno = err;
	return ret;
}
