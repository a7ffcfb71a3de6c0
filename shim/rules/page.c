/* SPDX-License-Identifier: MIT */
#include "rules/page.h"

#include "base/mapped.h"
#include "base/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

static const char magic[PG_MAGIC] = "pipeguard page 4";
PG_START_DATA struct pg_page *pg_mapped_page;
static const char *where; /* its path, for the lock; start-up and the command only */
static int lock = -1;
_Static_assert(sizeof(struct pg_page_rules) % sizeof(pg_shared64) == 0 &&
		       offsetof(struct pg_page, endings) % sizeof(pg_shared64) == 0,
	       "programs of 32 and of 64 bit share it");
static void *view; /* of its front, read-only, until it takes the place of ours */

static const char *map_all(int fd)
{
	struct pg_page *at = pg_mapped_at(fd, sizeof *at, 0, PROT_READ | PROT_WRITE);

	if (!at)
		return "cannot be mapped:";
	pg_mapped_page = at;
	view = pg_mapped_at(fd, sizeof pg_front, PG_PAGE_FRONT * sizeof pg_front, PROT_READ);
	pg_endings_use(&at->endings);
	return NULL;
}

const char *pg_page_open(const char *path, bool make)
{
	static const struct pg_mapped kind = {.size = sizeof(struct pg_page),
					      .magic_at = offsetof(struct pg_page, magic),
					      .magic = magic};
	int fd;
	const char *why = pg_mapped_open(&kind, path, make, &fd);

	if (why)
		return why;
	why = map_all(fd);
	pg_sys1(SYS_close, fd);
	where = path;
	return why;
}

bool pg_page_bring_front(void)
{
	enum { FLAGS = MREMAP_MAYMOVE | MREMAP_FIXED };

	return view && pg_sys5(SYS_mremap, view, sizeof pg_front, sizeof pg_front, FLAGS,
			       &pg_front) == (long)&pg_front;
}

bool pg_page_lost(uintptr_t at)
{
	if (!pg_mapped_page || (!pg_mapped_has(pg_mapped_page, sizeof *pg_mapped_page, at) &&
				!pg_mapped_has(&pg_front, sizeof pg_front, at)))
		return false;
	return pg_mapped_empty(&pg_front, sizeof pg_front) &&
	       pg_mapped_empty(pg_mapped_page, sizeof *pg_mapped_page);
}

uint32_t pg_page_generation(void)
{
	return __atomic_load_n(&pg_mapped_page->front[PG_PAGE_FRONT].generation, __ATOMIC_ACQUIRE);
}

/* ---- rules ---- */

static uint64_t sum_of(const struct pg_page_rules *r)
{
	uint64_t h = pg_mix(pg_mix(r->generation, (uint64_t)r->n << 32 | r->len), r->on);

	for (unsigned i = 0; i < PG_RULES_MAX; i++)
		h = pg_mix(h, (uint64_t)r->serial[i] << 8 | r->conn_slot[i]);
	for (size_t i = 0; i < r->len && i < sizeof r->text; i++)
		h = pg_mix(h, (unsigned char)r->text[i]);
	return h;
}

/* Every serial is another slot's: what counts by it has one owner. */
static bool is_sound(const struct pg_page_rules *r)
{
	uint64_t taken[PG_RULE_SLOTS / 64] = {0};

	if (r->n > PG_RULES_MAX || r->len >= sizeof r->text || r->text[r->len])
		return false;
	for (unsigned i = 0; i < r->n; i++) {
		unsigned slot = r->serial[i] % PG_RULE_SLOTS;

		if (!r->serial[i] || r->serial[i] > INT32_MAX || r->conn_slot[i] >= PG_CONN_RULES ||
		    taken[slot / 64] >> slot % 64 & 1)
			return false;
		taken[slot / 64] |= (uint64_t)1 << slot % 64;
	}
	return r->sum == sum_of(r);
}

bool pg_page_read(struct pg_page_rules *to, uint32_t generation)
{
	const struct pg_page_rules *from = &pg_mapped_page->rules[generation & 1];

	return pg_peek(to, from, sizeof *to) && to->generation == generation && is_sound(to);
}

/* ---- counts ---- */

static uint64_t begun(uint32_t serial)
{
	return (uint64_t)serial << PG_PAGE_COUNT_BITS;
}

static bool is_of(uint64_t word, uint32_t serial)
{
	return word >> PG_PAGE_COUNT_BITS == begun(serial) >> PG_PAGE_COUNT_BITS;
}

/* A rule that has gone does not count any more. */
void pg_page_count(uint32_t serial)
{
	pg_shared64 *at = pg_mapped_page ? &pg_mapped_page->fired[serial % PG_RULE_SLOTS] : NULL;
	uint64_t word = at ? PG_GET(*at) : 0;

	while (at && is_of(word, serial) &&
	       !__atomic_compare_exchange_n(at, &word, word + 1, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

uint64_t pg_page_fired(uint32_t serial)
{
	uint64_t word = PG_GET(pg_mapped_page->fired[serial % PG_RULE_SLOTS]);

	return is_of(word, serial) ? word - begun(serial) : 0;
}

/* ---- changes ---- */

int pg_page_lock(void)
{
	long err;

	lock = pg_open(where, O_RDWR | O_NOFOLLOW);
	if (lock < 0)
		return lock;
	do
		err = pg_sys2(SYS_flock, lock, LOCK_EX);
	while (err == -EINTR);
	return (int)err;
}

void pg_page_unlock(void)
{
	pg_sys1(SYS_close, lock);
	lock = -1;
}

/* Between the two steps wrappers ask for the old rules and the new ones. */
static void watch(uint64_t calls, bool also)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pg_front *f = &pg_mapped_page->front[i];
		uint64_t bits = i == PG_PAGE_FRONT ? calls : calls ? ~(uint64_t)0 : 0;

		if (also)
			bits |= f->ruled;
		__atomic_store_n(&f->ruled, bits, __ATOMIC_SEQ_CST);
		__atomic_store_n(&f->aside, bits, __ATOMIC_SEQ_CST);
	}
}

/* What counted for a rule that is in RULES goes on; a new one begins. */
static void begin_counts(const struct pg_page_rules *rules)
{
	for (unsigned i = 0; i < rules->n; i++) {
		pg_shared64 *at = &pg_mapped_page->fired[rules->serial[i] % PG_RULE_SLOTS];

		if (!is_of(PG_GET(*at), rules->serial[i]))
			__atomic_store_n(at, begun(rules->serial[i]), __ATOMIC_RELEASE);
	}
}

void pg_page_publish(struct pg_page_rules *rules, uint64_t calls)
{
	uint32_t next = pg_page_generation() + 1;
	struct pg_page_rules *to;

	next += !next; /* 0 is that of the start */
	to = &pg_mapped_page->rules[next & 1];
	rules->generation = next;
	rules->sum = sum_of(rules);
	begin_counts(rules);
	__atomic_store_n(&to->generation, 0, __ATOMIC_SEQ_CST);
	__builtin_memcpy(&to->n, &rules->n, sizeof *to - offsetof(struct pg_page_rules, n));
	__atomic_store_n(&to->generation, next, __ATOMIC_SEQ_CST);
	watch(calls, true);
	for (unsigned i = 0; i < 2; i++)
		__atomic_store_n(&pg_mapped_page->front[i].generation, next, __ATOMIC_SEQ_CST);
	watch(calls, false);
}
