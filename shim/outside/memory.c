/* SPDX-License-Identifier: MIT */
#include "outside/memory.h"

#include "outside/bytes.h"
#include "outside/file.h"
#include "outside/links.h"

#include "base/names.h"
#include "base/next.h"
#include "rules/config.h"
#include "who/module.h"
#include "who/symbol.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AREAS_MAX = 65536 };

static void add_area(struct pg_tracee *t, const struct pg_area *a)
{
	if (!(t->areas & (t->areas + 1))) {
		size_t n = 2 * (size_t)t->areas + 2;
		void *more = t->areas < AREAS_MAX ? realloc(t->area, n * sizeof *t->area) : NULL;

		if (!more)
			return;
		t->area = more;
	}
	t->area[t->areas++] = *a;
}

/* "7f00-7f10 r-xp 00001000 fd:01 123   /lib/libc.so.6" */
static void read_area(struct pg_tracee *t, char *line)
{
	unsigned long lo, hi, offset, ino;
	unsigned major, minor;
	char rights[8];
	int path = 0;
	struct pg_area a;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %n", &lo, &hi, rights, &offset, &major, &minor,
		   &ino, &path) < 7)
		return;
	if (strstr(line + path, "/libpipeguard.so"))
		t->guarded = true;
	if (line[path] != '/' && strcmp(line + path, "[vdso]") != 0)
		return;
	a = (struct pg_area){.lo = lo, .hi = hi, .offset = offset, .runs = rights[2] == 'x'};
	a.file = pg_file(pg_tracee_by(t), line + path, (uint64_t)major << 32 | minor, ino);
	add_area(t, &a);
}

void pg_memory_map(struct pg_tracee *t)
{
	char path[48], *line = NULL;
	size_t room = 0;
	FILE *f;

	if (t->mapped)
		return;
	t->mapped = true;
	snprintf(path, sizeof path, "/proc/%d/maps", pg_tracee_by(t));
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0)
		read_area(t, line);
	free(line);
	if (f)
		fclose(f);
	pg_links_name(t, pg_memory_is_narrow(t));
}

static const struct pg_area *area_of(const struct pg_tracee *t, uintptr_t address)
{
	for (unsigned i = 0; i < t->areas; i++)
		if (address >= t->area[i].lo && address < t->area[i].hi)
			return &t->area[i];
	return NULL;
}

/* What was mapped since the areas were learnt is learnt once more, but not again and again. */
static const struct pg_area *find_area(struct pg_tracee *t, uintptr_t address)
{
	static uintptr_t missed;
	static int of;
	const struct pg_area *a;

	pg_memory_map(t);
	a = area_of(t, address);
	if (a || (missed == address && of == t->pid))
		return a;
	missed = address;
	of = t->pid;
	pg_tracee_forget_areas(t);
	pg_memory_map(t);
	return area_of(t, address);
}

struct pg_file *pg_memory_file(const struct pg_tracee *t, uintptr_t address)
{
	const struct pg_area *a = area_of(t, address);

	return a ? a->file : NULL;
}

/* Are the bytes from LO to HI in areas that may be written to, one behind the other? */
static bool is_covered(FILE *f, unsigned long lo, unsigned long hi)
{
	unsigned long from, to;
	char line[512], rights[8];

	while (lo < hi && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) < 3 || to <= lo)
			continue;
		if (from > lo || rights[1] != 'w')
			return false;
		lo = to;
	}
	return lo >= hi;
}

bool pg_memory_takes(const struct pg_tracee *t, uintptr_t address, size_t n)
{
	enum { KNOWN = 256 };
	static uint64_t known[KNOWN];
	uint64_t key = pg_mix(pg_mix((uint64_t)t->pid + (t->image << 32), address >> 12),
			      (address + n) >> 12) |
		       1;
	char path[48];
	bool takes;
	FILE *f;

	if (!n || known[key >> 1 & (KNOWN - 1)] == key)
		return true;
	snprintf(path, sizeof path, "/proc/%d/maps", pg_tracee_by(t));
	f = fopen(path, "re");
	takes = !f || is_covered(f, address, address + n);
	if (f)
		fclose(f);
	if (takes)
		known[key >> 1 & (KNOWN - 1)] = key;
	return takes;
}

