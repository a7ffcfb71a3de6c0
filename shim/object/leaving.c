/* SPDX-License-Identifier: MIT */
#include "object/leaving.h"

#include "base/clock.h"
#include "base/peek.h"
#include "base/process.h"
#include "object/listener.h"
#include "who/stack.h"
#include "who/symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* ---- who: names of the place, as this process alone can give them ---- */

/* A function's name is looked for once. Entries are filled and never change. */
static struct named {
	uint32_t taken, ready;
	struct pg_code code;
	uint64_t offset;
	char symbol[sizeof((struct pg_ending *)0)->symbol];
} named[64];

static bool recall(struct pg_ending *e, const struct pg_code *code)
{
	for (unsigned i = 0; i < sizeof named / sizeof *named; i++) {
		const struct named *n = &named[i];

		if (!__atomic_load_n(&n->ready, __ATOMIC_ACQUIRE) || n->code.at != code->at ||
		    n->code.stamp != code->stamp)
			continue;
		pg_copy(e->symbol, sizeof e->symbol, n->symbol);
		e->symbol_offset = n->offset;
		return true;
	}
	return false;
}

static void remember(const struct pg_ending *e, const struct pg_code *code)
{
	for (unsigned i = 0; i < sizeof named / sizeof *named; i++) {
		struct named *n = &named[i];

		if (PG_GET(n->taken) || __atomic_exchange_n(&n->taken, 1, __ATOMIC_ACQUIRE))
			continue;
		n->code = *code;
		n->offset = e->symbol_offset;
		pg_copy(n->symbol, sizeof n->symbol, e->symbol);
		__atomic_store_n(&n->ready, 1, __ATOMIC_RELEASE);
		return;
	}
}

static PG_COLD void put_symbol(struct pg_ending *e, const struct pg_module *m, uintptr_t at)
{
	char symbol[PG_SYMBOL_MAX];
	uintptr_t offset = 0;

	if (!pg_symbol_at(m, at, symbol, sizeof symbol, &offset))
		return;
	pg_copy(e->symbol, sizeof e->symbol, symbol);
	e->symbol_offset = offset;
}

static void put_caller(struct pg_ending *e, uintptr_t caller)
{
	struct pg_module room;
	const struct pg_module *m;
	struct pg_code code;

	if (!caller)
		caller = pg_stack_caller();
	code = pg_code_at(caller);
	m = pg_module_at(caller, &room);
	if (!m)
		return;
	pg_copy(e->module, sizeof e->module, m->name);
	e->offset = caller - m->base;
	if (recall(e, &code))
		return;
	put_symbol(e, m, caller);
	remember(e, &code);
}

/* All of E but its key and what waits unread. */
static void put_who(struct pg_ending *e, const struct pg_left *left)
{
	e->at = pg_now();
	e->how = (uint16_t)left->how;
	e->status = left->status;
	e->pid = pg_pid();
	e->tid = (int)pg_sys0(SYS_gettid);
	e->space = pg_endings_space();
	pg_sys2(SYS_prctl, PR_GET_NAME, e->comm);
	pg_copy(e->call, sizeof e->call, left->call);
	if (left->how == PG_HOW_CLOSE || left->how == PG_HOW_SHUTDOWN)
		put_caller(e, left->caller);
}

/* ---- what: the object, as those see it who are at the other end ---- */

static uint64_t hash_bytes(const uint8_t *p, size_t n)
{
	uint64_t h = 1;

	for (size_t i = 0; i < n; i++)
		h = pg_mix(h, p[i]);
	return h;
}

/*
 * Which file it is, and not just its number, which the next file may have: the
 * handle that file systems give for that (name_to_handle_at(2)) has a generation.
 * 0: it has none.
 */
static uint64_t identity_of(int fd)
{
	enum { HANDLE_FID = 0x200 }; /* AT_HANDLE_FID, Linux 6.5: where it cannot be opened by it */
	struct {
		uint32_t size;
		int32_t type;
		uint8_t bytes[128];
	} h = {.size = sizeof h.bytes};
	int mount;
	long err = -EPERM;

	if (!pg_is_filtered())
		err = pg_sys5(SYS_name_to_handle_at, fd, "", &h, &mount, AT_EMPTY_PATH);
	if (err == -EOPNOTSUPP)
		err = pg_sys5(SYS_name_to_handle_at, fd, "", &h, &mount,
			      AT_EMPTY_PATH | HANDLE_FID);
	return err || h.size > sizeof h.bytes ? 0 : hash_bytes(h.bytes, h.size);
}

