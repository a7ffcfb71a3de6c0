/* SPDX-License-Identifier: MIT */
/* The table of descriptors that steps pick from. Numbers stay in it when they are closed. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_LOG_FD = 900 };

static struct slot {
	int fd;
	unsigned roles, pair, end;
} slots[SLOTS];
static unsigned filled, pairs;

unsigned new_pair(void)
{
	return ++pairs;
}

void slot_add(int fd, unsigned roles, unsigned pair, unsigned end)
{
	unsigned i = 0;

	if (fd < 0 || fd >= OWN_FDS)
		return;
	while (i < filled && slots[i].fd != fd)
		i++;
	if (i == SLOTS) {
		close(fd);
		return;
	}
	if (i == filled)
		filled++;
	slots[i] = (struct slot){fd, roles, pair, end};
	say("  fd %d: roles %#x, pair %u, end %u", fd, roles, pair, end);
}

static const struct slot *slot_of(int fd)
{
	for (unsigned i = 0; i < filled; i++)
		if (slots[i].fd == fd)
			return &slots[i];
	return NULL;
}

unsigned slot_roles(int fd)
{
	const struct slot *s = slot_of(fd);

	return s ? s->roles : 0;
}

int good_fd(unsigned roles)
{
	unsigned matching[SLOTS], n = 0;

	for (unsigned i = 0; i < filled; i++)
		if ((slots[i].roles & roles) == roles)
			matching[n++] = i;
	return n ? slots[matching[below(n)]].fd : -1;
}

int some_fd(unsigned roles)
{
	static const int bad[] = {-1, 77, 1000000, INT_MIN, INT_MAX, AT_FDCWD, 120};

	if (on(C_badfd) && percent(3))
		return ONE_OF(bad);
	if (percent(8))
		return good_fd(0);
	return good_fd(roles);
}

int other_end(int fd)
{
	const struct slot *s = slot_of(fd);

	for (unsigned i = 0; s && i < filled; i++)
		if (slots[i].pair == s->pair && slots[i].end != s->end)
			return slots[i].fd;
	return -1;
}

void each_slot(void (*visit)(int fd))
{
	for (unsigned i = 0; i < filled; i++)
		visit(slots[i].fd);
}

/* ---- nothing blocks for ever ---- */

static bool told(int fd, short wanted)
{
	struct pollfd p = {.fd = fd, .events = wanted};

	return poll(&p, 1, 0) == 1 && p.revents;
}

bool is_broken(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

static bool waits(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & (O_NONBLOCK | O_PATH));
}

