/* SPDX-License-Identifier: MIT */
#include "outside/units.h"

#include "outside/library.h"

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

/* What is kept of a file is bounded, and so is the time that it takes: whatever the file says, its
 * process stands still meanwhile. */
enum { UNITS_MAX = 1 << 16, RANGES_MAX = 1 << 18, SECONDS_MAX = 2 };

/* From LO to HI, in the file's own words, is code of the unit whose entry lies at AT. */
struct pg_range {
	uint64_t lo, hi, at;
};

struct pg_units {
	unsigned n, steps;
	struct pg_range *range; /* sorted */
};

/* What is used of <elfutils/libdw.h> and <elfutils/libdwfl.h>. */
struct die {
	void *inside[4];
};
static struct {
	void *(*module)(void *, uint64_t);
	void *(*dwarf)(void *, uint64_t *bias);
	int (*next)(void *, uint64_t, uint64_t *next, size_t *head, uint64_t *, uint8_t *,
		    uint8_t *);
	struct die *(*die)(void *, uint64_t, struct die *);
	ptrdiff_t (*ranges)(struct die *, ptrdiff_t, uint64_t *base, uint64_t *lo, uint64_t *hi);
	void *(*line)(struct die *, uint64_t);
	const char *(*file)(void *, uint64_t *, uint64_t *);
	int (*number)(void *, int *);
} dw;

static bool load(void)
{
	static const struct pg_symbol_wanted wanted[] = {
		{"dwfl_addrmodule", &dw.module}, {"dwfl_module_getdwarf", &dw.dwarf},
		{"dwarf_nextcu", &dw.next},	 {"dwarf_offdie", &dw.die},
		{"dwarf_ranges", &dw.ranges},	 {"dwarf_getsrc_die", &dw.line},
		{"dwarf_linesrc", &dw.file},	 {"dwarf_lineno", &dw.number},
	};
	static bool tried, there;

	if (!tried)
		there = pg_library_take(PG_LIBDW, wanted, sizeof wanted / sizeof *wanted);
	tried = true;
	return there;
}

/* ---- which unit ---- */

static bool keep(struct pg_units *u, struct pg_range range)
{
	if (!(u->n & (u->n + 1))) { /* 0, 1, 3, 7, ... */
		void *more = realloc(u->range, (2 * (size_t)u->n + 2) * sizeof *u->range);

		if (!more)
			return false;
		u->range = more;
	}
	u->range[u->n++] = range;
	return true;
}

static void read_unit(struct pg_units *u, void *dwarf, uint64_t at)
{
	struct die die;
	uint64_t base, lo = 0, hi = 0;
	ptrdiff_t next = 0;

	if (!dw.die(dwarf, at, &die))
		return;
	while (u->steps < RANGES_MAX && (next = dw.ranges(&die, next, &base, &lo, &hi)) > 0) {
		u->steps++;
		if (lo < hi && !keep(u, (struct pg_range){lo, hi, at}))
			return;
	}
}

/* Of this thread: how busy the machine is says nothing. */
static time_t seconds(void)
{
	struct timespec t = {0, 0};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec;
}

static void read_units(struct pg_units *u, void *dwarf)
{
	uint64_t at = 0, next;
	size_t head;
	time_t end = seconds() + SECONDS_MAX;

	for (unsigned i = 0; i < UNITS_MAX && seconds() <= end; i++, at = next) {
		if (dw.next(dwarf, at, &next, &head, NULL, NULL, NULL) || next <= at)
			return;
		read_unit(u, dwarf, at + head);
	}
}

static int by_address(const void *a, const void *b)
{
	const struct pg_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static struct pg_units *units_of(struct pg_file *f, void *dwarf)
{
	if (f->units)
		return f->units;
	f->units = calloc(1, sizeof *f->units);
	if (!f->units)
		abort();
	read_units(f->units, dwarf);
	if (f->units->n)
		qsort(f->units->range, f->units->n, sizeof *f->units->range, by_address);
	return f->units;
}

static const struct pg_range *range_of(const struct pg_units *u, uint64_t addr)
{
	unsigned low = 0, high = u->n;

	while (low < high) { /* the last that begins at or before ADDR */
		unsigned mid = (low + high) / 2;

		if (u->range[mid].lo <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low && addr < u->range[low - 1].hi ? &u->range[low - 1] : NULL;
}

/* ---- which line ---- */

const char *pg_units_line(struct pg_file *f, void *dwfl, uintptr_t addr, int *line)
{
	void *module = load() ? dw.module(dwfl, addr) : NULL, *dwarf, *row;
	const struct pg_range *range;
	uint64_t bias = 0;
	struct die die;

	dwarf = module ? dw.dwarf(module, &bias) : NULL;
	range = dwarf ? range_of(units_of(f, dwarf), addr - bias) : NULL;
	if (!range || !dw.die(dwarf, range->at, &die))
		return NULL;
	row = dw.line(&die, addr - bias);
	return row && !dw.number(row, line) ? dw.file(row, NULL, NULL) : NULL;
}
