/* SPDX-License-Identifier: MIT */
#include "log/room.h"

#include "base/process.h"

#include <signal.h>

/* Few programs break in more than FIRST threads at once: the room for more is mapped at need, and
 * kept. */
enum { FIRST = 16, MORE = 48 };

/* Pages of their own, which a fork child finds zeroed. */
static struct rooms {
	struct pg_room room[FIRST];
} __attribute__((aligned(PG_PAGE_MOST))) first;
static void *more;

static void wipe_first(void)
{
	static int wiped;

	pg_process_wipes(&first, sizeof first, &wiped);
}

static struct pg_room *map_more(void)
{
	static int wiped;
	struct pg_room *rooms = pg_map_once(&more, MORE * sizeof *rooms);

	if (rooms)
		pg_process_wipes(rooms, MORE * sizeof *rooms, &wiped);
	return rooms;
}

void pg_room_prepare(void)
{
	wipe_first();
	map_more();
}

static struct pg_room *map_room(void)
{
	struct pg_room *s = pg_map(sizeof *s);

	if (s)
		s->mapped = true;
	return s;
}

/* The first of N that nobody has; a null pointer: none. */
static struct pg_room *free_of(struct pg_room *room, unsigned n)
{
	for (struct pg_room *end = room + n; room < end; room++)
		if (!__atomic_exchange_n(&room->taken, 1, __ATOMIC_ACQUIRE))
			return room;
	return NULL;
}

static struct pg_room *free_room(void)
{
	struct pg_room *room = free_of(first.room, FIRST), *others;

	if (!room && (others = map_more()))
		room = free_of(others, MORE);
	return room ? room : map_room();
}

struct pg_room *pg_room_take(void)
{
	uint64_t all = ~(uint64_t)0, mask = 0;
	bool masked = !pg_confined;
	struct pg_room *s;

	wipe_first();
	if (masked)
		pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, PG_SIGSET_BYTES);
	s = free_room();
	if (s) {
		s->masked = masked;
		s->mask = mask;
		return s;
	}
	pg_log_drop();
	if (masked)
		pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, PG_SIGSET_BYTES);
	return NULL;
}

void pg_room_give(struct pg_room *s)
{
	uint64_t mask = s->mask;
	bool masked = s->masked;

	if (s->mapped)
		pg_sys2(SYS_munmap, s, sizeof *s);
	else
		__atomic_store_n(&s->taken, 0, __ATOMIC_RELEASE);
	if (masked)
		pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, PG_SIGSET_BYTES);
}
