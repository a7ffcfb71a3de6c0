/* SPDX-License-Identifier: MIT */
#include "inside/leave.h"

#include "base/dl.h"
#include "base/process.h"
#include "inside/stdio_gate.h"
#include "log/log.h"

#include <fcntl.h>

bool pg_leave_begin(struct pg_leaving *l, int fd, const char *call, uintptr_t caller)
{
	const struct pg_left left = {PG_HOW_CLOSE, 0, call, caller ? caller - 1 : 0};

	return pg_leaving_begin(l, fd, &left);
}

/* ---- many at once ---- */

/* <linux/dirent.h>: a struct linux_dirent64 is 8-byte aligned. */
struct entry {
	uint64_t ino, offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* The number that is the name of an entry; -1: none. */
static int64_t number_of(const struct entry *e)
{
	uint64_t n;

	return pg_number(e->name, INT32_MAX, &n) ? (int64_t)n : -1;
}

static void leave_one(int fd, const struct pg_left *left, bool closes)
{
	struct pg_leaving l;

	if (pg_log_goes_to(fd) || !pg_leaving_begin(&l, fd, left))
		return;
	if (!closes) {
		pg_leaving_end_open(&l);
		return;
	}
	pg_sys1(SYS_close, fd);
	pg_leaving_end(&l, true);
}

static void leave_each(unsigned first, unsigned last, const struct pg_left *left, bool closes)
{
	enum { ASKED_MOST = 512 };
	_Alignas(8) char buf[512];
	int list = pg_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	unsigned asked = 0;
	long n;

	if (list < 0)
		return;
	while ((n = pg_sys3(SYS_getdents64, list, buf, sizeof buf)) > 0) {
		const struct entry *e;

		for (long at = 0; at < n; at += e->length) {
			int64_t fd;

			e = (const struct entry *)(void *)(buf + at);
			fd = number_of(e);
			if (fd >= first && fd <= last && fd != list && asked++ < ASKED_MOST)
				leave_one((int)fd, left, closes);
		}
	}
	pg_sys1(SYS_close, list);
}

void pg_leave_range(unsigned first, unsigned last, const char *call, uintptr_t caller)
{
	const struct pg_left left = {PG_HOW_CLOSE, 0, call, caller - 1};

	if (!pg_confined && !pg_process_is_vforked())
		leave_each(first, last, &left, true);
}

/* ---- the end ---- */

/* What is closed now, the kernel would close some microseconds later. Another thread would see it.
 */
void pg_leave_all(enum pg_how how, int status)
{
	const struct pg_left left = {how, status, "", 0};

	if (!pg_has_endings() || pg_confined || pg_process_is_vforked())
		return;
	pg_leaving_process(&left);
	leave_each(0, INT32_MAX, &left, pg_process_is_single());
	pg_endings_close();
}

static int status_of_exit = -1; /* until all is flushed */

void pg_leave_exit(int status)
{
	status_of_exit = status & 0xff;
	if (!pg_stdio_waits())
		pg_leave_flushed();
}

void pg_leave_flushed(void)
{
	int status = status_of_exit;

	status_of_exit = -1;
	if (status >= 0 && pg_stdio_is_plain())
		pg_leave_all(PG_HOW_EXIT, status);
}

static void on_exiting(int status, void *unused)
{
	(void)unused;
	pg_leave_exit(status);
}

/* glibc alone has it. It was asked for first, so it runs last. */
void pg_leave_start(void)
{
	typedef int ask_fn(void (*)(int, void *), void *);
	ask_fn *ask = pg_has_endings() ? (ask_fn *)dlsym(RTLD_NEXT, "on_exit") : NULL;

	if (ask)
		ask(on_exiting, NULL);
	if (pg_has_endings())
		pg_leaving_hold(0);
}
