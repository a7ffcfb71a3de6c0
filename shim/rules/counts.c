/* SPDX-License-Identifier: MIT */
#include "rules/counts.h"

#include "base/process.h"
#include "object/look.h"
#include "rules/page.h"

#include <errno.h>

/* ---- of a process ---- */

struct pg_sum pg_sums[PG_RULE_SLOTS];
_Static_assert(sizeof pg_sums == PG_COUNTS_ROOM, "what is kept elsewhere");

/* Without a page those of the start stand first. */
static size_t used(void)
{
	return pg_page() ? sizeof pg_sums : pg_rules.n * sizeof *pg_sums;
}

void pg_counts_take(const void *room)
{
	__builtin_memcpy(pg_sums, room, used());
}

void pg_counts_put_back(void *room)
{
	__builtin_memcpy(room, pg_sums, used());
}

static uint64_t owner_of(unsigned n)
{
	return PG_SUM_OWNER(pg_rules.rule[n].serial, pg_process());
}

uint64_t pg_sum_tag(unsigned n)
{
	return pg_count_tag(owner_of(n));
}

/* Threads that come here at once do the same: nobody takes away what another one has counted. */
static PG_COLD void own(struct pg_sum *s, unsigned n, uint64_t owner)
{
	const uint64_t most = (uint64_t)1 << PG_COUNT_BITS;
	uint64_t first = pg_rules.rule[n].first;
	struct pg_count matched = {&s->matched, pg_count_tag(owner)};

	pg_count_add(matched, 0);
	PG_PUT(s->until, matched.tag + (first < most ? first : most - 1));
	__atomic_store_n(&s->owner, owner, __ATOMIC_RELEASE);
}

struct pg_sum *pg_sum_of(unsigned n)
{
	struct pg_sum *s = &pg_sums[pg_rules.rule[n].serial % PG_RULE_SLOTS];
	uint64_t owner = owner_of(n);

	if (PG_UNLIKELY(PG_GET(s->owner) != owner))
		own(s, n, owner);
	return s;
}

/* ---- of a thread ---- */

enum { COUNTERS = 4096, PROBES = 16 };

/* Of one thread, for scope=thread. */
struct counter {
	pg_shared64 key, count;
	uint32_t process, thread;
};
static void *counters;	      /* COUNTERS of them, mapped with the first rule that counts there */
static pg_shared64 uncounted; /* calls for which there was no room */

static struct counter *all_counters(void)
{
	return pg_map_once(&counters, COUNTERS * sizeof(struct counter));
}

/* Of a process that this one was forked from, or of a thread that has gone? */
static bool is_over(const struct counter *c)
{
	uint32_t process = PG_GET(c->process), thread = PG_GET(c->thread);

	if (!thread) /* of another process: not known */
		return false;
	return process != (uint32_t)pg_process() ||
	       pg_sys3(SYS_tgkill, process, thread, 0) == -ESRCH;
}

static bool take_counter(struct counter *c, uint64_t old, uint64_t key, bool ours)
{
	if (!__atomic_compare_exchange_n(&c->key, &old, key, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return old == key;
	PG_PUT(c->process, (uint32_t)pg_process());
	PG_PUT(c->thread, ours ? (uint32_t)pg_sys0(SYS_gettid) : 0);
	return true;
}

/* A thread's number is used again: it has another name here. */
static uint64_t this_thread(void)
{
	static uint32_t names;
	static __thread uint32_t name __attribute__((tls_model("initial-exec")));

	if (!name)
		name = __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED);
	return name;
}

/* This thread's, or that of OTHER, for rule RULE. */
static struct pg_count thread_counter(unsigned rule, bool fired, uint64_t other)
{
	uint64_t who = other ? other : this_thread();
	uint64_t key =
		pg_mix(pg_mix(pg_mix(fired ? 3 : 5, pg_rules.rule[rule].serial), pg_process()),
		       who) |
		1;
	struct counter *all = all_counters();

	for (unsigned i = 0; all && i < PROBES; i++) {
		struct counter *c = &all[(key + i) % COUNTERS];
		uint64_t has = PG_GET(c->key);

		if (has == key || (!has && take_counter(c, 0, key, !other)))
			return (struct pg_count){&c->count, pg_count_tag(key)};
	}
	for (unsigned i = 0; all && i < PROBES; i++) {
		struct counter *c = &all[(key + i) % COUNTERS];

		if (is_over(c) && take_counter(c, PG_GET(c->key), key, !other))
			return (struct pg_count){&c->count, pg_count_tag(key)};
	}
	__atomic_fetch_add(&uncounted, 1, __ATOMIC_RELAXED);
	return (struct pg_count){NULL, 0};
}

/* ---- of an object ---- */

/* The rules with scope=fd count in the story of each object, so they begin and end with it. */
static PG_START_DATA unsigned fd_slots;
static void *story_counts; /* of each chunk of stories where they are; mapped as the counters */

static void **all_story_counts(void)
{
	return pg_map_once(&story_counts, PG_STORY_CHUNKS * sizeof(void *));
}

struct pair {
	pg_shared64 matched, fired;
};

/* Of rule N for the object of S, in this process. */
static uint64_t tag_of(unsigned n, const struct pg_story *s)
{
	return pg_count_tag(pg_mix(owner_of(n), PG_GET(s->generation)));
}

/* The counts of rule N for the object of S; a null pointer: there is no room. */
static struct pair *object_counts(unsigned n, const struct pg_story *s)
{
	size_t of_story = fd_slots * sizeof(struct pair);
	void **all = all_story_counts();
	char *chunk = all ? pg_map_once(&all[s->index / PG_STORIES], PG_STORIES * of_story) : NULL;

	if (chunk)
		return (struct pair *)(void *)(chunk + s->index % PG_STORIES * of_story) +
		       pg_rules.rule[n].fd_slot;
	__atomic_fetch_add(&uncounted, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* ---- all of them ---- */

void pg_counts_start(void)
{
	bool threads = false;

	for (unsigned n = 0; n < pg_rules.n; n++) {
		if (pg_rules.rule[n].scope == PG_SCOPE_FD)
			pg_rules.rule[n].fd_slot = (uint8_t)fd_slots++;
		threads |= pg_rules.rule[n].scope == PG_SCOPE_THREAD;
	}
	if (fd_slots)
		all_story_counts();
	if (threads)
		all_counters();
}

void pg_counts_start_live(void)
{
	fd_slots = PG_RULE_SLOTS;
}

uint64_t pg_counts_missed(void)
{
	return PG_GET(uncounted);
}

struct pg_count pg_count_of(unsigned n, const struct pg_op *op, bool fired)
{
	struct pair *p;

	switch (pg_rules.rule[n].scope) {
	case PG_SCOPE_THREAD:
		return thread_counter(n, fired, op->thread);
	case PG_SCOPE_FD:
		p = op->object->story ? object_counts(n, op->object->story) : NULL;
		if (!p)
			return (struct pg_count){NULL, 0};
		return (struct pg_count){fired ? &p->fired : &p->matched,
					 tag_of(n, op->object->story)};
	case PG_SCOPE_RULE:
		break;
	}
	return (struct pg_count){fired ? &pg_sum_of(n)->fired : &pg_sum_of(n)->matched,
				 pg_sum_tag(n)};
}
