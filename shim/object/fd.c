/* SPDX-License-Identifier: MIT */
#include "object/fd.h"

#include "base/next.h"
#include "base/process.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

struct pg_fd pg_fds[PG_FD_LOW];

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

struct pg_fd *pg_fd_record(int fd)
{
	struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

	if (f || fd < 0 || fd / PG_FD_LOW >= CHUNKS ||
	    !pg_map_once(&chunks[fd / PG_FD_LOW], sizeof pg_fds))
		return f;
	return pg_fd(fd);
}

bool pg_fd_is_sure(int fd, const struct pg_fd *f)
{
	return !f->unsure && (fd < PG_FD_LOW || f->born);
}

/* ---- numbers and their stories ---- */

void pg_fd_settle(struct pg_story *s, struct pg_fd *f)
{
	uint64_t now = PG_GET(f->sent);
	uint64_t before = __atomic_exchange_n(&f->settled, now, __ATOMIC_RELAXED);

	__atomic_fetch_add(&s->sent, now - before, __ATOMIC_RELAXED);
}

typedef void number_fn(struct pg_story *s, struct pg_fd *f);

static bool is_number_of(const struct pg_story *s, const struct pg_fd *f)
{
	return f && PG_GET(f->story) == s->index + 1;
}

/* The same where S has more numbers than its list: those below PG_FD_LOW. */
static PG_COLD bool each_low_number(struct pg_story *s, number_fn *what)
{
	uint32_t found = 0;

	for (int fd = 0; fd < PG_FD_LOW; fd++)
		if (is_number_of(s, &pg_fds[fd])) {
			what(s, &pg_fds[fd]);
			found++;
		}
	return found >= PG_GET(s->numbers);
}

/* WHAT is done to the record of each number of S. False: there are more. */
static bool each_number(struct pg_story *s, number_fn *what)
{
	enum { LISTED = sizeof s->fd / sizeof *s->fd };

	for (unsigned i = 0; i < LISTED; i++) {
		int fd = PG_GET(s->fd[i]) - 1;
		struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

		if (is_number_of(s, f))
			what(s, f);
	}
	return PG_GET(s->numbers) <= LISTED || each_low_number(s, what);
}

/* F's number has its story no more, which ends with its last number. */
static void let_go(int fd, struct pg_fd *f)
{
	uint32_t n = __atomic_exchange_n(&f->story, 0, __ATOMIC_ACQ_REL);
	struct pg_story *s = pg_story_at(n);

	if (!s)
		return;
	pg_fd_settle(s, f);
	pg_story_list(s, fd + 1, 0);
	pg_story_drop(s);
}

/* F takes over the caller's hold of story N; not if another thread was quicker. */
static void give(int fd, struct pg_fd *f, uint32_t n)
{
	struct pg_story *s = pg_story_at(n);
	uint32_t none = 0;

	if (s && __atomic_compare_exchange_n(&f->story, &none, n, false, __ATOMIC_ACQ_REL,
					     __ATOMIC_RELAXED))
		pg_story_list(s, 0, fd + 1);
	else if (s)
		pg_story_drop(s);
}

uint32_t pg_fd_story_of(int fd, struct pg_fd *f)
{
	uint32_t n = __atomic_load_n(&f->story, __ATOMIC_ACQUIRE);
	struct pg_story *s;

	if (n || !(n = pg_story_begin()))
		return n;
	s = pg_story_at(n);
	if (!s)
		return 0;
	s->partial = f->partial;
	s->foreign = !pg_fd_is_sure(fd, f);
	give(fd, f, n);
	return __atomic_load_n(&f->story, __ATOMIC_ACQUIRE);
}

/* ---- what is held and not read ---- */

PG_START_DATA long pg_read_odd;
static uint32_t unread, looked; /* numbers that are; reads that were looked at for them */
static uint8_t unread_time = 1;

/* Reads cost little while nobody asks for them, so it is not asked for ever. */
void pg_fd_unread_ends(void)
{
	uint8_t next = (uint8_t)(PG_GET(unread_time) + 1);

	PG_PUT(unread_time, next ? next : 1);
	PG_PUT(unread, 0);
	PG_PUT(looked, 0);
	PG_PUT(pg_read_odd, 0);
}

void pg_fd_unread(int fd)
{
	struct pg_fd *f = fd < 0 || pg_process_is_vforked() ? NULL : pg_fd_record(fd);

	if (!f)
		return;
	PG_PUT(f->forks, PG_GET(pg_forks) + 1);
	PG_PUT(f->unread, PG_GET(unread_time));
	__atomic_fetch_add(&unread, 1, __ATOMIC_RELAXED);
	PG_PUT(pg_read_odd, LONG_MAX);
}

