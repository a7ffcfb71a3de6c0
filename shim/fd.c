/* SPDX-License-Identifier: MIT */
#include "fd.h"

#include "elf.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

struct pg_fd pg_fds[PG_FD_MAX];

/* What each descriptor was told; apart, so that what every write touches is small. */
static struct pg_warning warnings[PG_FD_MAX][PG_WHATS];

/* The kernel's own timespec: libc's may be wider on 32 bit. */
struct clock {
	long sec, nsec;
};

static int (*vdso_clock)(int, struct clock *);

void pg_fd_start(void)
{
	vdso_clock = (int (*)(int, struct clock *))(uintptr_t)pg_elf_vdso_clock();
}

static void clock_now(int id, struct clock *c)
{
	if (pg_confined) /* even the vDSO may trap: strict mode forbids rdtsc */
		return;
	if (!vdso_clock || vdso_clock(id, c))
		pg_sys2(SYS_clock_gettime, id, c);
}

uint64_t pg_now(void)
{
	struct clock c = {0, 0};

	clock_now(CLOCK_MONOTONIC, &c);
	return (uint64_t)c.sec * 1000000000u + (uint64_t)c.nsec;
}

void pg_realtime(int64_t *sec, uint32_t *nsec)
{
	struct clock c = {0, 0};

	clock_now(CLOCK_REALTIME, &c);
	*sec = c.sec;
	*nsec = (uint32_t)c.nsec;
}

static void forget(struct pg_fd *f)
{
	__atomic_store_n(&f->ino, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&f->sent, 0, __ATOMIC_RELAXED);
	f->since = 0;
	f->closed = 0;
	f->suppressed = 0;
	f->received = 0;
	f->ended = false;
	f->unruled = 0;
	f->connecting = false;
	f->number = 0;
	f->side = PG_NO_SIDE;
	f->peer.family = 0;
	f->local.family = 0;
	for (int i = 0; i < PG_WHATS; i++)
		__atomic_store_n(&warnings[f - pg_fds][i].at, 0, __ATOMIC_RELAXED);
}

void pg_fd_fresh(int fd)
{
	struct pg_fd *f = pg_fd(fd);

	if (!f)
		return;
	forget(f);
	f->injected = 0;
	__builtin_memset(f->conn, 0, sizeof f->conn);
	f->unsure = 0;
}

static void let_go(struct pg_fd *f)
{
	f->unsure = 1;
	f->unruled = 0;
	f->closed = f->sent;
}

/* With an inode the record proves itself, and the closer may be a vfork child: leave it. */
void pg_fd_closed(int fd)
{
	struct pg_fd *f = pg_fd(fd);

	if (f)
		let_go(f);
}

void pg_fd_closed_range(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < PG_FD_MAX; fd++)
		if (pg_fds[fd].sent | pg_fds[fd].ino | pg_fds[fd].unruled)
			let_go(&pg_fds[fd]);
}

void pg_fd_copied(int from, int to)
{
	struct pg_fd *a = pg_fd(from), *b = pg_fd(to);

	if (!b || a == b)
		return;
	if (a && a->ino) {
		*b = *a;
		__builtin_memcpy(warnings[to], warnings[from], sizeof warnings[to]);
	} else {
		let_go(b);
	}
	b->unruled = 0; /* fd= may tell the two apart */
}

static void set_addr(struct pg_addr *a, const struct sockaddr *addr, socklen_t len)
{
	const struct sockaddr_in *in4 = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;

	a->family = 0;
	if (len >= sizeof *in4 && addr->sa_family == AF_INET) {
		__builtin_memcpy(a->ip, &in4->sin_addr, 4);
		a->port = in4->sin_port;
		a->family = AF_INET;
	} else if (len >= sizeof *in6 && addr->sa_family == AF_INET6) {
		__builtin_memcpy(a->ip, &in6->sin6_addr, 16);
		a->port = in6->sin6_port;
		a->family = AF_INET6;
	}
}