/* The key of the pipe or FIFO FD; none: a FIFO that cannot be told from another. */
static struct pg_ending_key key_of_pipe(int fd, uint64_t dev, uint64_t ino)
{
	uint64_t identity = pg_look_has_path(fd, dev) ? identity_of(fd) : 0;

	if (!identity && pg_look_has_path(fd, dev))
		return (struct pg_ending_key){{0}};
	return pg_ending_of_pipe(dev, ino, identity);
}

/* The network that the socket FD is in: two of them may have the same addresses. */
static uint64_t network_of(int fd)
{
	enum { NETNS_COOKIE = 71 }; /* SO_NETNS_COOKIE, Linux 5.14 */
	uint64_t cookie = 0;
	socklen_t len = sizeof cookie;

	return pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

static bool name_of(int fd, long nr, struct pg_addr *a, int *family)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	ss.ss_family = AF_UNSPEC;
	if (pg_sys3(nr, fd, &ss, &len))
		return false;
	*family = ss.ss_family;
	pg_addr_set(a, (const struct sockaddr *)&ss, len);
	return true;
}

/* What its other end knows the connected stream FD by. */
static struct pg_ending_key key_of_peer(int fd, uint64_t dev, uint64_t ino)
{
	struct pg_addr local = {0}, peer = {0};
	struct pg_ending_key none = {{0}};
	int family = AF_UNSPEC, type = 0;
	socklen_t len = sizeof type;

	if (!name_of(fd, SYS_getpeername, &peer, &family) ||
	    pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return none;
	if (family == AF_UNIX || family == AF_UNSPEC) {
		ino = pg_unix_peer(ino);
		return ino ? pg_ending_of_unix(dev, ino) : none;
	}
	if (!name_of(fd, SYS_getsockname, &local, &family))
		return none;
	return pg_ending_of_inet(network_of(fd), &peer, &local);
}

/* Does FD read from a pipe that somebody writes to? */
static bool is_read_end(int fd)
{
	long flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0);

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && !(flags & O_PATH) &&
	       !(pg_poll_now(fd, 0) & POLLHUP);
}

/* Does somebody still send to the socket FD? */
static bool is_sent_to(int fd)
{
	return !(pg_poll_now(fd, PG_POLLRDHUP) & (POLLERR | POLLHUP | PG_POLLRDHUP));
}

/*
 * A proof costs some twenty microseconds, and the ring keeps no more than 256
 * endings: of a process that closes more than that in a moment, not all are
 * left. Not so of a FIFO: there an older one would be named in its place.
 */
static bool is_too_much(const struct pg_left *left, int fd, const struct pg_stat *st)
{
	enum { MOMENT = 50000000, MOST = 64 };
	static pg_shared64 moment;
	static uint32_t count;
	uint64_t now = pg_now() / MOMENT;

	if (left->how != PG_HOW_CLOSE || (S_ISFIFO(st->mode) && pg_look_has_path(fd, st->dev)))
		return false;
	if (PG_GET(moment) != now) {
		PG_PUT(moment, now);
		PG_PUT(count, 0);
	}
	return __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) > MOST;
}

/* Is FD, which is closed, but a copy of the standard input, which stays (Python closes one of those
 * as it starts), or of another number? */
static bool is_copy(int fd, const struct pg_stat *st, const struct pg_left *left)
{
	struct pg_stat input;

	if (left->how != PG_HOW_CLOSE)
		return false;
	if (fd && !pg_fstat(0, &input) && input.ino == st->ino && input.dev == st->dev)
		return true;
	return pg_fd_is_copied(fd, st);
}

/* Fills in what E is about. False: nobody can lose it. */
static bool put_what(struct pg_ending *e, int fd, const struct pg_stat *st,
		     const struct pg_left *left)
{
	int unread = 0;

	if (!(S_ISFIFO(st->mode) ? is_read_end(fd) : S_ISSOCK(st->mode) && is_sent_to(fd)) ||
	    is_copy(fd, st, left) || is_too_much(left, fd, st))
		return false;
	if (S_ISFIFO(st->mode))
		e->key = key_of_pipe(fd, st->dev, st->ino);
	else
		e->key = key_of_peer(fd, st->dev, st->ino);
	if (!e->key.w[0])
		return false;
	e->unread = pg_sys3(SYS_ioctl, fd, FIONREAD, &unread) ? -1 : unread;
	return true;
}

/* ---- the proof ---- */

static int make_watch(int fd)
{
	struct epoll_event none = {.events = 0};
	int watch = (int)pg_sys1(SYS_epoll_create1, EPOLL_CLOEXEC);

	if (watch >= 0 && pg_sys4(SYS_epoll_ctl, watch, EPOLL_CTL_ADD, fd, &none)) {
		pg_sys1(SYS_close, watch);
		return -1;
	}
	return watch < 0 ? -1 : watch;
}