static void set_read(struct pg_fd *f)
{
	uint8_t was = __atomic_exchange_n(&f->unread, 0, __ATOMIC_RELAXED);

	if (was && was == PG_GET(unread_time) &&
	    __atomic_sub_fetch(&unread, 1, __ATOMIC_RELAXED) == 0)
		PG_PUT(pg_read_odd, 0);
}

void pg_fd_was_read(int fd)
{
	enum { MOST = 4096 };
	struct pg_fd *f = pg_process_is_vforked() ? NULL : pg_fd(fd);

	if (f && PG_GET(f->unread))
		set_read(f);
	else if (PG_GET(pg_read_odd) && __atomic_add_fetch(&looked, 1, __ATOMIC_RELAXED) > MOST)
		pg_fd_unread_ends();
}

bool pg_fd_is_unread(int fd)
{
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);

	return f && PG_GET(f->unread) == PG_GET(unread_time);
}

unsigned pg_fd_forks(int fd)
{
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);
	uint32_t made = f ? PG_GET(f->forks) : 0, born = PG_GET(pg_forks_before);

	return made ? PG_GET(pg_forks) - (made - 1 > born ? made - 1 : born) : 0;
}

/* What rules found out of F's number holds no more. */
static void look_again(struct pg_fd *f)
{
	PG_PUT(f->unruled, 0);
	PG_PUT(f->waiting, 0);
}

/* F counts from here on for what is behind its number now. */
static void start_again(struct pg_fd *f, bool born)
{
	PG_PUT(f->settled, PG_GET(f->sent));
	look_again(f);
	PG_PUT(f->connection, 0);
	PG_PUT(f->unsure, !born);
	PG_PUT(f->born, born);
	PG_PUT(f->partial, 0);
	PG_PUT(f->type, 0);
	PG_PUT(f->forks, 0);
	if (PG_GET(f->unread))
		set_read(f);
}

void pg_fd_begin(int fd, struct pg_fd *f, bool born)
{
	let_go(fd, f);
	start_again(f, born);
}

void pg_fd_fresh(int fd, int type)
{
	struct pg_fd *f = fd < 0 || pg_process_is_vforked() ? NULL : pg_fd_record(fd);

	if (!f)
		return;
	pg_fd_begin(fd, f, true);
	PG_PUT(f->type, (uint8_t)type);
}

