/* SPDX-License-Identifier: MIT */
#include "log/room.h"

#include "base/process.h"

#include <signal.h>

enum { ROOMS = 64, SIGSET_BYTES = 8 };

/* Pages of their own, which a fork child finds zeroed. */
static struct rooms {
	struct pg_room room[ROOMS];
} __attribute__((aligned(PG_PAGE_MOST))) rooms;

void pg_room_prepare(void)
{
	static int wiped;

	pg_process_wipes(&rooms, sizeof rooms, &wiped);
}

static struct pg_room *map_room(void)
{
	struct pg_room *s = pg_map(sizeof *s);

	if (s)
		s->mapped = true;
	return s;
}

static struct pg_room *free_room(void)
{
	for (int i = 0; i < ROOMS; i++)
		if (!__atomic_exchange_n(&rooms.room[i].taken, 1, __ATOMIC_ACQUIRE))
			return &rooms.room[i];
	return map_room();
}

struct pg_room *pg_room_take(void)
{
	uint64_t all = ~(uint64_t)0, mask = 0;
	bool masked = !pg_confined;
	struct pg_room *s;

	pg_room_prepare();
	if (masked)
		pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, SIGSET_BYTES);
	s = free_room();
	if (s) {
		s->masked = masked;
		s->mask = mask;
		return s;
	}
	pg_log_drop();
	if (masked)
		pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, SIGSET_BYTES);
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
		pg_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, SIGSET_BYTES);
}
