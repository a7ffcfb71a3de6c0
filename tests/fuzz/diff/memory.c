/* SPDX-License-Identifier: MIT */
/*
 * The program's memory. Each buffer has guards before and behind; half of them end where a page
 * ends behind which nothing may be touched. A step's buffers are looked at when it ends.
 */
#include "diff.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	MIDDLE = 4 << 20,
	ENDS = 24,
	END_SIZE = 4 * PAGE,
	BIG_ENDS = 4,
	BIG_SIZE = 64 * PAGE,
	GUARD = 64,
	LIVE = 256,
	GUARD_BYTE = 0xc5,
	PATTERN = 0xa5
};

static unsigned char *middle, *ends[ENDS], *big_ends[BIG_ENDS], *none, *constants;
static size_t used;
static unsigned ends_used, big_used;

static struct live {
	unsigned char *at;
	size_t len, before, behind;
	bool watched, filled; /* an input; by what is read */
	uint64_t hash;
} live[LIVE];
static unsigned lives;

/* At the same addresses in each run, as what is read or written past a buffer holds some. */
static unsigned char *map(size_t len, int protection)
{
	static uintptr_t next =
		(uintptr_t)(UINTPTR_MAX > UINT32_MAX ? 0x100000000000u : 0x20000000u);
	void *at = mmap((void *)next, len, protection,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED)
		exit(3);
	next += len + 16 * PAGE;
	return at;
}

/* SIZE bytes with a page behind them that must not be touched. */
static unsigned char *fenced(size_t size)
{
	unsigned char *at = map(size + PAGE, PROT_READ | PROT_WRITE);

	mprotect(at + size, PAGE, PROT_NONE);
	return at;
}

void memory_start(void)
{
	middle = map(MIDDLE, PROT_READ | PROT_WRITE);
	for (int i = 0; i < ENDS; i++)
		ends[i] = fenced(END_SIZE);
	for (int i = 0; i < BIG_ENDS; i++)
		big_ends[i] = fenced(BIG_SIZE);
	none = map(4 * PAGE, PROT_NONE);
	constants = map(4 * PAGE, PROT_READ);
}

void memory_reset(void)
{
	used = 0;
	ends_used = 0;
	big_used = 0;
	lives = 0;
}

static void guard(unsigned char *at, size_t len)
{
	memset(at, GUARD_BYTE, len);
}

static struct live *remember(unsigned char *at, size_t len, size_t before, size_t behind)
{
	static struct live spare;
	struct live *l = lives < LIVE ? &live[lives++] : &spare;

	*l = (struct live){.at = at, .len = len, .before = before, .behind = behind};
	guard(at - before, before);
	guard(at + len, behind);
	return l;
}

static struct live *at_an_end(size_t len)
{
	unsigned char *start = len <= END_SIZE - GUARD && ends_used < ENDS ? ends[ends_used++]
			       : len <= BIG_SIZE - GUARD && big_used < BIG_ENDS
				       ? big_ends[big_used++] + BIG_SIZE - END_SIZE
				       : NULL;

	return start ? remember(start + END_SIZE - len, len, GUARD, 0) : NULL;
}

static struct live *place(size_t len)
{
	struct live *l = percent(50) ? at_an_end(len) : NULL;
	size_t room = (len + 15) / 16 * 16 + 2 * GUARD;

	if (l)
		return l;
	if (used + room > MIDDLE)
		used = 0; /* never: some steps' buffers have less */
	used += room;
	return remember(middle + used - room + GUARD, len, GUARD, GUARD);
}

void *block(size_t len)
{
	return place(len)->at;
}

static void watch(struct live *l)
{
	l->watched = true;
	l->hash = hash(l->at, l->len);
}

const void *constant(const void *from, size_t len)
{
	struct live *l = place(len);

	memcpy(l->at, from, len);
	watch(l);
	return l->at;
}

struct buf buffer_out(size_t len)
{
	struct live *l = place(len);
	unsigned char first = (unsigned char)below(256);

	for (size_t i = 0; i < len; i++)
		l->at[i] = (unsigned char)(first + i * 7 + i / 251);
	watch(l);
	return (struct buf){l->at, len, "good"};
}

struct buf buffer_in(size_t len)
{
	struct live *l = place(len);