bool pg_memory_runs(const struct pg_tracee *t, uintptr_t address)
{
	const struct pg_area *a = area_of(t, address);

	return a && a->runs;
}

bool pg_memory_is_up(struct pg_tracee *t, uintptr_t pc)
{
	const struct pg_area *a;

	if (t->up)
		return true;
	pg_tracee_forget_areas(t);
	pg_memory_map(t);
	a = area_of(t, pc);
	t->up = !a || !pg_prefix(a->file->name, "ld-linux");
	return t->up;
}

uint64_t pg_memory_of_files(const struct pg_tracee *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->areas; i++)
		if (t->area[i].runs)
			sum += t->area[i].file->size;
	return sum;
}

bool pg_memory_is_go(const struct pg_tracee *t)
{
	for (unsigned i = 0; i < t->areas; i++)
		if (t->area[i].runs)
			return t->area[i].file->go;
	return false;
}

bool pg_memory_is_narrow(const struct pg_tracee *t)
{
	for (unsigned i = 0; i < t->areas; i++)
		if (t->area[i].file->known)
			return t->area[i].file->narrow;
	return false;
}

/* ---- module.h, symbol.h ---- */

/* Where the file's address 0 lies, as addr2line counts. */
static uintptr_t base_of(const struct pg_area *a)
{
	uint64_t address;

	if (a->file->known && pg_file_address(a->file, a->offset, a->runs, &address))
		return a->lo - address;
	return a->lo - a->offset;
}

const struct pg_module *pg_module_at(uintptr_t addr, struct pg_module *room)
{
	const struct pg_area *a = pg_tracee_now ? find_area(pg_tracee_now, addr) : NULL;

	if (!a)
		return NULL;
	*room = (struct pg_module){.base = base_of(a), .lo = a->lo, .hi = a->hi};
	room->stamp = a->file->stamp;
	pg_copy(room->name, sizeof room->name, *a->name ? a->name : a->file->name);
	room->is_libc = pg_is_libc(room->name);
	return room;
}

void pg_module_path(const struct pg_module *m, uintptr_t addr, char *path, size_t size)
{
	const struct pg_area *a = area_of(pg_tracee_now, addr);
	const char *known = a && a->file->path ? a->file->path : "";

	(void)m;
	pg_copy(path, size, pg_len(known) < size ? known : "");
}

/* Whoever reads the log finds it in the file. */
void pg_module_id(const struct pg_module *m, char *id, size_t size)
{
	(void)m;
	pg_copy(id, size, "");
}

struct pg_code pg_code_at(uintptr_t at)
{
	struct pg_module room;
	const struct pg_module *m = pg_module_at(at, &room);

	return (struct pg_code){.at = at, .stamp = m ? m->stamp : 0};
}

const struct pg_module *pg_code_module(const struct pg_code *code, struct pg_module *room)
{
	const struct pg_module *m = pg_module_at(code->at, room);

	return m && m->stamp == code->stamp ? m : NULL;
}

/* Nothing of ours is in there. */
bool pg_module_is_own(uintptr_t addr)
{
	(void)addr;
	return false;
}

static const char *function_at(const struct pg_module *m, uintptr_t addr, uint64_t *start)
{
	const struct pg_area *a = pg_tracee_now ? area_of(pg_tracee_now, addr) : NULL;

	return a && a->file->stamp == m->stamp
		       ? pg_file_function(a->file, pg_tracee_by(pg_tracee_now), addr - m->base,
					  start)
		       : NULL;
}

const char *pg_memory_symbol(const struct pg_module *m, uintptr_t addr)
{
	uint64_t start;

	return function_at(m, addr, &start);
}

bool pg_symbol_at(const struct pg_module *m, uintptr_t addr, char *name, size_t size,
		  uintptr_t *offset)
{
	uint64_t start;
	const char *found = function_at(m, addr, &start);

	if (!found)
		return false;
	pg_copy(name, size, found);
	*offset = addr - m->base - start;
	return true;
}
