/* SPDX-License-Identifier: MIT */
#include "outside/file.h"

#include "base/sys.h"
#include "base/text.h"
#include "outside/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FUNCTIONS_MAX = 1 << 20 };

struct pg_file_segment {
	uint64_t offset, size, address;
	bool code;
};

struct pg_file_function {
	uint64_t at, size;
	uint32_t name;
};

static struct pg_file *files;
static uint64_t stamps;

static int open_of(int pid, const char *path)
{
	char by[4200];

	snprintf(by, sizeof by, "/proc/%d/root%s", pid, path);
	return open(by, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static void read_segments(struct pg_file *f, const struct pg_elf_file *e)
{
	f->segment = calloc(e->segment_count ? e->segment_count : 1, sizeof *f->segment);
	for (unsigned i = 0; f->segment && i < e->segment_count; i++)
		if (e->segments[i].type == PT_LOAD)
			f->segment[f->segments++] = (struct pg_file_segment){
				e->segments[i].offset, e->segments[i].size, e->segments[i].address,
				e->segments[i].flags & PF_X};
	f->go = pg_elf_file_named(e, ".gopclntab") || pg_elf_file_named(e, ".go.buildinfo");
	f->narrow = !e->wide && sizeof(long) > sizeof(uint32_t);
	f->debug = pg_elf_file_debug(e);
	f->known = true;
}

/* A file may say that it is larger than any disk. */
static uint64_t size_of(int fd)
{
	enum { BLOCK = 512 };
	struct stat st;

	return fstat(fd, &st) || st.st_blocks < 0 ? 0 : (uint64_t)st.st_blocks * BLOCK;
}

static void open_file(struct pg_file *f, int pid, const char *path)
{
	int fd = *path == '/' ? open_of(pid, path) : -1;
	struct pg_elf_file e;

	if (fd < 0)
		return;
	if (pg_elf_file_open(&e, fd)) {
		read_segments(f, &e);
		f->size = size_of(fd);
		pg_elf_file_close(&e);
		f->path = strdup(path);
	}
	close(fd);
}

/* "libc.so.6"; what was replaced meanwhile is " (deleted)". */
static char *name_of(const char *path)
{
	char *name = strdup(*path ? pg_basename(path) : "[anonymous]");
	char *mark = name ? strstr(name, " (deleted)") : NULL;

	if (mark)
		*mark = 0;
	return name ? name : abort(), name;
}

struct pg_file *pg_file(int pid, const char *path, uint64_t dev, uint64_t ino)
{
	struct pg_file *f = files;

	while (f && (f->dev != dev || f->ino != ino || (!ino && strcmp(f->name, path) != 0)))
		f = f->next;
	if (f)
		return f;
	f = calloc(1, sizeof *f);
	if (!f)
		abort();
	f->next = files;
	f->dev = dev;
	f->ino = ino;
	f->name = name_of(path);
	f->stamp = ++stamps;
	files = f;
	open_file(f, pid, path);
	return f;
}

/* Of S, or of the page that it begins in. */
static bool is_from(const struct pg_file_segment *s, uint64_t offset)
{
	return offset >= (s->offset & ~(uint64_t)(pg_auxval(AT_PAGESZ) - 1)) &&
	       (offset < s->offset || offset - s->offset < s->size);
}

/* A page of the file may be the end of one segment and the beginning of the next, and is mapped for
 * each of them: whether it is code tells them apart. */
bool pg_file_address(const struct pg_file *f, uint64_t offset, bool code, uint64_t *address)
{
	const struct pg_file_segment *found = NULL;

	for (unsigned i = 0; i < f->segments; i++) {
		const struct pg_file_segment *s = &f->segment[i];

		if (is_from(s, offset) && (!found || s->code == code))
			found = s;
	}
	if (found)
		*address = found->address + offset - found->offset;
	return found;
}

/* ---- functions ---- */

static int by_address(const void *a, const void *b)
{
	const struct pg_file_function *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static bool add(struct pg_file *f, uint64_t at, uint64_t size, uint32_t name)
{
	if (f->functions >= FUNCTIONS_MAX)
		return false;
	if (!(f->functions & (f->functions + 1))) { /* 0, 1, 3, 7, ... */
		size_t n = 2 * (size_t)f->functions + 2;
		void *more = realloc(f->function, n * sizeof *f->function);

		if (!more)
			return false;
		f->function = more;
	}
	f->function[f->functions++] = (struct pg_file_function){at, size, name};
	return true;
}

static uint64_t word(const unsigned char *p, unsigned n, bool big)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[big ? i : n - 1 - i];
	return v;
}

/* The functions of a symbol table, whose strings are STRINGS_SIZE bytes. */
static void read_table(struct pg_file *f, const struct pg_elf_file *e, const unsigned char *table,
		       uint64_t size, uint64_t strings_size)
{
	unsigned each = e->wide ? 24 : 16;

	for (uint64_t at = 0; at + each <= size; at += each) {
		const unsigned char *s = table + at;
		uint32_t name = (uint32_t)word(s, 4, e->big);
		unsigned char info = s[e->wide ? 4 : 12];
		uint64_t section = word(s + (e->wide ? 6 : 14), 2, e->big);
		uint64_t value = e->wide ? word(s + 8, 8, e->big) : word(s + 4, 4, e->big);
		uint64_t length = e->wide ? word(s + 16, 8, e->big) : word(s + 8, 4, e->big);

		if ((info & 15) != STT_FUNC && (info & 15) != STT_GNU_IFUNC)
			continue;
		if (!section || !value || name >= strings_size || !add(f, value, length, name))
			continue;
	}
}

static bool read_symbols(struct pg_file *f, const struct pg_elf_file *e, uint32_t type)
{
	const struct pg_elf_section *s = pg_elf_file_section(e, type), *strings;
	unsigned char *table, *names;

	if (!s || s->link >= e->section_count)
		return false;
	strings = &e->sections[s->link];
	table = pg_elf_file_copy(e, s->offset, s->size);
	names = table ? pg_elf_file_copy(e, strings->offset, strings->size) : NULL;
	if (names) {
		read_table(f, e, table, s->size, strings->size);
		f->names = (char *)names;
	}
	free(table);
	return names;
}

static void list_functions(struct pg_file *f, int fd)
{
	struct pg_elf_file e;

	if (!pg_elf_file_open(&e, fd))
		return;
	if (!read_symbols(f, &e, SHT_SYMTAB))
		read_symbols(f, &e, SHT_DYNSYM);
	pg_elf_file_close(&e);
	if (f->functions)
		qsort(f->function, f->functions, sizeof *f->function, by_address);
}

/* Through a process that is there now: who mapped it first may have ended. */
static void list_once(struct pg_file *f, int pid)
{
	int fd = f->listed || !f->path ? -1 : open_of(pid, f->path);

	if (fd < 0)
		return;
	list_functions(f, fd);
	close(fd);
	f->listed = true;
}

const char *pg_file_function(struct pg_file *f, int pid, uint64_t address, uint64_t *start)
{
	unsigned low = 0, high;

	list_once(f, pid);
	high = f->functions;
	while (low < high) { /* the last that begins at or before ADDRESS */
		unsigned mid = (low + high) / 2;

		if (f->function[mid].at <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || (f->function[low - 1].size &&
		     address - f->function[low - 1].at >= f->function[low - 1].size))
		return NULL;
	*start = f->function[low - 1].at;
	return f->names + f->function[low - 1].name;
}