	memset(l->at, PATTERN, len);
	l->filled = true;
	return (struct buf){l->at, len, "good"};
}

void *bad_pointer(const char **what)
{
	static const char *const names[] = {"null", "8",      "low",	  "none",
					    "cut",  "kernel", "no-canon", "readonly"};
	unsigned i = below(8);

	*what = names[i];
	switch (i) {
	case 0:
		return NULL;
	case 1:
		return (void *)8;
	case 2:
		return (void *)0x5000;
	case 3:
		return none + PAGE;
	case 4: /* some bytes, then nothing */
		return ends[ENDS - 1] + END_SIZE - 1 - below(40);
	case 5:
		return (void *)(uintptr_t)0xffffffff81000000u;
	case 6:
		return (void *)(uintptr_t)0x8000000000000000u;
	default:
		return constants + 16;
	}
}

struct buf bad_buffer(size_t len)
{
	struct buf b = {.len = len};

	b.at = bad_pointer(&b.what);
	return b;
}

size_t some_length(bool huge)
{
	static const size_t lengths[] = {0,    1,    2,	   5,	 17,   100,  512,
					 1000, 4095, 4096, 4097, 8192, 20000};
	static const size_t large[] = {65535, 65536, 65537, 70000, 200000};

	if (huge && percent(12))
		return ONE_OF(large);
	return ONE_OF(lengths);
}

void memory_check(void)
{
	static unsigned char good[GUARD];

	guard(good, GUARD);
	for (unsigned i = 0; i < lives; i++) {
		const struct live *l = &live[i];

		if (memcmp(l->at - l->before, good, l->before))
			say("MEMORY: changed before a buffer of %zu bytes", l->len);
		if (memcmp(l->at + l->len, good, l->behind))
			say("MEMORY: changed behind a buffer of %zu bytes", l->len);
		if (l->watched && hash(l->at, l->len) != l->hash)
			say("MEMORY: an input of %zu bytes was changed", l->len);
	}
}

/* ---- vectors ---- */

static struct iovec entry(bool in, size_t limit)
{
	struct buf b;
	size_t len = percent(15) ? 0 : some_length(false);

	if (len > limit)
		len = limit;
	if (on(C_badptr) && percent(4))
		b = bad_buffer(len);
	else
		b = in ? buffer_in(len) : buffer_out(len);
	if (on(C_badlen) && percent(2))
		b.len = percent(50) ? SIZE_MAX / 2 + 1 : SSIZE_MAX;
	return (struct iovec){b.at, b.len};
}

static long long sum(const struct iovec *v, int n)
{
	unsigned long long all = 0;

	for (int i = 0; i < n; i++) {
		if (v[i].iov_len > SSIZE_MAX || all + v[i].iov_len > SSIZE_MAX)
			return -1;
		all += v[i].iov_len;
	}
	return (long long)all;
}

static struct vec bad_vector(void)
{
	struct vec v = {.n = (int)below(3), .bytes = -1};
	const char *what;

	v.at = bad_pointer(&what);
	snprintf(v.text, sizeof v.text, "vector %s*%d", what, v.n);
	return v;
}

struct vec vector(bool in)
{
	static const int counts[] = {0, 1, 1, 1, 2, 2, 3, 5, 8, 8, 40, IOV_MAX, IOV_MAX + 1, -1};
	static struct iovec all[IOV_MAX + 1];
	struct vec v = {.n = ONE_OF(counts)};
	int filled = v.n < 0 ? 0 : v.n;

	if (on(C_badptr) && percent(4))
		return bad_vector();
	if (!on(C_badlen) && (v.n < 0 || v.n > IOV_MAX))
		v.n = filled = 2;
	for (int i = 0; i < filled; i++)
		all[i] = i < 40 ? entry(in, filled > 8 ? 100 : 20000) : all[i % 40];
	v.bytes = sum(all, filled);
	v.at = constant(all, (size_t)filled * sizeof *all);
	snprintf(v.text, sizeof v.text, "vector %lld/%d", v.bytes, v.n);
	return v;
}

/* Of what was read into the good entries. */
uint64_t vector_hash(const struct vec *v)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < lives; i++)
		if (live[i].filled && v->n > 0)
			h = h * 31 + hash(live[i].at, live[i].len);
	return h;
}
