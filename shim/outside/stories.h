/* SPDX-License-Identifier: MIT */
/* What objects that rules look at went through, by device, inode and birth (the inode of a FIFO
 * that was removed is soon another's): those of all processes that are looked at. As many as fit;
 * the one that was asked for least lately makes room. */
#ifndef PG_STORIES_H
#define PG_STORIES_H

#include "object/look.h"

/* The story of O. MAKE: it begins if there is none. A null pointer: there is none. */
struct pg_story *pg_stories_of(const struct pg_object *o, bool make);

/* ST is another object in the place of that of S: the story goes on with it. */
void pg_stories_also(struct pg_story *s, const struct pg_stat *st);

#endif
