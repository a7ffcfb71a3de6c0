/* SPDX-License-Identifier: MIT */
#include "outside/soon.h"

#include "base/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* Are there CPUs enough for all who want one now? Where they are wanted, none falls asleep, and who
 * sleeps is preferred when it wakes up. */
static bool are_idle(void)
{
	static long cpus;
	static int fd = -1;
	long running;
	char line[128];
	ssize_t n;

	if (!cpus)
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (fd < 0)
		fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	n = pread(fd, line, sizeof line - 1, 0);
	line[n > 0 ? n : 0] = 0;
	return sscanf(line, "%*s %*s %*s %ld/", &running) == 1 && running <= cpus;
}

static bool may_look(uint64_t now)
{
	const uint64_t often = 10000000; /* ns */
	static uint64_t next;
	static bool may;

	if (now >= next) {
		may = are_idle();
		next = now + often;
	}
	return may;
}

int pg_soon_poll(struct pollfd *p, unsigned n, const struct timespec *most)
{
	const uint64_t look = 100000, soon = 1000000; /* ns */
	static const struct timespec none;
	static bool quick;
	bool waits = !most || most->tv_sec || most->tv_nsec;
	uint64_t start = pg_now(), now = start;
	int ret = 0;

	while (quick && waits && !ret && now - start < look && may_look(now)) {
		sched_yield();
		ret = ppoll(p, n, &none, NULL);
		now = pg_now();
	}
	if (!ret)
		ret = ppoll(p, n, most, NULL);
	quick = ret > 0 && pg_now() - start < soon;
	return ret;
}
