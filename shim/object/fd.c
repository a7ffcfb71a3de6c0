/* SPDX-License-Identifier: MIT */
#include "object/fd.h"

#include "base/clock.h"
#include "base/next.h"
#include "base/process.h"

#include <errno.h>
#include <sys/stat.h>

struct pg_fd pg_fds[PG_FD_LOW];

void *pg_filled(void **place, size_t size)
{
	void *has = __atomic_load_n(place, __ATOMIC_ACQUIRE), *mine;

	if (has || !(mine = pg_map(size)))
		return has;
	if (__atomic_compare_exchange_n(place, &has, mine, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mine;
	pg_sys2(SYS_munmap, mine, size);
	return has;
}

/* ---- the records of high numbers, in chunks that come with the first number in them ---- */

enum { CHUNKS = 4096 };
static void *chunks[CHUNKS];

struct pg_fd *pg_fd_high(unsigned fd)
{
	struct pg_fd *chunk = NULL;

	if (fd / PG_FD_LOW < CHUNKS)
		chunk = __atomic_load_n(&chunks[fd / PG_FD_LOW], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[fd % PG_FD_LOW] : NULL;
}

void pg_fd_sent_high(unsigned fd, uint64_t n)
{
	struct pg_fd *f = pg_fd_high(fd);

	if (f)
		pg_fd_add(&f->sent, n);
}

/* The record of FD, which begins if there is none; a null pointer: it cannot. */
static struct pg_fd *record(int fd)
{
	struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

	if (f || fd < 0 || fd / PG_FD_LOW >= CHUNKS ||
	    !pg_filled(&chunks[fd / PG_FD_LOW], sizeof pg_fds))
		return f;
	return pg_fd(fd);
}

bool pg_fd_is_sure(int fd, const struct pg_fd *f)
{
	return !f->unsure && (fd < PG_FD_LOW || f->born);
}

/* ---- the stories, in chunks; those that are free in a list ---- */

enum { STORIES = PG_STORIES, STORY_CHUNKS = PG_STORY_CHUNKS };
static struct pg_story first_stories[STORIES];
static void *story_chunks[STORY_CHUNKS];
static uint32_t stories_made;
static uint64_t free_stories; /* the first one; above it a tag, another at each change */

static struct pg_story *story(uint32_t n)
{
	struct pg_story *chunk = first_stories;

	if (!n)
		return NULL;
	if (--n >= STORIES)
		chunk = __atomic_load_n(&story_chunks[n / STORIES], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[n % STORIES] : NULL;
}

static uint32_t pop_free(void)
{
	uint64_t head = __atomic_load_n(&free_stories, __ATOMIC_ACQUIRE), next;

	do {
		if (!(uint32_t)head)
			return 0;
		next = ((head >> 32) + 1) << 32 | PG_GET(story((uint32_t)head)->next);
	} while (!__atomic_compare_exchange_n(&free_stories, &head, next, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return (uint32_t)head;
}

static void push_free(struct pg_story *s)
{
	uint32_t n = s->index + 1;
	uint64_t head = __atomic_load_n(&free_stories, __ATOMIC_ACQUIRE), next;

	do {
		PG_PUT(s->next, (uint32_t)head);
		next = ((head >> 32) + 1) << 32 | n;
	} while (!__atomic_compare_exchange_n(&free_stories, &head, next, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
}

/* A number for one more story; 0: there is no room. */
static uint32_t make_number(void)
{
	uint32_t n = __atomic_load_n(&stories_made, __ATOMIC_RELAXED);

	do {
		if (n == STORIES * STORY_CHUNKS ||
		    (n >= STORIES && !pg_filled(&story_chunks[n / STORIES], sizeof first_stories)))
			return 0;
	} while (!__atomic_compare_exchange_n(&stories_made, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return n + 1;
}

static uint32_t begin_story(void)
{
	uint32_t n = pop_free();
	struct pg_story *s;

	if (!n)
		n = make_number();
	s = story(n);
	if (!s)
		return 0;
	__builtin_memset(&s->dev, 0, sizeof *s - offsetof(struct pg_story, dev));
	s->index = n - 1;
	s->forks = PG_GET(pg_forks);
	__atomic_fetch_add(&s->generation, 1, __ATOMIC_RELEASE);
	PG_PUT(s->numbers, 1); /* whoever begins it holds it */
	return n;
}

/* The program may have closed it, and its number be another file's. */
static void close_kept(struct pg_story *s)
{
	int fd = __atomic_exchange_n(&s->kept, 0, __ATOMIC_RELAXED) - 1;
	struct pg_stat st;

	if (fd >= 0 && !pg_fstat(fd, &st) && st.ino == s->kept_ino)
		pg_sys1(SYS_close, fd);
}

static void end_story(struct pg_story *s)
{
	if (PG_UNLIKELY(PG_GET(s->kept)))
		close_kept(s);
	PG_PUT(s->ino, 0);
	__atomic_fetch_add(&s->generation, 1, __ATOMIC_RELEASE);
	push_free(s);
}

/* ---- numbers and their stories ---- */

/* What F sent since it was last asked is added to its story. */
static void settle(struct pg_story *s, struct pg_fd *f)
{
	uint64_t now = PG_GET(f->sent);
	uint64_t before = __atomic_exchange_n(&f->settled, now, __ATOMIC_RELAXED);

	__atomic_fetch_add(&s->sent, now - before, __ATOMIC_RELAXED);
}

static void list(struct pg_story *s, int32_t from, int32_t to)
{
	for (unsigned i = 0; i < sizeof s->fd / sizeof *s->fd; i++) {
		int32_t has = from;

		if (__atomic_compare_exchange_n(&s->fd[i], &has, to, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return;
	}
}

static void drop(struct pg_story *s)
{
	if (!__atomic_sub_fetch(&s->numbers, 1, __ATOMIC_ACQ_REL))
		end_story(s);
}

/* F's number has its story no more, which ends with its last number. */
static void let_go(int fd, struct pg_fd *f)
{
	uint32_t n = __atomic_exchange_n(&f->story, 0, __ATOMIC_ACQ_REL);
	struct pg_story *s = story(n);

	if (!s)
		return;
	settle(s, f);
	list(s, fd + 1, 0);
	drop(s);
}

/* F takes over the caller's hold of story N; not if another thread was quicker. */
static void give(int fd, struct pg_fd *f, uint32_t n)
{
	struct pg_story *s = story(n);
	uint32_t none = 0;

	if (s && __atomic_compare_exchange_n(&f->story, &none, n, false, __ATOMIC_ACQ_REL,
					     __ATOMIC_RELAXED))
		list(s, 0, fd + 1);
	else if (s)
		drop(s);
}

/* One that has ended meanwhile is not held: another may begin in its place. */
static bool hold(struct pg_story *s)
{
	uint32_t n = PG_GET(s->numbers);

	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(&s->numbers, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return true;
}

/* The story that F has; one begins if it has none. 0: there is no room. */
static uint32_t story_of(int fd, struct pg_fd *f)
{
	uint32_t n = __atomic_load_n(&f->story, __ATOMIC_ACQUIRE);
	struct pg_story *s;

	if (n || !(n = begin_story()))
		return n;
	s = story(n);
	if (!s)
		return 0;
	s->partial = f->partial;
	s->foreign = !pg_fd_is_sure(fd, f);
	give(fd, f, n);
	return __atomic_load_n(&f->story, __ATOMIC_ACQUIRE);
}

/* F counts from here on for what is behind its number now. */
static void start_again(struct pg_fd *f, bool born)
{
	PG_PUT(f->settled, PG_GET(f->sent));
	PG_PUT(f->unruled, 0);
	PG_PUT(f->connection, 0);
	PG_PUT(f->unsure, !born);
	PG_PUT(f->born, born);
	PG_PUT(f->partial, 0);
	PG_PUT(f->type, 0);
}

void pg_fd_fresh(int fd, int type)
{
	struct pg_fd *f = fd < 0 || pg_process_is_vforked() ? NULL : record(fd);

	if (!f)
		return;
	let_go(fd, f);
	start_again(f, true);
	PG_PUT(f->type, (uint8_t)type);
}

/* A record that nobody has used stays as it is: a program may close all numbers that there are. */
static void close_record(int fd, struct pg_fd *f)
{
	if (!(PG_GET(f->sent) | PG_GET(f->story) | PG_GET(f->unruled) | PG_GET(f->born)))
		return;
	if (pg_process_is_vforked())
		return;
	let_go(fd, f);
	start_again(f, false);
}

void pg_fd_closed(int fd)
{
	struct pg_fd *f = pg_fd(fd);

	if (f)
		close_record(fd, f);
}

void pg_fd_closed_range(unsigned first, unsigned last)
{
	for (uint64_t fd = first; fd <= last && fd < (uint64_t)CHUNKS * PG_FD_LOW;) {
		struct pg_fd *f = pg_fd((int)fd);

		if (f)
			close_record((int)fd, f);
		fd = f ? fd + 1 : (fd / PG_FD_LOW + 1) * PG_FD_LOW;
	}
}

void pg_fd_copied(int from, int to)
{
	struct pg_fd *a, *b;
	struct pg_story *s;
	uint32_t n;

	if (from == to || from < 0 || to < 0 || pg_process_is_vforked())
		return;
	a = record(from);
	b = record(to);
	if (!b)
		return;
	let_go(to, b);
	start_again(b, false);
	n = a ? story_of(from, a) : 0;
	s = story(n);
	if (!s || !hold(s))
		return;
	if (__atomic_load_n(&a->story, __ATOMIC_ACQUIRE) != n) { /* FROM was closed meanwhile */
		drop(s);
		return;
	}
	PG_PUT(b->unsure, 0);
	PG_PUT(b->born, a->born);
	PG_PUT(b->type, a->type);
	PG_PUT(b->connection, a->connection);
	give(to, b, n);
}

void pg_fd_passed_by(int fd)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? story(PG_GET(f->story)) : NULL;

	if (!f || pg_process_is_vforked())
		return;
	PG_PUT(f->partial, 1);
	if (s)
		PG_PUT(s->partial, true);
}

void pg_fd_lent(int fd)
{
	struct pg_fd *f = pg_process_is_vforked() || fd < 0 ? NULL : record(fd);
	struct pg_story *s = f ? story(story_of(fd, f)) : NULL;

	if (s)
		PG_PUT(s->foreign, true);
}

/* ---- the story of an object ---- */

static bool is_of(const struct pg_story *s, const struct pg_stat *st)
{
	return PG_GET(s->ino) == st->ino && PG_GET(s->dev) == st->dev;
}

static void tie(struct pg_story *s, const struct pg_stat *st)
{
	PG_PUT(s->dev, st->dev);
	__atomic_store_n(&s->ino, st->ino, __ATOMIC_RELEASE);
}

/* Asks the kernel for what S is of, which its one number stands for. */
static void identify(struct pg_story *s)
{
	int fd = PG_GET(s->fd[0]) - 1;
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);
	struct pg_stat st;

	if (f && story(PG_GET(f->story)) == s && !f->unsure && !pg_confined && !pg_fstat(fd, &st))
		tie(s, &st);
}

/* A story of ST by another number; 0: none. */
static uint32_t find_story(const struct pg_stat *st)
{
	enum { ASKED_MAX = 16 };
	unsigned asked = 0;

	for (uint32_t n = 1; n <= PG_GET(stories_made); n++) {
		struct pg_story *s = story(n);

		if (!s || !(PG_GET(s->generation) & 1))
			continue;
		if (!PG_GET(s->ino) && asked++ < ASKED_MAX)
			identify(s);
		if (is_of(s, st))
			return n;
	}
	return 0;
}

/* The story that F has, if it is of ST; else it is let go. */
static struct pg_story *own_story(int fd, struct pg_fd *f, const struct pg_stat *st, bool change)
{
	struct pg_story *s = story(__atomic_load_n(&f->story, __ATOMIC_ACQUIRE));

	if (!s || is_of(s, st))
		return s;
	if (!PG_GET(s->ino) && pg_fd_is_sure(fd, f)) {
		if (change)
			tie(s, st);
		return s;
	}
	if (change) { /* closed and used again, and nobody saw it */
		let_go(fd, f);
		start_again(f, false);
	}
	return NULL;
}

/* F is one more number of story N, if that is still ST's. */
static void share(int fd, struct pg_fd *f, uint32_t n, const struct pg_stat *st)
{
	struct pg_story *s = story(n);

	if (!s || !hold(s))
		return;
	if (is_of(s, st))
		give(fd, f, n);
	else
		drop(s);
}

struct pg_story *pg_fd_story(int fd, const struct pg_stat *st, bool make)
{
	bool change = make && !pg_process_is_vforked();
	struct pg_fd *f = change ? record(fd) : fd < 0 ? NULL : pg_fd(fd);
	struct pg_story *s = f && st->ino ? own_story(fd, f, st, change) : NULL;
	uint32_t n;

	if (s || !f || !st->ino)
		return s;
	n = PG_GET(f->born) ? 0 : find_story(st); /* what was just made is behind no other number */
	if (!change)
		return story(n);
	share(fd, f, n, st);
	s = story(story_of(fd, f));
	if (s)
		tie(s, st);
	return s;
}

int64_t pg_story_sent(struct pg_story *s)
{
	for (unsigned i = 0; i < sizeof s->fd / sizeof *s->fd; i++) {
		int fd = PG_GET(s->fd[i]) - 1;
		struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

		if (f && story(PG_GET(f->story)) == s)
			settle(s, f);
	}
	if (PG_GET(s->numbers) > sizeof s->fd / sizeof *s->fd)
		return -1;
	return (int64_t)PG_GET(s->sent);
}

void pg_story_unrule(const struct pg_story *s)
{
	for (unsigned i = 0; i < sizeof s->fd / sizeof *s->fd; i++) {
		int fd = PG_GET(s->fd[i]) - 1;
		struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

		if (f)
			PG_PUT(f->unruled, 0);
	}
}

bool pg_story_is_ours_alone(const struct pg_story *s)
{
	return PG_GET(s->numbers) == 1 && !s->foreign && s->forks == PG_GET(pg_forks);
}

void pg_fd_replaced(int fd)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? story(PG_GET(f->story)) : NULL, *copy;
	struct pg_stat st;
	uint32_t n;

	if (!f || pg_fstat(fd, &st))
		return;
	PG_PUT(f->unruled, 0);
	if (!s || is_of(s, &st) || pg_process_is_vforked())
		return;
	if (PG_GET(s->numbers) == 1) {
		tie(s, &st);
		return;
	}
	n = begin_story(); /* the other numbers keep what was there */
	copy = story(n);
	if (!copy)
		return;
	settle(s, f);
	__builtin_memcpy(&copy->sent, &s->sent, sizeof *s - offsetof(struct pg_story, sent));
	tie(copy, &st);
	let_go(fd, f);
	give(fd, f, n);
}

void pg_fd_keep(int fd, int kept)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : record(fd);
	struct pg_story *s = f ? story(story_of(fd, f)) : NULL;
	struct pg_stat st;

	if (!s || pg_fstat(kept, &st))
		return;
	if (s->kept)
		close_kept(s);
	s->kept_ino = st.ino;
	PG_PUT(s->kept, kept + 1);
}

/* ---- warnings ---- */

void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : record(fd);
	struct pg_story *s = f ? story(story_of(fd, f)) : NULL;

	if (!s)
		return;
	settle(s, f);
	s->told[what] = (struct pg_warning){.at = pg_now(),
					    .sent = PG_GET(s->sent),
					    .caller = pg_code_at(caller),
					    .call = pg_call_plain((enum pg_call)call),
					    .err = err};
	if (what == PG_EOF || what == PG_SHUTDOWN)
		return;
	/* no connection came of it */
	if (what == PG_REFUSED || (what == PG_ERROR && s->connecting && !PG_GET(s->sent)))
		s->since = 0;
	s->connecting = false;
}

/* ---- connections ---- */

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

int pg_fd_type(int fd)
{
	struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);
	int type = f ? PG_GET(f->type) : 0;
	socklen_t len = sizeof type;

	if (type || pg_confined)
		return type;
	pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (f)
		PG_PUT(f->type, (uint8_t)type);
	return type;
}

/* The story of the socket FD, as one that begins anew; but what rules counted for it (conn, COUNTS)
 * and did to it stays. */
static struct pg_story *begin_connection(int fd, struct pg_fd *f)
{
	struct pg_stat st = {.ino = 0};
	struct pg_story *s;

	if (pg_confined || pg_fstat(fd, &st))
		s = story(story_of(fd, f));
	else
		s = pg_fd_story(fd, &st, true);
	if (!s)
		return NULL;
	pg_story_sent(s); /* settles all that went before */
	PG_PUT(s->sent, 0);
	s->received = s->since = 0;
	s->peer.family = s->local.family = 0;
	__builtin_memset(s->told, 0, sizeof s->told);
	s->number = s->suppressed = 0;
	s->side = PG_NO_SIDE;
	s->ended = s->lingers = s->connecting = s->foreign = s->partial = false;
	s->forks = PG_GET(pg_forks);
	return s;
}

/* A record of its own for the socket FD; a null pointer: none. */
static struct pg_fd *connection_record(int fd, bool fresh)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : record(fd);

	if (!f)
		return NULL;
	if (fresh) {
		let_go(fd, f);
		start_again(f, true);
	}
	PG_PUT(f->unruled, 0);
	PG_PUT(f->connection, 1);
	return f;
}

void pg_fd_connection(int fd, enum pg_side side, int type, const struct sockaddr *addr, size_t len,
		      bool connecting)
{
	struct pg_fd *f = connection_record(fd, side == PG_SERVER);
	struct pg_story *s = f ? begin_connection(fd, f) : NULL;

	if (!s)
		return;
	s->side = (uint8_t)side;
	s->since = pg_now();
	s->connecting = connecting;
	PG_PUT(f->type, (uint8_t)type);
	if (addr)
		pg_addr_set(&s->peer, addr, len);
}

void pg_fd_number(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? story(PG_GET(f->story)) : NULL;

	if (s && PG_GET(f->type) == SOCK_STREAM && !pg_process_is_vforked())
		s->number = next_number(s->side);
}

void pg_fd_established(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? story(PG_GET(f->story)) : NULL;

	if (s && !pg_process_is_vforked())
		s->connecting = false;
}

void pg_fd_unconnected(int fd, const struct sockaddr *addr, size_t len)
{
	struct pg_fd *f = connection_record(fd, false);
	struct pg_story *s = f ? begin_connection(fd, f) : NULL;

	if (!s)
		return;
	s->side = PG_CLIENT;
	if (addr)
		pg_addr_set(&s->peer, addr, len);
}

void pg_fd_disconnected(int fd)
{
	struct pg_fd *f = connection_record(fd, false);

	if (!f)
		return;
	begin_connection(fd, f);
	PG_PUT(f->connection, 0);
}

bool pg_fd_is_ip(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	const struct pg_story *s = f ? story(PG_GET(f->story)) : NULL;

	return s && (s->peer.family == AF_INET || s->peer.family == AF_INET6);
}

bool pg_fd_is_connecting(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	const struct pg_story *s = f ? story(PG_GET(f->story)) : NULL;
	struct pg_stat st;

	return s && s->connecting && !pg_confined && !pg_fstat(fd, &st) && is_of(s, &st);
}

void pg_fd_adopt(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	long ret = pg_confined ? -ENOTSOCK : pg_sys3(SYS_getpeername, fd, &ss, &len);
	struct pg_fd *f;
	struct pg_story *s;
	struct pg_stat st;

	if (ret == -ENOTSOCK || ret == -EBADF || pg_fstat(fd, &st))
		return;
	f = connection_record(fd, true);
	s = f ? pg_fd_story(fd, &st, true) : NULL;
	if (!s)
		return;
	s->foreign = true;
	if (!ret)
		pg_addr_set(&s->peer, (const struct sockaddr *)&ss, len);
}