/* Has the epoll WATCH still what it was given as FD? Where kcmp(2) is refused, /proc says so. */
static bool still_watches(int watch, int fd)
{
	enum { EPOLL_TFD = 7 }; /* KCMP_EPOLL_TFD */
	const uint32_t slot[3] = {(uint32_t)watch, (uint32_t)fd, 0};
	int pid = pg_pid();
	long is = -EPERM, n = 0;
	char buf[256];
	int info;

	if (!pg_is_filtered())
		is = pg_sys5(SYS_kcmp, pid, pid, EPOLL_TFD, watch, slot);
	if (is >= 0 || is == -ENOENT)
		return is >= 0;
	pg_fd_path(buf, "fdinfo/", watch);
	info = pg_open(buf, O_RDONLY);
	if (info < 0)
		return true;
	n = pg_sys3(SYS_read, info, buf, sizeof buf);
	pg_sys1(SYS_close, info);
	for (long i = 0; i + 4 <= n; i++)
		if (!__builtin_memcmp(buf + i, "tfd:", 4))
			return true;
	return n <= 0;
}

/* A FIFO has an open file for each that opened it, and a pipe may have another one by /proc. So it
 * is asked whether it has any reader at all: then it can be opened for writing. Only where somebody
 * writes to it anyway is that nothing to anybody, and only where no other thread may fork
 * meanwhile.
 */
static int make_node(int fd)
{
	char path[PG_FD_PATH];

	pg_fd_path(path, "fd/", fd);
	return pg_process_is_single() ? pg_open(path, O_PATH) : -1;
}

/* PROVED: this is asked once more. */
static bool has_no_reader(int node, bool proved)
{
	char path[PG_FD_PATH];
	bool none;
	int fd;

	pg_fd_path(path, "fd/", node);
	fd = pg_open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd == -ENXIO || proved; /* another user's pipe cannot be opened */
	none = pg_poll_now(fd, 0) & POLLERR;   /* a pipe without a path can be opened even so */
	pg_sys1(SYS_close, fd);
	return none;
}

static int without_input; /* the process that closed what it read from */

/* The last that this process has left of what it has; its key is none: it has let go of that. */
static struct pg_ending mine;

bool pg_leaving_begin(struct pg_leaving *l, int fd, const struct pg_left *left)
{
	struct pg_ending e = {.at = 0};
	struct pg_stat st;
	unsigned forks;

	l->fd = fd;
	l->watch = l->node = -1;
	if (pg_confined || pg_process_is_vforked() || pg_fstat(fd, &st) ||
	    (!S_ISFIFO(st.mode) && !S_ISSOCK(st.mode)) || !put_what(&e, fd, &st, left))
		return false;
	put_who(&e, left);
	if (left->how == PG_HOW_CLOSE)
		e.status = fd;
	e.reads_not = pg_fd_is_unread(fd);
	forks = left->how == PG_HOW_CLOSE ? pg_fd_forks(fd) : 0;
	e.forks = forks < UINT8_MAX ? (uint8_t)forks : UINT8_MAX;
	if (S_ISFIFO(st.mode))
		l->node = make_node(fd);
	if (!S_ISFIFO(st.mode) || !pg_look_has_path(fd, st.dev))
		l->watch = make_watch(fd);
	if (left->how == PG_HOW_CLOSE && !fd)
		PG_PUT(without_input, e.pid);
	l->input = !__builtin_memcmp(&e.key, &mine.key, sizeof e.key);
	l->place = pg_ending_put(&e);
	return true;
}

void pg_leaving_process(const struct pg_left *left)
{
	struct pg_ending e = {.unread = -1};
	struct pg_ending_place place;

	if (PG_GET(without_input) != pg_pid())
		return;
	put_who(&e, left);
	e.key = pg_ending_of_process(e.pid);
	place = pg_ending_put(&e);
	pg_ending_settle(&place, true);
}

/* DONE: that is to be proved. */
static void prove(struct pg_leaving *l, bool done)
{
	bool sure = done && (l->watch >= 0 || l->node >= 0);

	if (l->watch >= 0) {
		sure = sure && !still_watches(l->watch, l->fd);
		pg_sys1(SYS_close, l->watch);
	}
	if (l->node >= 0) {
		sure = sure && has_no_reader(l->node, l->watch >= 0);
		pg_sys1(SYS_close, l->node);
	}
	pg_ending_settle(&l->place, sure);
}

void pg_leaving_end(struct pg_leaving *l, bool done)
{
	prove(l, done);
	if (!done)
		pg_ending_void(&l->place);
	else if (l->input)
		mine.key.w[0] = 0;
}

