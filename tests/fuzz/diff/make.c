/* SPDX-License-Identifier: MIT */
/* The objects there are: pipes, pairs, connections, files, terminals. */
#include "diff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

extern int __pipe(int fd[2]);

void make_pipe(void)
{
	static const int flags[] = {0, 0, O_CLOEXEC, O_NONBLOCK, O_NONBLOCK | O_CLOEXEC, O_DIRECT};
	struct call c = OTHER_CALL("pipe", -1);
	int fd[2] = {-1, -1}, flag = ONE_OF(flags);
	bool inner = percent(20);
	unsigned pair = new_pair();

	if (!on(C_pipe))
		return;
	c.name = flag ? "pipe2" : inner ? "__pipe" : "pipe";
	detail(&c, ", %#x", (unsigned)flag);
	if (MAKE(&c, flag ? pipe2(fd, flag) : inner ? __pipe(fd) : pipe(fd)))
		return;
	slot_add(fd[0], IN | PIPE, pair, 0);
	slot_add(fd[1], OUT | PIPE, pair, 1);
}

void make_pair(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	static const int flags[] = {0, 0, SOCK_NONBLOCK, SOCK_CLOEXEC};
	int type = ONE_OF(types), flag = ONE_OF(flags), fd[2] = {-1, -1};
	unsigned roles = OUT | IN | SOCK, pair = new_pair();
	struct call c = OTHER_CALL("socketpair", -1);

	if (!on(C_unix) || (type == SOCK_DGRAM && !on(C_dgram)) ||
	    (type == SOCK_SEQPACKET && !on(C_seqpacket)))
		return;
	detail(&c, ", %d, %#x", type, (unsigned)flag);
	if (MAKE(&c, socketpair(AF_UNIX, type | flag, 0, fd)))
		return;
	if (type == SOCK_STREAM)
		roles |= STREAM;
	fact("pair %s", identity(fd[0]));
	fact("pair %s", identity(fd[1]));
	slot_add(fd[0], roles, pair, 0);
	slot_add(fd[1], roles, pair, 1);
}

static int opened(const char *name, int flags)
{
	struct call c = OTHER_CALL("open", -1);

	detail(&c, ", %s, %#x", name, (unsigned)flags);
	return (int)MAKE(&c, open(name, flags, 0600));
}

static const char *some_name(char letter)
{
	static char name[8];

	snprintf(name, sizeof name, "%c%u", letter, below(NAMES));
	return name;
}

void make_fifo(void)
{
	const char *name = some_name('p');
	unsigned pair = new_pair();
	int both;

	if (!on(C_fifo))
		return;
	mkfifo(name, 0600);
	both = opened(name, O_RDWR | O_NONBLOCK);
	if (percent(30)) {
		slot_add(both, OUT | IN | PIPE, pair, 0);
		return;
	}
	slot_add(opened(name, O_RDONLY | O_NONBLOCK), IN | PIPE, pair, 0);
	slot_add(opened(name, O_WRONLY | (percent(50) ? O_NONBLOCK : 0)), OUT | PIPE, pair, 1);
	close(both);
}

void make_file(void)
{
	static const int flags[] = {O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_APPEND,
				    O_RDWR | O_CREAT | O_TRUNC, O_RDONLY | O_CREAT};
	int flag = ONE_OF(flags);

	if (!on(C_file))
		return;
	slot_add(opened(some_name('f'), flag),
		 ((flag & O_ACCMODE) == O_RDONLY ? IN : IN | OUT) | FILED, new_pair(), 0);
}

static int timer(void)
{
	struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
	int fd = timerfd_create(CLOCK_MONOTONIC, percent(50) ? TFD_NONBLOCK : 0);

	if (percent(50))
		timerfd_settime(fd, TFD_TIMER_ABSTIME, &soon, NULL);
	return fd;
}

static int signal_descriptor(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	return signalfd(-1, &set, SFD_NONBLOCK);
}

static int special(unsigned which)
{
	switch (which) {
	case 0:
		return open("/dev/null", O_RDWR);
	case 1:
		return open("/dev/full", O_RDWR);
	case 2:
		return open("/dev/null", O_RDONLY);
	case 3:
		return eventfd(below(3), percent(50) ? EFD_NONBLOCK : 0);
	case 4:
		return timer();
	case 5:
		return memfd_create("m", 0);
	case 6:
		return signal_descriptor();
	case 7:
		return inotify_init1(IN_NONBLOCK);
	case 8:
		return open(".", O_RDONLY | O_DIRECTORY);
	default:
		return open(".", O_PATH);
	}
}

void make_special(void)
{
	unsigned which = below(10);

	if (!on(C_special))
		return;
	say("special %u", which);
	slot_add(special(which), IN | OUT | (which == 5 ? FILED : 0), new_pair(), 0);
}

void make_tty(void)
{
	struct termios raw;
	int master, slave;
	unsigned pair = new_pair();

	if (!on(C_tty) || openpty(&master, &slave, NULL, NULL, NULL))
		return;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	say("tty");
	slot_add(master, IN | OUT | TTY, pair, 0);
	slot_add(slave, IN | OUT | TTY, pair, 1);
}

/* ---- connections ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* As the log writes it; "-" for no name. */
static void put_name(char *text, size_t room, const union address *a, socklen_t len)
{
	char ip[INET6_ADDRSTRLEN];

	snprintf(text, room, "-");
	if (a->any.sa_family == AF_INET)
		snprintf(text, room, "%s:%u", inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof ip),
			 ntohs(a->in.sin_port));
	else if (a->any.sa_family == AF_INET6)
		snprintf(text, room, "[%s]:%u",
			 inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip),
			 ntohs(a->in6.sin6_port));
	else if (len > sizeof(sa_family_t) && a->un.sun_path[0])
		snprintf(text, room, "%.20s", a->un.sun_path);
}