/* The next number of a connection of this SIDE, as rules count: in each process from 1. */
static uint32_t next_number(enum pg_side side)
{
	static uint32_t numbers[3];
	static uint64_t owner;
	uint64_t process;

	if (pg_confined)
		return 0;
	process = pg_process();
	if (PG_GET(owner) != process &&
	    __atomic_exchange_n(&owner, process, __ATOMIC_RELAXED) != process)
		__builtin_memset(numbers, 0, sizeof numbers);
	return __atomic_add_fetch(&numbers[side], 1, __ATOMIC_RELAXED);
}

void pg_fd_connection(int fd, enum pg_side side, const struct sockaddr *addr, socklen_t len,
		      bool stands)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_stat st;

	if (!f)
		return;
	forget(f);
	f->side = (uint8_t)side;
	f->unsure = 0;
	f->since = pg_now();
	if (stands)
		f->number = next_number(side);
	if (addr)
		set_addr(&f->peer, addr, len);
	if (!pg_confined && !pg_fstat(fd, &st))
		__atomic_store_n(&f->ino, st.ino, __ATOMIC_RELEASE);
}

bool pg_fd_is_connecting(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_stat st;

	return f && f->connecting && !pg_fstat(fd, &st) && f->ino == st.ino;
}

void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller)
{
	struct pg_fd *f = pg_fd(fd);

	if (!f)
		return;
	warnings[fd][what] = (struct pg_warning){
		.at = pg_now(), .sent = f->sent, .caller = caller - 1, .call = call, .err = err};
	if (what == PG_REFUSED) { /* no connection came of it */
		f->since = 0;
		f->connecting = false;
	}
}

static int option(int fd, int level, int name, void *value, socklen_t size)
{
	long args[] = {fd, level, name, (long)value, (long)&size};

	return pg_sys5(SYS_getsockopt, args[0], args[1], args[2], args[3], args[4]) ? -1 : 0;
}

static void set_path(char *path, const struct sockaddr_un *un, socklen_t len)
{
	size_t n = len > 2 ? (size_t)len - 2 : 0;

	if (n >= sizeof un->sun_path)
		n = sizeof un->sun_path - 1;
	__builtin_memcpy(path, un->sun_path, n);
	path[n] = 0;
	if (n && !path[0])
		path[0] = '@';
}

void pg_fd_address(struct pg_object *o, const struct sockaddr *addr, socklen_t len)
{
	if (len > sizeof(sa_family_t) && addr->sa_family == AF_UNIX)
		set_path(o->peer_path, (const void *)addr, len);
	else
		set_addr(&o->peer, addr, len);
}

/* One end of a socket by getsockname or getpeername (NR), into A or PATH. */
static void look_name(int fd, long nr, struct pg_addr *a, char *path)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	if (pg_sys3(nr, fd, &ss, &len))
		return;
	if (ss.ss_family == AF_UNIX)
		set_path(path, (const void *)&ss, len);
	else
		set_addr(a, (const void *)&ss, len);
}

/*
 * Milliseconds since data last came or went, from TCP_INFO (tcp(7)), which
 * answers after a reset, too. Byte offsets as in <linux/tcp.h>. What never
 * happened counts from the boot: an idleness longer than the age is none.
 */
static void look_tcp(int fd, struct pg_object *o)
{
	enum { LAST_DATA_SENT = 44 / 4, LAST_DATA_RECV = 52 / 4 };
	uint32_t info[26], idle;

	if (option(fd, IPPROTO_TCP, TCP_INFO, info, sizeof info))
		return;
	idle = info[LAST_DATA_SENT] < info[LAST_DATA_RECV] ? info[LAST_DATA_SENT]
							   : info[LAST_DATA_RECV];
	if (o->since && idle <= (pg_now() - o->since) / 1000000)
		o->idle_ms = idle;
}

