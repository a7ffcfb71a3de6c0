/* SPDX-License-Identifier: MIT */
#include "outside/links.h"

#include "outside/bytes.h"

#include "base/next.h"
#include "base/text.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All that is read is the process's, which may have put anything there. */
enum { LINKS_MAX = 4096, HEADERS_MAX = 64, DYNAMIC_MAX = 512 };

/* A process whose words are WORD bytes. */
struct whose {
	int pid;
	size_t word;
};

static bool read_words(const struct whose *w, uintptr_t at, uintptr_t *to, size_t n)
{
	char raw[4 * sizeof *to];

	if (n * w->word > sizeof raw || !pg_bytes_read(w->pid, at, raw, n * w->word))
		return false;
	memset(to, 0, n * sizeof *to);
	for (size_t i = 0; i < n; i++)
		memcpy(to + i, raw + i * w->word, w->word);
	return true;
}

struct started { /* what the kernel gave it: getauxval(3) */
	uintptr_t headers, n;
};

static struct started started(const struct whose *w)
{
	struct started s = {0, 0};
	char path[48], all[1024];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/auxv", w->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, all, sizeof all);
		close(fd);
	}
	for (ssize_t i = 0; i + 2 * (ssize_t)w->word <= n; i += 2 * (ssize_t)w->word) {
		uintptr_t type = 0;

		memcpy(&type, all + i, w->word);
		if (type == AT_PHDR)
			memcpy(&s.headers, all + i + w->word, w->word);
		else if (type == AT_PHNUM)
			memcpy(&s.n, all + i + w->word, w->word);
	}
	return s;
}

/* One of the program's segments. */
static bool read_header(const struct whose *w, uintptr_t at, size_t i, ElfW(Phdr) * h)
{
	Elf32_Phdr narrow;

	if (w->word == sizeof(uintptr_t))
		return pg_bytes_read(w->pid, at + i * sizeof *h, h, sizeof *h);
	if (!pg_bytes_read(w->pid, at + i * sizeof narrow, &narrow, sizeof narrow))
		return false;
	h->p_type = narrow.p_type;
	h->p_vaddr = narrow.p_vaddr;
	return true;
}

/* Where the program's dynamic section is; 0: it has none. */
static uintptr_t dynamic(const struct whose *w)
{
	struct started s = started(w);
	uintptr_t base = 0, at = 0;
	ElfW(Phdr) h;

	if (s.n > HEADERS_MAX)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (!read_header(w, s.headers, i, &h))
			return 0;
		if (h.p_type == PT_PHDR)
			base = s.headers - (uintptr_t)h.p_vaddr;
		else if (h.p_type == PT_DYNAMIC)
			at = (uintptr_t)h.p_vaddr;
	}
	return at ? base + at : 0;
}

/* Of each of these structures words are read that lie in it as in an array. */
static uintptr_t first_link(const struct whose *w)
{
	enum { TAG, VALUE };   /* a Dyn */
	enum { VERSION, MAP }; /* r_debug */
	uintptr_t at = dynamic(w), d[2], debug[2];

	for (int i = 0; at && i < DYNAMIC_MAX; i++, at += sizeof d / sizeof *d * w->word) {
		if (!read_words(w, at, d, 2) || d[TAG] == DT_NULL)
			return 0;
		if (d[TAG] == DT_DEBUG)
			return read_words(w, d[VALUE], debug, 2) ? debug[MAP] : 0;
	}
	return 0;
}

/* The string at ADDRESS, as far as it fits. */
static void read_string(int pid, uintptr_t address, char to[PATH_MAX])
{
	size_t n = 0, page = (size_t)sysconf(_SC_PAGESIZE), part;

	for (; n < PATH_MAX - 1; n += part) {
		part = page - (address + n) % page;
		if (part > PATH_MAX - 1 - n)
			part = PATH_MAX - 1 - n;
		if (!pg_bytes_read(pid, address + n, to + n, part))
			break;
		if (memchr(to + n, 0, part))
			return;
	}
	to[n] = 0;
}

/* The areas of the file that has INSIDE in one of them are NAME's. */
static void name_areas(struct pg_tracee *t, uintptr_t inside, const char *name)
{
	const struct pg_file *file = NULL;

	for (unsigned i = 0; i < t->areas; i++)
		if (inside >= t->area[i].lo && inside < t->area[i].hi)
			file = t->area[i].file;
	for (unsigned i = 0; file && i < t->areas; i++)
		if (t->area[i].file == file)
			pg_copy(t->area[i].name, sizeof t->area[i].name, name);
}

void pg_links_name(struct pg_tracee *t, bool narrow)
{
	enum { ADDRESS, NAME, DYNAMIC, NEXT, WORDS }; /* link_map */
	struct whose w = {pg_tracee_by(t), narrow ? sizeof(uint32_t) : sizeof(uintptr_t)};
	uintptr_t at = first_link(&w), l[WORDS];
	char path[PATH_MAX];

	for (int i = 0; at && i < LINKS_MAX; i++, at = l[NEXT]) {
		if (!read_words(&w, at, l, WORDS))
			return;
		read_string(w.pid, l[NAME], path);
		if (i && *path) /* the first is the program */
			name_areas(t, l[DYNAMIC], pg_basename(path));
	}
}
