/* SPDX-License-Identifier: MIT */
#include "object/story.h"

#include "base/process.h"

#include <errno.h>
#include <stddef.h>

/* In chunks; those that are free in a list. */
static struct pg_story first_stories[PG_STORIES];
static void *story_chunks[PG_STORY_CHUNKS];
static uint32_t made;
static pg_shared64 free_stories; /* the first one; above it a tag, another at each change */

struct pg_story *pg_story_at(uint32_t n)
{
	struct pg_story *chunk = first_stories;

	if (!n)
		return NULL;
	if (--n >= PG_STORIES)
		chunk = __atomic_load_n(&story_chunks[n / PG_STORIES], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[n % PG_STORIES] : NULL;
}

static uint32_t pop_free(void)
{
	uint64_t head = __atomic_load_n(&free_stories, __ATOMIC_ACQUIRE), next;

	do {
		if (!(uint32_t)head)
			return 0;
		next = ((head >> 32) + 1) << 32 | PG_GET(pg_story_at((uint32_t)head)->next);
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
	uint32_t n = __atomic_load_n(&made, __ATOMIC_RELAXED);

	do {
		if (n == PG_STORIES * PG_STORY_CHUNKS ||
		    (n >= PG_STORIES &&
		     !pg_map_once(&story_chunks[n / PG_STORIES], sizeof first_stories)))
			return 0;
	} while (!__atomic_compare_exchange_n(&made, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return n + 1;
}

uint32_t pg_story_begin(void)
{
	uint32_t n = pop_free();
	struct pg_story *s;

	if (!n)
		n = make_number();
	s = pg_story_at(n);
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

uint32_t pg_stories_made(void)
{
	return PG_GET(made);
}

void pg_story_list(struct pg_story *s, int32_t from, int32_t to)
{
	for (unsigned i = 0; i < sizeof s->fd / sizeof *s->fd; i++) {
		int32_t has = from;

		if (__atomic_compare_exchange_n(&s->fd[i], &has, to, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return;
	}
}

void pg_story_drop(struct pg_story *s)
{
	if (!__atomic_sub_fetch(&s->numbers, 1, __ATOMIC_ACQ_REL))
		end_story(s);
}

bool pg_story_hold(struct pg_story *s)
{
	uint32_t n = PG_GET(s->numbers);

	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(&s->numbers, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return true;
}

bool pg_story_is_of(const struct pg_story *s, const struct pg_stat *st)
{
	return PG_GET(s->ino) == st->ino && PG_GET(s->dev) == st->dev;
}

void pg_story_tie(struct pg_story *s, const struct pg_stat *st)
{
	PG_PUT(s->dev, st->dev);
	__atomic_store_n(&s->ino, st->ino, __ATOMIC_RELEASE);
}

void pg_story_keep(struct pg_story *s, int kept)
{
	struct pg_stat st;

	if (pg_fstat(kept, &st))
		return;
	if (s->kept)
		close_kept(s);
	s->kept_ino = st.ino;
	PG_PUT(s->kept, kept + 1);
}

bool pg_story_is_ours_alone(const struct pg_story *s)
{
	return PG_GET(s->numbers) == 1 && !s->foreign && s->forks == PG_GET(pg_forks);
}

uint32_t pg_story_suppress(struct pg_story *s)
{
	return __atomic_fetch_add(&s->suppressed, 1, __ATOMIC_RELAXED);
}

void pg_story_received(struct pg_story *s, uint64_t n)
{
	if (s)
		__atomic_fetch_add(&s->received, n, __ATOMIC_RELAXED);
}