/* What is not closed on exec may be in a child that was made without fork (posix_spawn). */
static bool is_ours_alone(int fd)
{
	struct pg_stat st;
	const struct pg_story *s = pg_fstat(fd, &st) ? NULL : pg_fd_story(fd, &st, false);

	return s && pg_story_is_ours_alone(s) && pg_sys3(SYS_fcntl, fd, F_GETFD, 0) == FD_CLOEXEC;
}

/* Puts the reading end of an empty pipe in the place of FD, as if nobody wrote any more. Its other
 * end stays open. */
static bool mute(int fd)
{
	long flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0);
	int p[2];
	bool done;

	if (flags < 0 || pg_sys2(SYS_pipe2, p, O_CLOEXEC | (flags & O_NONBLOCK)))
		return false;
	done = pg_sys3(SYS_dup3, p[0], fd, O_CLOEXEC) == fd;
	pg_sys1(SYS_close, p[0]);
	return done;
}

void pg_leaving_end_open(struct pg_leaving *l)
{
	struct pg_stat st;
	bool pipe = l->watch >= 0 && !pg_fstat(l->fd, &st) && S_ISFIFO(st.mode);
	bool sure = !pipe && is_ours_alone(l->fd);

	prove(l, pipe && mute(l->fd));
	if (sure)
		pg_ending_settle(&l->place, true);
}

void pg_leaving_replace(struct pg_leaving *l)
{
	int ours = l->watch >= 0 ? l->watch : l->node;

	pg_leaving_end(l, ours >= 0 && pg_sys3(SYS_dup3, ours, l->fd, O_CLOEXEC) == l->fd);
}

/* ---- what needs no proof ---- */

bool pg_leaving_shutdown(struct pg_leaving *l, int fd, int how, uintptr_t caller)
{
	const struct pg_left left = {PG_HOW_SHUTDOWN, 0, "shutdown", caller};
	struct pg_ending e = {.at = 0};
	struct pg_stat st;

	if (pg_confined || pg_process_is_vforked() || pg_fstat(fd, &st) || !S_ISSOCK(st.mode) ||
	    !put_what(&e, fd, &st, &left))
		return false;
	if (how == SHUT_RD && pg_ending_kind(&e.key) != PG_OF_UNIX)
		return false; /* TCP goes on receiving */
	put_who(&e, &left);
	l->place = pg_ending_put(&e);
	return true;
}

void pg_leaving_shut(struct pg_leaving *l, bool done)
{
	if (done)
		pg_ending_settle(&l->place, true);
	else
		pg_ending_void(&l->place);
}

void pg_leaving_hold(enum pg_how how, int fd)
{
	const struct pg_left left = {how, 0, "", 0};
	struct pg_ending e = {.at = 0};
	struct pg_ending_place place;
	struct pg_stat st;

	if (pg_confined || pg_fstat(fd, &st) || !S_ISFIFO(st.mode) || !put_what(&e, fd, &st, &left))
		return;
	put_who(&e, &left); /* a vfork's child is itself here, and changes nothing but the ring */
	e.forks = how == PG_HOW_TOOK && pg_process_is_vforked();
	place = pg_ending_put(&e);
	pg_ending_settle(&place, true);
	if (!pg_process_is_vforked())
		mine = e;
}

static void takes_mine(int pid, int tid, bool forked)
{
	struct pg_ending e = mine;
	struct pg_ending_place place;

	if (pg_confined || !e.key.w[0])
		return;
	e.at = pg_now();
	e.space = pg_endings_space();
	e.how = PG_HOW_TOOK;
	e.forks = !forked;
	e.pid = pid;
	e.tid = tid;
	place = pg_ending_put(&e);
	pg_ending_settle(&place, true);
}

void pg_leaving_forked(void)
{
	takes_mine(pg_pid(), pg_pid(), true);
}

void pg_leaving_lends(int child)
{
	takes_mine(child > 0 ? child : pg_pid(), (int)pg_sys0(SYS_gettid), false);
}

/* ---- who let go ---- */

bool pg_leaving_find(int fd, const struct pg_object *o, struct pg_ending *to)
{
	struct pg_ending_key key = {{0}};
	uint64_t since = o->since;

	if (!pg_has_endings() || pg_confined || !o->ino)
		return false;
	if (o->kind == PG_PIPE)
		key = key_of_pipe(fd, o->dev, o->ino);
	else if (o->kind == PG_UNIX)
		key = pg_ending_of_unix(o->dev, o->ino);
	else if (o->kind == PG_TCP && since)
		key = pg_ending_of_inet(network_of(fd), &o->local, &o->peer);
	return pg_ending_find(&key, since, o->kind != PG_PIPE, to);
}