/* A record that nobody has used stays as it is: a program may close all numbers that there are. */
static void close_record(int fd, struct pg_fd *f)
{
	if (!(PG_GET(f->sent) | PG_GET(f->story) | PG_GET(f->unruled) | PG_GET(f->born)))
		return;
	if (pg_process_is_vforked())
		return;
	pg_fd_begin(fd, f, false);
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
	a = pg_fd_record(from);
	b = pg_fd_record(to);
	if (!b)
		return;
	pg_fd_begin(to, b, false);
	if (a && PG_GET(a->unread))
		set_read(a);
	n = a ? pg_fd_story_of(from, a) : 0;
	s = pg_story_at(n);
	if (!s || !pg_story_hold(s))
		return;
	if (__atomic_load_n(&a->story, __ATOMIC_ACQUIRE) != n) { /* FROM was closed meanwhile */
		pg_story_drop(s);
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
	struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL;

	if (!f || pg_process_is_vforked())
		return;
	PG_PUT(f->partial, 1);
	if (s)
		PG_PUT(s->partial, true);
}

void pg_fd_lent(int fd)
{
	struct pg_fd *f = pg_process_is_vforked() || fd < 0 ? NULL : pg_fd_record(fd);
	struct pg_story *s = f ? pg_story_at(pg_fd_story_of(fd, f)) : NULL;

	if (f && PG_GET(f->unread))
		set_read(f);
	if (s)
		PG_PUT(s->foreign, true);
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

/* ---- the story of an object ---- */

/* Asks the kernel for what S is of, which its one number stands for. */
static void identify(struct pg_story *s)
{
	int fd = PG_GET(s->fd[0]) - 1;
	const struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);
	struct pg_stat st;

	if (f && pg_story_at(PG_GET(f->story)) == s && !f->unsure && !pg_confined &&
	    !pg_fstat(fd, &st))
		pg_story_tie(s, &st);
}

/* A story of ST by another number; 0: none. */
static uint32_t find_story(const struct pg_stat *st)
{
	enum { ASKED_MAX = 16 };
	unsigned asked = 0;

	for (uint32_t n = 1; n <= pg_stories_made(); n++) {
		struct pg_story *s = pg_story_at(n);

		if (!s || !(PG_GET(s->generation) & 1))
			continue;
		if (!PG_GET(s->ino) && asked++ < ASKED_MAX)
			identify(s);
		if (pg_story_is_of(s, st))
			return n;
	}
	return 0;
}

/* The story that F has, if it is of ST; else it is let go. */
static struct pg_story *own_story(int fd, struct pg_fd *f, const struct pg_stat *st, bool change)
{
	struct pg_story *s = pg_story_at(__atomic_load_n(&f->story, __ATOMIC_ACQUIRE));

	if (!s || pg_story_is_of(s, st))
		return s;
	if (!PG_GET(s->ino) && pg_fd_is_sure(fd, f)) {
		if (change)
			pg_story_tie(s, st);
		return s;
	}
	if (change) { /* closed and used again, and nobody saw it */
		pg_fd_begin(fd, f, false);
	}
	return NULL;
}

bool pg_fd_is_copied(int fd, const struct pg_stat *st)
{
	struct pg_fd *f = fd < 0 ? NULL : pg_fd(fd);
	const struct pg_story *s = f ? own_story(fd, f, st, false) : NULL;

	return s && PG_GET(s->numbers) > 1;
}

/* F is one more number of story N, if that is still ST's. */
static void share(int fd, struct pg_fd *f, uint32_t n, const struct pg_stat *st)
{
	struct pg_story *s = pg_story_at(n);

	if (!s || !pg_story_hold(s))
		return;
	if (pg_story_is_of(s, st))
		give(fd, f, n);
	else
		pg_story_drop(s);
}

struct pg_story *pg_fd_story(int fd, const struct pg_stat *st, bool make)
{
	bool change = make && !pg_process_is_vforked();
	struct pg_fd *f = change ? pg_fd_record(fd) : fd < 0 ? NULL : pg_fd(fd);
	struct pg_story *s = f && st->ino ? own_story(fd, f, st, change) : NULL;
	uint32_t n;

	if (s || !f || !st->ino)
		return s;
	n = PG_GET(f->born) ? 0 : find_story(st); /* what was just made is behind no other number */
	if (!change)
		return pg_story_at(n);
	share(fd, f, n, st);
	s = pg_story_at(pg_fd_story_of(fd, f));
	if (s)
		pg_story_tie(s, st);
	return s;
}

int64_t pg_story_sent(struct pg_story *s)
{
	bool all = each_number(s, pg_fd_settle);

	return all ? (int64_t)PG_GET(s->sent) : -1;
}

void pg_fd_keep(int fd, int kept)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : pg_fd_record(fd);
	struct pg_story *s = f ? pg_story_at(pg_fd_story_of(fd, f)) : NULL;

	if (s)
		pg_story_keep(s, kept);
}

/* ---- for everyone else ---- */

void pg_fd_changed(int fd)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL, *copy;
	struct pg_stat st;
	uint32_t n;

	if (!f || pg_fstat(fd, &st))
		return;
	look_again(f);
	if (!s || pg_story_is_of(s, &st) || pg_process_is_vforked())
		return;
	if (PG_GET(s->numbers) == 1) {
		pg_story_tie(s, &st);
		return;
	}
	n = pg_story_begin(); /* the other numbers keep what was there */
	copy = pg_story_at(n);
	if (!copy)
		return;
	pg_fd_settle(s, f);
	__builtin_memcpy(&copy->sent, &s->sent, sizeof *s - offsetof(struct pg_story, sent));
	pg_story_tie(copy, &st);
	let_go(fd, f);
	give(fd, f, n);
}

void pg_fd_judged(int fd, const struct pg_judgement *j)
{
	struct pg_fd *f = pg_fd(fd);

	if (!f)
		return;
	PG_PUT(f->rules, j->rules);
	PG_PUT(f->generation, j->generation);
	PG_PUT(f->waiter, j->waiter);
	PG_PUT(f->waiting, j->waiting);
	PG_PUT(f->unruled, ~j->calls);
}

static void unjudge_number(struct pg_story *s, struct pg_fd *f)
{
	(void)s;
	look_again(f);
}

/* What rules found out of the numbers of S holds no more. */
static void unjudge(struct pg_story *s)
{
	each_number(s, unjudge_number);
}

void pg_story_broken(struct pg_story *s, int32_t rule)
{
	if (!s)
		return;
	s->rule = rule;
	s->injected = rule >= 0;
	unjudge(s);
}

void pg_story_ended(struct pg_story *s)
{
	if (!s)
		return;
	s->ended = true;
	unjudge(s);
}

void pg_story_lingers(struct pg_story *s)
{
	if (!s)
		return;
	s->lingers = true;
	unjudge(s);
}
