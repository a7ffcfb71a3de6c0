/* SPDX-License-Identifier: MIT */
#include "outside/soon.h"

#include "base/clock.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

int pg_soon_poll(struct pollfd *p, unsigned n, const struct timespec *most)
{
	const uint64_t look = 100000, soon = 1000000; /* ns */
	static const struct timespec none;
	static bool quick;
	bool waits = !most || most->tv_sec || most->tv_nsec;
	uint64_t start = pg_now(), now = start;
	int ret = 0;

	while (quick && waits && !ret && now - start < look) {
		sched_yield();
		ret = ppoll(p, n, &none, NULL);
		now = pg_now();
	}
	if (!ret)
		ret = ppoll(p, n, most, NULL);
	quick = ret > 0 && pg_now() - start < soon;
	return ret;
}
