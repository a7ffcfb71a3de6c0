/* SPDX-License-Identifier: MIT */
#include "stream.h"

enum { STREAMS = 1024, PROBES = 8 };

/* The one that was used least lately makes room for another. What it counted is then still in the
 * records of its descriptors. */
struct entry {
	uint64_t ino; /* 0: free */
	uint64_t used;
	struct pg_stream count;
};
static struct entry entries[STREAMS];

static struct entry *find(uint64_t ino)
{
	static uint64_t uses;
	uint64_t at = ino * 0x9e3779b97f4a7c15u >> 32;
	struct entry *oldest = &entries[at % STREAMS];

	for (unsigned i = 0; i < PROBES; i++) {
		struct entry *e = &entries[(at + i) % STREAMS];

		if (PG_GET(e->ino) == ino) {
			oldest = e;
			break;
		}
		if (PG_GET(e->used) < PG_GET(oldest->used))
			oldest = e;
	}
	if (PG_GET(oldest->ino) != ino) {
		PG_PUT(oldest->ino, ino);
		oldest->count = (struct pg_stream){0, 0};
	}
	PG_PUT(oldest->used, __atomic_add_fetch(&uses, 1, __ATOMIC_RELAXED));
	return oldest;
}

/* Another object is behind F's number than a rule saw last. */
static void begin(struct pg_fd *f, const struct pg_object *o)
{
	f->seen_ino = o->ino;
	f->settled = o->tracked ? 0 : f->unsure ? f->closed : f->sent;
	f->received = 0;
	f->ended = false;
}

/* What F sent since it was last asked is added to its stream. */
static void settle(struct pg_fd *f, struct entry *e)
{
	if (f->sent < f->settled) { /* a new connection of the same socket */
		e->count = (struct pg_stream){0, 0};
		f->settled = f->received = 0;
	}
	if (e->count.sent < f->settled && (f->ino || !f->unsure)) /* it made room */
		e->count.sent = f->settled;
	if (e->count.received < f->received)
		e->count.received = f->received;
	e->count.sent += f->sent - f->settled;
	f->settled = f->sent;
	f->received = e->count.received;
}

struct pg_stream pg_stream_look(int fd, const struct pg_object *o)
{
	struct pg_fd *f = pg_fd(fd);
	struct entry *e = find(o->ino);

	if (f && f->seen_ino != o->ino)
		begin(f, o);
	if (f)
		settle(f, e);
	return e->count;
}

void pg_stream_moved(int fd, uint64_t sent, uint64_t received)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_stat st;
	struct entry *e;

	if (f ? !f->seen_ino : pg_fstat(fd, &st))
		return;
	e = find(f ? f->seen_ino : st.ino);
	e->count.received += received;
	if (f)
		settle(f, e);
	else
		e->count.sent += sent;
}
