/* SPDX-License-Identifier: MIT */
/* Which file a module is. */
#include "who/module.h"

#include "base/peek.h"
#include "base/sys.h"

#include <fcntl.h>

/* ---- its path, as the kernel lists it ---- */

/* "7f00-7f10 r-xp 00001000 fd:01 123   /lib/libc.so.6": what has been read of such a line. */
struct row {
	uintptr_t lo, hi;
	unsigned blanks; /* the gaps between words, so far */
	bool gap;
	size_t len; /* of the path */
};

static unsigned digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* True: the row of ADDR has ended, and its path is in PATH. */
static bool take(struct row *r, char c, uintptr_t addr, char *path, size_t size)
{
	enum { BEFORE_PATH = 5 };

	if (c == '\n') {
		bool found = addr >= r->lo && addr < r->hi && r->len;

		path[r->len < size - 1 ? r->len : 0] = 0; /* a part would be another file's */
		*r = (struct row){0};
		return found;
	}
	if (c == ' ' && r->blanks < BEFORE_PATH) {
		r->blanks += !r->gap;
		r->gap = true;
		return false;
	}
	if (!r->blanks && c == '-')
		r->lo = r->hi, r->hi = 0;
	else if (!r->blanks)
		r->hi = r->hi << 4 | digit(c);
	else if (r->blanks == BEFORE_PATH && (r->len || c != ' ') && r->len < size - 1)
		path[r->len++] = c;
	r->gap = false;
	return false;
}

void pg_module_path(const struct pg_module *m, uintptr_t addr, char *path, size_t size)
{
	char buf[512];
	struct row r = {0};
	int fd = pg_open("/proc/self/maps", O_RDONLY);
	bool found = false;
	long n;

	(void)m;
	while (fd >= 0 && !found && (n = pg_sys3(SYS_read, fd, buf, sizeof buf)) > 0)
		for (long i = 0; i < n && !found; i++)
			found = take(&r, buf[i], addr, path, size);
	if (!found)
		path[0] = 0;
	if (fd >= 0)
		pg_sys1(SYS_close, fd);
}

/* ---- its build-id ---- */

void pg_module_id(const struct pg_module *m, char *id, size_t size)
{
	enum { LENGTH = 12 }; /* so far before what it says, behind an owner of 4 bytes */
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[32];
	uint32_t n = 0;

	*id = 0;
	if (!m->build_id || !pg_peek(&n, (const void *)(m->build_id - LENGTH), sizeof n) ||
	    n > sizeof bytes || 2 * n >= size || !pg_peek(bytes, (const void *)m->build_id, n))
		return;
	for (uint32_t i = 0; i < n; i++) {
		id[2 * i] = digits[bytes[i] >> 4];
		id[2 * i + 1] = digits[bytes[i] & 15];
	}
	id[2 * n] = 0;
}
