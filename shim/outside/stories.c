/* SPDX-License-Identifier: MIT */
#include "outside/stories.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 4096, WAYS = 8 };

/* Several objects may be one story's. */
static struct entry {
	uint64_t dev, ino, born, used;
	struct pg_story *story;
} table[SETS][WAYS];

static uint64_t uses;
static uint32_t stories;
static struct pg_story *spare; /* that no entry has; a call that waits may still look at it */

static struct entry *set_of(uint64_t dev, uint64_t ino)
{
	return table[pg_mix(dev, ino) % SETS];
}

/* A free entry, or the one that was used least lately; its story, where it is no other's, begins
 * anew. */
static struct entry *room_in(struct entry *set)
{
	struct entry *least = set;

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].used < least->used)
			least = &set[i];
	return least;
}

static bool is_shared(const struct pg_story *s)
{
	return s->numbers > 1;
}

static struct pg_story *begin(struct pg_story *old)
{
	struct pg_story *s = old && !is_shared(old) ? old : spare;
	uint32_t index;

	if (old && is_shared(old))
		old->numbers--;
	if (s && s == spare)
		spare = NULL;
	index = s ? s->index : stories++;
	s = s ? s : calloc(1, sizeof *s);
	if (!s)
		return NULL;
	memset(s, 0, sizeof *s);
	s->index = index;
	s->numbers = 1;
	return s;
}

static struct entry *find(const struct pg_object *o)
{
	struct entry *set = set_of(o->dev, o->ino);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].story && set[i].ino == o->ino && set[i].dev == o->dev &&
		    set[i].born == o->born)
			return &set[i];
	return NULL;
}

struct pg_story *pg_stories_of(const struct pg_object *o, bool make)
{
	struct entry *e = o->ino ? find(o) : NULL;

	if (!e && make && o->ino) {
		e = room_in(set_of(o->dev, o->ino));
		*e = (struct entry){
			.dev = o->dev, .ino = o->ino, .born = o->born, .story = begin(e->story)};
	}
	if (!e)
		return NULL;
	e->used = ++uses;
	return e->story;
}

void pg_stories_also(struct pg_story *s, const struct pg_stat *st)
{
	struct entry *e = room_in(set_of(st->dev, st->ino));

	if (e->story == s)
		return;
	if (e->story && is_shared(e->story))
		e->story->numbers--;
	else if (e->story)
		spare = e->story;
	s->numbers++;
	*e = (struct entry){
		.dev = st->dev, .ino = st->ino, .born = st->born, .used = ++uses, .story = s};
}