static void look_kind(int fd, struct pg_object *o)
{
	int type = 0;

	option(fd, SOL_SOCKET, SO_DOMAIN, &o->domain, sizeof o->domain);
	option(fd, SOL_SOCKET, SO_TYPE, &type, sizeof type);
	o->stream = type == SOCK_STREAM;
	if (o->domain == AF_UNIX)
		o->kind = PG_UNIX;
	else if (o->domain == AF_INET || o->domain == AF_INET6)
		o->kind = type == SOCK_STREAM ? PG_TCP : type == SOCK_DGRAM ? PG_UDP : PG_SOCKET;
}

static void look_socket_state(int fd, struct pg_object *o)
{
	int unread = 0, cred[3] = {0, 0, 0};

	if (!pg_sys3(SYS_ioctl, fd, FIONREAD, &unread))
		o->unread = unread;
	if (o->kind == PG_UNIX && !option(fd, SOL_SOCKET, SO_PEERCRED, cred, sizeof cred))
		o->peer_pid = cred[0];
}

static void look_socket(int fd, struct pg_object *o, unsigned wants)
{
	o->kind = PG_SOCKET;
	if (wants & PG_LOOK_KIND)
		look_kind(fd, o);
	if (wants & PG_LOOK_NAMES) {
		look_name(fd, SYS_getsockname, &o->local, o->local_path);
		look_name(fd, SYS_getpeername, &o->peer, o->peer_path);
	}
	if (wants & PG_LOOK_STATE)
		look_socket_state(fd, o);
}

/* A FIFO's path is in /proc; a pipe's is "pipe:[ino]", which says nothing new: all of them are on
 * one device, which is then not asked for again. */
static void look_fifo(int fd, struct pg_object *o)
{
	static uint64_t pipes;
	char link[32], path[108];
	struct pg_text t = {link, 0, sizeof link - 1};
	long n;

	if (o->dev == __atomic_load_n(&pipes, __ATOMIC_RELAXED))
		return;
	pg_put(&t, "/proc/self/fd/");
	pg_put_i64(&t, fd);
	link[t.len] = 0;
	n = pg_sys4(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	if (path[0] == '/')
		pg_copy(o->local_path, sizeof o->local_path, path);
	else if (pg_prefix(path, "pipe:["))
		__atomic_store_n(&pipes, o->dev, __ATOMIC_RELAXED);
}

/* What was recorded, if it is of this object. */
static void look_record(int fd, struct pg_object *o)
{
	const struct pg_fd *f = pg_fd(fd);

	if (f && f->injected && f->injected == o->ino)
		o->rule = f->rule;
	if (f && f->unsure)
		o->offset = (int64_t)(f->sent - f->closed);
	if (!f || (f->ino ? f->ino != o->ino : f->unsure))
		return;
	o->tracked = true;
	o->offset = (int64_t)f->sent;
	o->sent = f->sent;
	o->since = f->since;
	o->side = (enum pg_side)f->side;
	o->number = f->number;
	if (o->rule >= 0 && f->local.family)
		o->local = f->local;
	__builtin_memcpy(o->warned, warnings[fd], sizeof o->warned);
	if (!o->peer.family && f->ino)
		o->peer = f->peer;
}

/* As isatty(3) asks. */
static bool is_terminal(int fd)
{
	char termios[256];

	return !pg_sys3(SYS_ioctl, fd, TCGETS, termios);
}

void pg_fd_look_at(int fd, const struct pg_stat *st, struct pg_object *o, unsigned wants)
{
	*o = (struct pg_object){.dev = st->dev,
				.ino = st->ino,
				.offset = -1,
				.unread = -1,
				.idle_ms = -1,
				.rule = -1};
	if (!st->ino)
		return;
	if (S_ISSOCK(st->mode))
		look_socket(fd, o, wants);
	else if (S_ISFIFO(st->mode))
		o->kind = PG_PIPE, o->stream = true;
	else if (S_ISREG(st->mode))
		o->kind = PG_FILE;
	else if (S_ISCHR(st->mode) && wants & PG_LOOK_KIND && is_terminal(fd))
		o->kind = PG_TTY;
	if (o->kind == PG_PIPE && wants & PG_LOOK_NAMES)
		look_fifo(fd, o);
	look_record(fd, o);
	if (o->kind == PG_TCP && wants & PG_LOOK_STATE)
		look_tcp(fd, o);
}

struct pg_stat pg_fd_stat(int fd)
{
	struct pg_stat st;

	if (fd < 0 || pg_fstat(fd, &st))
		st = (struct pg_stat){0, 0, 0};
	return st;
}

void pg_fd_look_for(int fd, struct pg_object *o, unsigned wants)
{
	struct pg_stat st = pg_fd_stat(fd);

	pg_fd_look_at(fd, &st, o, wants);
}

void pg_fd_look(int fd, struct pg_object *o)
{
	pg_fd_look_for(fd, o, PG_LOOK_ALL);
}

static int poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct clock zero = {0, 0};

	return pg_sys5(SYS_ppoll, &p, 1, &zero, 0, 0) == 1 ? p.revents : 0;
}

