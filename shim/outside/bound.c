/* SPDX-License-Identifier: MIT */
#include "outside/bound.h"

#include "outside/filter.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* MOST: this process's own, of which MORE may come by one look. What is tried gets LESS, so that
 * what does not end there for want of memory does not here. */
enum { MOST = 512 << 20, MORE = 256 << 20, LESS = MORE / 4 * 3 };

struct size {
	uint64_t all, own; /* in bytes; OWN: of no file, and in memory */
};

/* Of this process, or of the one that it is a child of: its descriptor is kept. */
static bool read_size(struct size *s)
{
	static int fd = -1;
	unsigned long all, resident, shared;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char text[128];
	ssize_t n;

	if (fd < 0)
		fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	if (sscanf(text, "%lu %lu %lu", &all, &resident, &shared) != 3)
		return false;
	*s = (struct size){all * page, (resident - shared) * page};
	return true;
}

static struct rlimit before; /* what it was at first */

static bool begin(uint64_t more)
{
	struct rlimit now;
	struct size s;

	if (!read_size(&s) || s.own > MOST || (!before.rlim_max && getrlimit(RLIMIT_AS, &before)))
		return false;
	now = before;
	if (s.all + more < now.rlim_cur)
		now.rlim_cur = (rlim_t)(s.all + more);
	return !setrlimit(RLIMIT_AS, &now);
}

bool pg_bound_begin(uint64_t mapped)
{
	return begin(MORE + mapped);
}

void pg_bound_end(void)
{
	setrlimit(RLIMIT_AS, &before);
}

/* What it says about memory, it says to nobody. */
static void __attribute__((noreturn)) be_bounded(void (*fn)(void *), void *arg, unsigned seconds)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(2);
	open("/dev/null", O_WRONLY | O_CLOEXEC);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
	if (!begin(LESS))
		_exit(1);
	fn(arg);
	_exit(0);
}

bool pg_bound_try(void (*fn)(void *), void *arg, unsigned seconds)
{
	int status, child = pg_split();

	if (!child)
		be_bounded(fn, arg, seconds);
	return child > 0 && waitpid(child, &status, __WALL) == child && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}
