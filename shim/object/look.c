/* SPDX-License-Identifier: MIT */
#include "object/look.h"

#include "base/clock.h"
#include "base/process.h"
#include "object/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int option(int fd, int level, int name, void *value, socklen_t size)
{
	return pg_sys5(SYS_getsockopt, fd, level, name, value, &size) ? -1 : 0;
}

void pg_look_address(struct pg_object *o, const struct sockaddr *addr, size_t len)
{
	pg_addr_set(&o->peer, addr, len);
	pg_addr_path(o->peer_path, addr, len);
}

/* One end of a socket by getsockname or getpeername (NR), into A or PATH. What has no name yet is
 * 0.0.0.0:0, which is none. */
static void look_name(int fd, long nr, struct pg_addr *a, char *path)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	if (pg_sys3(nr, fd, &ss, &len))
		return;
	pg_addr_set(a, (const void *)&ss, len);
	pg_addr_path(path, (const void *)&ss, len);
	if (!pg_addr_is_set(a))
		a->family = 0;
}

/*
 * Milliseconds since data last came or went, from TCP_INFO (tcp(7)), which
 * answers after a reset, too. Byte offsets as in <linux/tcp.h>. What never
 * happened counts from the boot: an idleness longer than the age is none.
 */
static void look_tcp(int fd, struct pg_object *o)
{
	enum { LAST_DATA_SENT = 44 / 4, LAST_DATA_RECV = 52 / 4 };
	enum { BYTES_SENT = 200 / 8, BYTES_RETRANS = 208 / 8 }; /* since 4.19; else 0 */
	uint64_t all[216 / 8] = {0};
	uint32_t info[26], idle;

	if (option(fd, IPPROTO_TCP, TCP_INFO, all, sizeof all))
		return;
	if (o->sent >= 0 && all[BYTES_SENT] - all[BYTES_RETRANS] > (uint64_t)o->sent)
		o->sent = o->offset = -1; /* some went past libc */
	if (!o->since)
		return;
	__builtin_memcpy(info, all, sizeof info);
	idle = info[LAST_DATA_SENT] < info[LAST_DATA_RECV] ? info[LAST_DATA_SENT]
							   : info[LAST_DATA_RECV];
	if (idle <= (pg_now() - o->since) / 1000000)
		o->idle_ms = idle;
}

static void look_kind(int fd, struct pg_object *o)
{
	option(fd, SOL_SOCKET, SO_DOMAIN, &o->domain, sizeof o->domain);
	option(fd, SOL_SOCKET, SO_TYPE, &o->type, sizeof o->type);
	o->stream = o->type == SOCK_STREAM;
	if (o->domain == AF_UNIX)
		o->kind = PG_UNIX;
	else if (o->domain == AF_INET || o->domain == AF_INET6)
		o->kind = o->type == SOCK_STREAM  ? PG_TCP
			  : o->type == SOCK_DGRAM ? PG_UDP
						  : PG_SOCKET;
}

/*
 * SO_PEERCRED says who made a pair, or called listen (unix(7)): of a pair that
 * this process made, and of one that it was given by its parent, that is no word
 * for who is at the other end.
 */
static void look_peer_pid(int fd, struct pg_object *o)
{
	int cred[3] = {0, 0, 0};

	if (option(fd, SOL_SOCKET, SO_PEERCRED, cred, sizeof cred) || cred[0] <= 1)
		return;
	if (o->side == PG_NO_SIDE && !o->local_path[0] && !o->peer_path[0])
		return;
	if (cred[0] != pg_pid())
		o->peer_pid = cred[0];
}

/* MPTCP counts the end of a stream as a byte. */
static bool has_unread(int fd)
{
	char byte;

	return pg_sys6(SYS_recvfrom, fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, 0, 0) > 0;
}

static void look_socket_state(int fd, struct pg_object *o)
{
	int unread = 0;

	if (!pg_sys3(SYS_ioctl, fd, FIONREAD, &unread))
		o->unread = unread > 0 && o->kind == PG_TCP && !has_unread(fd) ? 0 : unread;
	if (o->kind == PG_UNIX)
		look_peer_pid(fd, o);
}

static void look_names(int fd, struct pg_object *o)
{
	look_name(fd, SYS_getsockname, &o->local, o->local_path);
	look_name(fd, SYS_getpeername, &o->peer, o->peer_path);
}

/* A FIFO's path is in /proc; a pipe's is "pipe:[ino]", which says nothing new: all of them are on
 * one device, which is then not asked for again. */
static pg_shared64 pipes;

static void read_path(int fd, uint64_t dev, char path[PG_PATH_MAX])
{
	path[0] = 0;
	if (dev == PG_GET(pipes))
		return;
	pg_fd_name(fd, path, PG_PATH_MAX);
	if (pg_prefix(path, "pipe:["))
		PG_PUT(pipes, dev);
}

static void look_fifo(int fd, struct pg_object *o)
{
	char path[PG_PATH_MAX];

	read_path(fd, o->dev, path);
	if (path[0] == '/')
		pg_copy(o->local_path, sizeof o->local_path, path);
}

bool pg_look_has_path(int fd, uint64_t dev)
{
	char path[PG_PATH_MAX];

	read_path(fd, dev, path);
	return dev != PG_GET(pipes);
}

/* What a record without a story counts: since the number was last seen closed, or since the start.
 * Of an object that the record is not known to be of, the sum is no word. */
static void look_record(int fd, struct pg_object *o)
{
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

	if (!f || f->partial || PG_GET(f->story))
		return;
	o->offset = (int64_t)(PG_GET(f->sent) - PG_GET(f->settled));
	if (pg_kind_is_socket(o->kind) ? f->born : pg_fd_is_sure(fd, f) || !o->offset)
		o->sent = o->offset;
}

