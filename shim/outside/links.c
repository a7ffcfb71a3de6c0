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

struct started { /* what the kernel gave it: getauxval(3) */
	uintptr_t headers;
	size_t n;
};

static struct started started(int pid)
{
	struct started s = {0, 0};
	Elf64_auxv_t all[64];
	char path[48];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, all, sizeof all);
		close(fd);
	}
	for (ssize_t i = 0; i < n / (ssize_t)sizeof *all; i++) {
		if (all[i].a_type == AT_PHDR)
			s.headers = (uintptr_t)all[i].a_un.a_val;
		else if (all[i].a_type == AT_PHNUM)
			s.n = (size_t)all[i].a_un.a_val;
	}
	return s;
}

/* Where the program's dynamic section is; 0: it has none. */
static uintptr_t dynamic(int pid)
{
	struct started s = started(pid);
	Elf64_Phdr h[HEADERS_MAX];
	uintptr_t base = 0, at = 0;

	if (s.n > HEADERS_MAX || !pg_bytes_read(pid, s.headers, h, s.n * sizeof *h))
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (h[i].p_type == PT_PHDR)
			base = s.headers - (uintptr_t)h[i].p_vaddr;
		else if (h[i].p_type == PT_DYNAMIC)
			at = (uintptr_t)h[i].p_vaddr;
	}
	return at ? base + at : 0;
}

static uintptr_t first_link(int pid)
{
	uintptr_t at = dynamic(pid);
	struct r_debug debug;
	Elf64_Dyn d;

	for (int i = 0; at && i < DYNAMIC_MAX; i++, at += sizeof d) {
		if (!pg_bytes_read(pid, at, &d, sizeof d) || d.d_tag == DT_NULL)
			return 0;
		if (d.d_tag == DT_DEBUG)
			return pg_bytes_read(pid, (uintptr_t)d.d_un.d_ptr, &debug, sizeof debug)
				       ? (uintptr_t)debug.r_map
				       : 0;
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

void pg_links_name(struct pg_tracee *t)
{
	char path[PATH_MAX];
	struct link_map l;
	uintptr_t at;

	if (sizeof at != sizeof(Elf64_Addr) || !(at = first_link(pg_tracee_by(t))))
		return;
	for (int i = 0; at && i < LINKS_MAX; i++, at = (uintptr_t)l.l_next) {
		if (!pg_bytes_read(pg_tracee_by(t), at, &l, sizeof l))
			return;
		read_string(pg_tracee_by(t), (uintptr_t)l.l_name, path);
		if (i && *path) /* the first is the program */
			name_areas(t, (uintptr_t)l.l_ld, pg_basename(path));
	}
}