bool pg_fd_hung_up(int fd)
{
	enum { PEER_CLOSED = 0x2000 }; /* POLLRDHUP, where <poll.h> hides it */

	return poll_now(fd, PEER_CLOSED) & (POLLERR | POLLHUP | PEER_CLOSED);
}

bool pg_fd_is_broken_pipe(int fd)
{
	struct pg_stat st;

	if (!(poll_now(fd, 0) & POLLERR))
		return false;
	return !pg_fstat(fd, &st) && S_ISFIFO(st.mode);
}

const char *pg_kind_name(enum pg_kind kind)
{
	switch (kind) {
	case PG_PIPE:
		return "pipe";
	case PG_TCP:
		return "tcp";
	case PG_UDP:
		return "udp";
	case PG_UNIX:
		return "unix";
	case PG_SOCKET:
		return "socket";
	case PG_FILE:
		return "file";
	case PG_TTY:
		return "tty";
	case PG_OTHER:
		break;
	}
	return NULL;
}

static void put_ip4(struct pg_text *t, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			pg_put_char(t, '.');
		pg_put_u64(t, ip[i]);
	}
}

/* Groups START to END of the address, with colons between. */
static void put_groups(struct pg_text *t, const uint8_t *ip, int start, int end)
{
	struct pg_text hex;
	char buf[8];

	for (int i = start; i < end; i++) {
		hex = (struct pg_text){buf, 0, sizeof buf};
		if (i > start)
			pg_put_char(t, ':');
		pg_put_hex(&hex, (uint64_t)(ip[2 * i] << 8 | ip[2 * i + 1]));
		pg_put_bytes(t, buf + 2, hex.len - 2);
	}
}

/* RFC 5952: the first longest run of at least two zero groups becomes "::". */
static void put_ip6(struct pg_text *t, const uint8_t *ip)
{
	int best = 8, length = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !ip[2 * (i + n)] && !ip[2 * (i + n) + 1])
			n++;
		if (n > length)
			best = i, length = n;
	}
	put_groups(t, ip, 0, best);
	if (best == 8)
		return;
	pg_put(t, "::");
	put_groups(t, ip, best + length, 8);
}

void pg_put_addr(struct pg_text *t, const struct pg_addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (a->family == AF_INET) {
		put_ip4(t, a->ip);
	} else {
		pg_put_char(t, '[');
		if (__builtin_memcmp(a->ip, mapped, sizeof mapped) != 0) {
			put_ip6(t, a->ip);
		} else {
			pg_put(t, "::ffff:");
			put_ip4(t, a->ip + 12);
		}
		pg_put_char(t, ']');
	}
	pg_put_char(t, ':');
	pg_put_u64(t, (uint64_t)((a->port & 255) << 8 | a->port >> 8));
}
