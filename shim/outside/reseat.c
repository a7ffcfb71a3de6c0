/* SPDX-License-Identifier: MIT */
#include "outside/place.h"

#include "base/sys.h"
#include "fault/reseat.h"

#include <errno.h>

static pg_place_fn *placer;

void pg_place_by(pg_place_fn *fn)
{
	placer = fn;
}

/* The faults work on a copy; what takes its place has to take the number in the process, too. */
int pg_reseat(int fd, int from)
{
	int ret = placer ? placer(from) : -EOPNOTSUPP;

	if (!ret)
		pg_sys3(SYS_dup3, from, fd, 02000000);
	pg_sys1(SYS_close, from);
	return ret;
}

void pg_reseat_wake(int fd)
{
	(void)fd;
}