static bool unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	say("  made non-blocking: %d", fd);
	return !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static bool has_room(int fd, size_t len)
{
	struct stat st;
	int queued = 0;

	if (fstat(fd, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return true;
	if (told(fd, 0)) /* an error or a hang-up: it returns at once */
		return true;
	if (!told(fd, POLLOUT))
		return false;
	if (!S_ISFIFO(st.st_mode))
		return len <= 2000;
	if (len <= PIPE_BUF)
		return true;
	return !ioctl(fd, FIONREAD, &queued) && !queued && len <= 32768;
}

bool ready_out(int fd, size_t len)
{
	int saved = errno;
	bool ready = !waits(fd) || has_room(fd, len) || unblock(fd);

	errno = saved;
	return ready;
}

/* Where poll(2) tells of an end that recv(2) waits for. */
static bool is_datagrams(int fd)
{
	int type = SOCK_STREAM;
	socklen_t len = sizeof type;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return type == SOCK_DGRAM;
}

bool ready_in(int fd, bool whole)
{
	int saved = errno;
	struct stat st;
	bool ready = !waits(fd) || (!whole && !is_datagrams(fd) && told(fd, POLLIN | POLLRDHUP)) ||
		     (!fstat(fd, &st) && S_ISREG(st.st_mode)) || unblock(fd);

	errno = saved;
	return ready;
}

/* What is written to a terminal gets there by a worker of the kernel's. */
static void settle_terminal(int fd)
{
	int before = -1, now = 0;

	for (int i = 0, same = 0; i < 50 && same < 3; i++) {
		if (ioctl(fd, FIONREAD, &now))
			return;
		same = now == before ? same + 1 : 0;
		before = now;
		usleep(200);
	}
}

static void settle_one(int fd)
{
	if (slot_roles(fd) & TTY)
		settle_terminal(fd);
}

void settle(void)
{
	int saved = errno;

	each_slot(settle_one);
	errno = saved;
}

/* ---- the end: what there is, asked past the library's calls ---- */

static const char *type_of(mode_t mode)
{
	return S_ISFIFO(mode)	? "pipe"
	       : S_ISSOCK(mode) ? "socket"
	       : S_ISCHR(mode)	? "device"
	       : S_ISREG(mode)	? "file"
	       : S_ISDIR(mode)	? "folder"
				: "other";
}

static void say_socket(int fd)
{
	int names[] = {SO_TYPE, SO_ERROR, SO_ACCEPTCONN}, value[3] = {-1, -1, -1};
	struct sockaddr_storage a;
	socklen_t len;
	int name, peer;

	for (int i = 0; i < 3; i++) {
		len = sizeof value[i];
		syscall(SYS_getsockopt, fd, SOL_SOCKET, names[i], &value[i], &len);
	}
	len = sizeof a;
	name = getsockname(fd, (struct sockaddr *)&a, &len) ? -errno : a.ss_family;
	len = sizeof a;
	peer = getpeername(fd, (struct sockaddr *)&a, &len) ? -errno : a.ss_family;
	say("  type %d, error %d, listens %d, name %d, peer %d", value[0], value[1], value[2], name,
	    peer);
}

/* However it comes in parts. */
static void say_rest(int fd)
{
	static unsigned char part[1 << 16];
	uint64_t h = 0;
	size_t all = 0;
	ssize_t got = 0;

	for (int i = 0; i < 1000 && (got = syscall(SYS_read, fd, part, sizeof part)) > 0; i++)
		for (ssize_t at = 0; at < got; at++, all++)
			h = h * 31 + part[at];
	say("  rest %zu, hash %llx, then %zd %s", all, (unsigned long long)h, got < 0 ? got : 0,
	    got < 0 ? error_name(errno) : "");
}

static unsigned revents_of(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};

	return poll(&p, 1, 0) < 0 ? 0x10000 : (unsigned)p.revents;
}

static bool readable(int fd, const struct stat *st)
{
	int flags = fcntl(fd, F_GETFL);

	return (flags & O_ACCMODE) != O_WRONLY && !(flags & O_PATH) &&
	       (S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || S_ISREG(st->st_mode));
}

static void say_descriptor(int fd)
{
	struct stat st;
	int queued = -1;

	if (fstat(fd, &st))
		return;
	if (fd > 2) /* standard error is a file that grows */
		ioctl(fd, FIONREAD, &queued);
	say("fd %d: %s, flags %#x, descriptor %d, events %#x, queued %d", fd, type_of(st.st_mode),
	    (unsigned)fcntl(fd, F_GETFL), fcntl(fd, F_GETFD), revents_of(fd), queued);
	if (S_ISSOCK(st.st_mode))
		say_socket(fd);
}

/* Files are read from the start, all else to its end; nobody waits. */
static void drain(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !readable(fd, &st))
		return;
	if (S_ISREG(st.st_mode))
		say("  at %lld", (long long)lseek(fd, 0, SEEK_CUR)), lseek(fd, 0, SEEK_SET);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	say("fd %d:", fd);
	say_rest(fd);
}

/* Numbers that the program never used: a guest's would be above them all, or nowhere. */
static unsigned strangers(void)
{
	unsigned n = 0;

	for (int fd = OWN_FDS; fd < FIRST_LOG_FD; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

void census(void)
{
	settle();
	say("children %d, other numbers %u", waitpid(-1, NULL, WNOHANG), strangers());
	for (int fd = 0; fd < OWN_FDS; fd++)
		say_descriptor(fd);
	for (int fd = 3; fd < OWN_FDS; fd++)
		drain(fd);
	say_signals();
}
