/* SPDX-License-Identifier: MIT */
#include "inside/leave.h"

#include "base/process.h"
#include "log/log.h"

#include <fcntl.h>
#include <poll.h>

bool pg_leave_begin(struct pg_leaving *l, int fd, const char *call, uintptr_t caller)
{
	const struct pg_left left = {PG_HOW_CLOSE, 0, call, caller ? caller - 1 : 0};

	return pg_leaving_begin(l, fd, &left);
}

/* ---- many at once ---- */

/* True: it left something. */
static __attribute__((noinline)) bool leave_one(int fd, const struct pg_left *left, bool closes)
{
	struct pg_leaving l;

	if (pg_log_goes_to(fd))
		return false;
	if (!pg_leaving_begin(&l, fd, left)) {
		if (left->how == PG_HOW_CLOSE)
			pg_fd_closed(fd); /* or the next number of the same would be a copy */
		return false;
	}
	if (!closes) {
		pg_leaving_end_open(&l);
		return true;
	}
	pg_sys1(SYS_close, fd);
	pg_leaving_end(&l, true);
	return true;
}

/* Numbers that are asked for at once. */
enum { AT_ONCE = 64 };

/* Where the program may have fewer descriptors, poll(2) takes none of them. */
static PG_COLD uint64_t open_each(unsigned first)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < AT_ONCE; i++)
		if (pg_sys3(SYS_fcntl, first + i, F_GETFD, 0) >= 0)
			open |= (uint64_t)1 << i;
	return open;
}

/* Those of AT_ONCE from FIRST on that are open, as bits. */
static __attribute__((noinline)) uint64_t open_from(unsigned first)
{
	struct pollfd p[AT_ONCE];
	const long zero[2] = {0, 0};
	uint64_t open = 0;

	for (unsigned i = 0; i < AT_ONCE; i++)
		p[i] = (struct pollfd){.fd = (int)(first + i)};
	if (pg_sys5(SYS_ppoll, p, AT_ONCE, zero, 0, 0) < 0)
		return open_each(first);
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (!(p[i].revents & POLLNVAL))
			open |= (uint64_t)1 << i;
	return open;
}

/* Behind AT_ONCE numbers that are all free nothing is looked for, nor behind as many endings as the
 * ring can keep: then it is not known who left. */
static void leave_each(unsigned first, unsigned last, const struct pg_left *left, bool closes)
{
	enum { MOST = 4096 };
	unsigned n = 0;
	uint64_t open;

	for (unsigned at = first; at <= last && at < MOST && (open = open_from(at)); at += AT_ONCE)
		for (unsigned i = 0; i < AT_ONCE && at + i <= last && n < PG_ENDINGS / 2; i++)
			if (open >> i & 1)
				n += leave_one((int)(at + i), left, closes);
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
	pg_endings_close(pg_pid());
}

static int status_of_exit = -1; /* until all is flushed */

void pg_leave_exit(int status)
{
	status_of_exit = status & 0xff;
}

void pg_leave_flushed(bool plain)
{
	int status = status_of_exit;

	status_of_exit = -1;
	if (status >= 0 && plain)
		pg_leave_all(PG_HOW_EXIT, status);
}
