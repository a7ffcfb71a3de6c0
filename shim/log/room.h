/* SPDX-License-Identifier: MIT */
#ifndef PG_ROOM_H
#define PG_ROOM_H

#include "log/event.h"
#include "log/log.h"

/*
 * Room for one event: an event needs some 7 KiB, more than a small stack has.
 * Taken and given back without a lock; a fork child starts with all free
 * (MADV_WIPEONFORK), a vfork child shares them and takes its own. Where more
 * threads break at once than there is room, more is mapped.
 *
 * Whoever has one is not interrupted: no handler of the program's can jump out
 * of an event and take its room along, nor can a cancellation.
 */
struct pg_room {
	uint32_t taken;
	bool mapped, masked;
	uint64_t mask; /* the program's own, if masked */
	struct pg_event event;
	union {
		struct pg_cursor cursor; /* while its stack is looked at */
		struct pg_naming naming; /* while it is written */
	};
	char line[PG_LINE_MAX];
};

/* Before the program confines itself. */
void pg_room_prepare(void);

/* A null pointer: there is none, and the line is counted as lost. */
struct pg_room *pg_room_take(void);
void pg_room_give(struct pg_room *room);

#endif