/* A socket that this program did not make was another's, which may have sent on it. */
static void look_origin(int fd, struct pg_story *s)
{
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

	if (f && !f->born)
		PG_PUT(s->foreign, true);
}

/* A connection that was there before a fork has two processes that may write. */
static bool is_shared(const struct pg_story *s)
{
	return s->side != PG_NO_SIDE && s->forks != PG_GET(pg_forks);
}

/* An empty datagram, or the end of a file, is no end of a stream. */
static bool may_end(int fd, const struct pg_object *o)
{
	if (!pg_kind_is_socket(o->kind))
		return o->kind == PG_PIPE;
	return (o->type ? o->type : pg_fd_type(fd)) == SOCK_STREAM;
}

/* Nobody said how a connect that was on its way went on: a peer that the kernel names, a byte that
 * it took, and what only comes of a connection prove it. */
static bool is_known_to_stand(const struct pg_story *s, const struct pg_object *o)
{
	return !s->connecting || o->peer.family || PG_GET(s->sent) || s->warned[PG_EOF].at;
}

static void look_story(int fd, struct pg_story *s, struct pg_object *o)
{
	int64_t sent = pg_story_sent(s);

	o->story = s;
	if (!s->partial && !is_shared(s))
		o->offset = sent;
	if (!s->foreign)
		o->sent = o->offset;
	o->since = is_known_to_stand(s, o) ? s->since : 0;
	o->side = (enum pg_side)s->side;
	o->number = s->number;
	if (s->injected) {
		o->rule = s->rule;
		if (s->local.family)
			o->local = s->local;
	}
	if (!o->peer.family)
		o->peer = s->peer;
	__builtin_memcpy(o->warned, s->warned, sizeof o->warned);
	if (o->warned[PG_EOF].at && !may_end(fd, o))
		o->warned[PG_EOF].at = 0;
}

/* As isatty(3) asks. */
static bool is_terminal(int fd)
{
	char termios[256];

	return !pg_sys3(SYS_ioctl, fd, TCGETS, termios);
}

static void look_kernel(int fd, const struct pg_stat *st, struct pg_object *o, unsigned wants)
{
	if (S_ISSOCK(st->mode)) {
		o->kind = PG_SOCKET;
		if (wants & PG_LOOK_KIND)
			look_kind(fd, o);
		if (wants & PG_LOOK_NAMES)
			look_names(fd, o);
	} else if (S_ISFIFO(st->mode)) {
		o->kind = PG_PIPE;
		o->stream = true;
		if (wants & PG_LOOK_NAMES)
			look_fifo(fd, o);
	} else if (S_ISREG(st->mode)) {
		o->kind = PG_FILE;
	} else if (S_ISCHR(st->mode)) {
		if (wants & PG_LOOK_KIND && is_terminal(fd))
			o->kind = PG_TTY;
	} else {
		o->events = !S_ISBLK(st->mode) && !S_ISDIR(st->mode);
	}
}

void pg_look_at(int fd, const struct pg_stat *st, struct pg_object *o, unsigned wants, bool make)
{
	struct pg_story *s;

	*o = (struct pg_object){.dev = st->dev,
				.ino = st->ino,
				.born = st->born,
				.sent = -1,
				.offset = -1,
				.unread = -1,
				.idle_ms = -1,
				.rule = -1};
	if (!st->ino)
		return;
	look_kernel(fd, st, o, wants);
	s = pg_fd_story(fd, st, make);
	if (s && pg_kind_is_socket(o->kind))
		look_origin(fd, s);
	if (s)
		look_story(fd, s, o);
	else
		look_record(fd, o);
	if (pg_kind_is_socket(o->kind) && wants & PG_LOOK_STATE)
		look_socket_state(fd, o);
	if (o->kind == PG_TCP && wants & PG_LOOK_STATE)
		look_tcp(fd, o);
	if (o->kind == PG_TCP && wants & PG_LOOK_STATE && s && s->foreign && !o->side &&
	    pg_listens_at(&o->local))
		o->side = PG_SERVER;
}

struct pg_stat pg_look_stat(int fd)
{
	struct pg_stat st;

	if (fd < 0 || pg_fstat(fd, &st))
		st = (struct pg_stat){.ino = 0};
	return st;
}

void pg_look_for(int fd, struct pg_object *o, unsigned wants, bool make)
{
	struct pg_stat st = pg_look_stat(fd);

	pg_look_at(fd, &st, o, wants, make);
}

void pg_look(int fd, struct pg_object *o)
{
	pg_look_for(fd, o, PG_LOOK_ALL, true);
}

bool pg_look_hung_up(int fd)
{
	return pg_poll_now(fd, PG_POLLRDHUP) & (POLLERR | POLLHUP | PG_POLLRDHUP);
}

bool pg_look_is_broken(int fd)
{
	return pg_poll_now(fd, 0) & (POLLERR | POLLHUP);
}

bool pg_look_failed(int fd)
{
	return pg_poll_now(fd, 0) & POLLERR;
}

bool pg_look_reads(const struct pg_stat *st)
{
	enum { MANY = 64 }; /* who wakes itself up makes that pipe early */
	struct pg_stat other;

	/* What is not open, or not for reading, is told by the cheaper of the two. */
	for (int fd = 0; fd < MANY; fd++) {
		long flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0);

		if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && !pg_fstat(fd, &other) &&
		    other.ino == st->ino && other.dev == st->dev)
			return true;
	}
	return false;
}

bool pg_look_is_broken_pipe(int fd)
{
	struct pg_stat st;

	if (!(pg_poll_now(fd, 0) & POLLERR))
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