void connection_fact(int fd, bool client)
{
	char names[2][INET6_ADDRSTRLEN + 8];
	int saved = errno;
	bool stands = true;

	for (int peer = 0; peer < 2; peer++) {
		union address a = {.any.sa_family = 0};
		socklen_t len = sizeof a;

		stands &= !(peer ? getpeername(fd, &a.any, &len) : getsockname(fd, &a.any, &len));
		put_name(names[peer], sizeof names[peer], &a, len);
	}
	if (stands) /* it may have been refused by now */
		fact("conn %s %s %s %s", identity(fd), client ? "client" : "server", names[0],
		     names[1]);
	errno = saved;
}

int new_socket(int family, int type)
{
	struct call c = OTHER_CALL("socket", -1);

	detail(&c, ", %d, %#x", family, (unsigned)type);
	return (int)MAKE(&c, socket(family, type, 0));
}

static int listener(int family)
{
	union address a = {.any.sa_family = 0};
	int fd = new_socket(family, SOCK_STREAM);

	if (family == AF_INET)
		a.in = (struct sockaddr_in){.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	else
		a.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
					      .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (fd < 0 || bind(fd, &a.any, family == AF_INET ? sizeof a.in : sizeof a.in6) ||
	    listen(fd, 16)) {
		say("no listener: %s", error_name(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* One connection to LISTENER, accepted. */
static void connect_pair(int listening, int family, unsigned roles)
{
	struct sockaddr_storage a;
	struct call connects = OTHER_CALL("connect", new_socket(family, SOCK_STREAM));
	struct call accepts = OTHER_CALL("accept", listening);
	socklen_t len = sizeof a;
	unsigned pair = new_pair();
	int fd;

	if (getsockname(listening, (struct sockaddr *)&a, &len) ||
	    MAKE(&connects, connect(connects.fd, (struct sockaddr *)&a, len)))
		return;
	connection_fact(connects.fd, true);
	fd = (int)MAKE(&accepts, accept(listening, NULL, NULL));
	if (fd < 0)
		return;
	connection_fact(fd, false);
	if (percent(30))
		fcntl(connects.fd, F_SETFL, O_RDWR | O_NONBLOCK);
	slot_add(connects.fd, roles, pair, 0);
	slot_add(fd, roles, pair, 1);
}

void make_tcp(void)
{
	int family = on(C_tcp6) && percent(25) ? AF_INET6 : AF_INET, fd;

	if (!on(C_tcp))
		return;
	fd = listener(family);
	if (fd < 0)
		return;
	connect_pair(fd, family, OUT | IN | SOCK | STREAM | TCP);
	if (percent(50))
		slot_add(fd, SOCK | LISTENS, new_pair(), 0);
	else
		close(fd);
	if (percent(25))
		slot_add(new_socket(family, SOCK_STREAM | (percent(50) ? SOCK_NONBLOCK : 0)),
			 SOCK | LOOSE | CONNECTS, new_pair(), 0);
}

void make_unix(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int type = on(C_seqpacket) && percent(25) ? SOCK_SEQPACKET : SOCK_STREAM;
	int fd;

	if (!on(C_unix))
		return;
	fd = new_socket(AF_UNIX, type);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", some_name('s'));
	unlink(a.sun_path);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 16)) {
		close(fd);
		return;
	}
	if (type == SOCK_STREAM)
		connect_pair(fd, AF_UNIX, OUT | IN | SOCK | STREAM);
	slot_add(fd, SOCK | LISTENS, new_pair(), 0);
	if (percent(50))
		slot_add(new_socket(AF_UNIX, type | (percent(50) ? SOCK_NONBLOCK : 0)),
			 SOCK | LOOSE | CONNECTS, new_pair(), 0);
}

void make_udp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int receiver = new_socket(AF_INET, SOCK_DGRAM);
	struct call c = OTHER_CALL("connect", new_socket(AF_INET, SOCK_DGRAM));
	socklen_t len = sizeof a;
	unsigned pair = new_pair();
	int yes = 1;

	if (!on(C_udp) || bind(receiver, (struct sockaddr *)&a, sizeof a) ||
	    getsockname(receiver, (struct sockaddr *)&a, &len)) {
		close(receiver);
		close(c.fd);
		return;
	}
	if (percent(80) && !MAKE(&c, connect(c.fd, (struct sockaddr *)&a, len)))
		connection_fact(c.fd, true);
	if (percent(30))
		setsockopt(c.fd, SOL_IP, IP_RECVERR, &yes, sizeof yes);
	slot_add(c.fd, OUT | IN | SOCK | CONNECTS, pair, 0);
	slot_add(receiver, IN | OUT | SOCK | LOOSE, pair, 1);
}

void make_epoll(void)
{
	say("epoll");
	slot_add(epoll_create1(0), EPOLL, new_pair(), 0);
}

/* The other end of something goes: what most of this is about. */
void break_object(void)
{
	int fd = good_fd(OUT), gone, how = (int)below(10);
	struct linger hard = {1, 0};
	struct call c = OTHER_CALL("close", -1);

	if (fd < 0 || (gone = other_end(fd)) < 0 || fcntl(gone, F_GETFD) < 0)
		return; /* or it has gone already */
	if (slot_roles(gone) & SOCK && how < 2) {
		say("shutdown %d: %d", gone, shutdown(gone, SHUT_RD));
		return;
	}
	if (slot_roles(gone) & TCP && how < 6)
		setsockopt(gone, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	c.fd = gone;
	close_fact(gone);
	MAKE(&c, close(gone));
	settle();
}
