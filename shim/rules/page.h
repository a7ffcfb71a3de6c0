/* SPDX-License-Identifier: MIT */
/*
 * The page: a small file that all guarded processes of a tree map shared. It
 * holds the rules twice; a generation says which of the two holds. One writer
 * at a time (flock) fills the other one and then changes the generation, so a
 * writer may be killed at any moment. A buffer's sum says that it is whole.
 * What is read from it is input: nothing in it is an index or a length before
 * it was checked.
 */
#ifndef PG_PAGE_H
#define PG_PAGE_H

#include "object/ending.h"
#include "rules/rule_known.h"

/* One of the two. */
struct pg_page_rules {
	uint32_t generation; /* 0: being written */
	uint32_t n, len;
	uint32_t on;
	uint64_t sum; /* of all but itself */
	uint32_t serial[PG_RULES_MAX];
	uint8_t conn_slot[PG_RULES_MAX];
	char text[PG_RULE_TEXT];
};

struct pg_page {
	struct pg_front
		front[2]; /* for programs of 64 and of 32 bit, whose calls have other bits */
	char magic[32];
	uint32_t last_serial, unused;
	pg_shared64 fired[PG_RULE_SLOTS]; /* the serial, and how often: PG_PAGE_COUNT_BITS */
	struct pg_page_rules rules[2];
	struct pg_endings endings;
};
enum { PG_PAGE_COUNT_BITS = 40, PG_PAGE_FRONT = sizeof(long) == 4 };

/* Opens the file PATH, which must be this user's own, and maps it; MAKE: it is made if there is
 * none. Returns a null pointer, or why not. */
const char *pg_page_open(const char *path, bool make);

/* It, or a null pointer: there is none. */
extern struct pg_page *pg_mapped_page PG_HIDDEN;
static inline struct pg_page *pg_page(void)
{
	return pg_mapped_page;
}

/* From here on wrappers ask the file. False: pages of this machine are too large for that. */
bool pg_page_bring_front(void);

/* The file was cut off, as an access at AT found: there are no rules from now on. False: AT is
 * elsewhere. Async-signal-safe. */
bool pg_page_lost(uintptr_t at);

uint32_t pg_page_generation(void);

/* Copies the rules of GENERATION; false: they do not hold any more, or are not whole. */
bool pg_page_read(struct pg_page_rules *to, uint32_t generation);

/* The rule SERIAL fired once more; how often it did, in all processes. */
void pg_page_count(uint32_t serial);
uint64_t pg_page_fired(uint32_t serial);

/* For those who change it: one at a time. Returns 0, or -errno. */
int pg_page_lock(void);
void pg_page_unlock(void);

/* While locked: RULES, whose generation and sum are filled in, hold from now on. CALLS: those that
 * they watch. Nobody ever sees half of it. */
void pg_page_publish(struct pg_page_rules *rules, uint64_t calls);

#endif
