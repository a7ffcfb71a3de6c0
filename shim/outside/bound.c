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

static bool read_size(struct size *s)
{
	unsigned long all, resident, shared;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/statm", "re");
	bool read = f && fscanf(f, "%lu %lu %lu", &all, &resident, &shared) == 3;

	if (f)
		fclose(f);
	if (read)
		*s = (struct size){all * page, (resident - shared) * page};
	return read;
}

static struct rlimit before;

static bool begin(uint64_t more)
{
	struct rlimit now;
	struct size s;

	if (!read_size(&s) || s.own > MOST || getrlimit(RLIMIT_AS, &before))
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
