/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/sys.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>

/* The kernel's own timespec: libc's may be wider on 32 bit. */
struct clock {
	long sec, nsec;
};

static bool traps; /* prctl(PR_SET_TSC): so does the counter that the vDSO reads, in some thread */
static int (*vdso_clock)(int, struct clock *);

void pg_clock_start(uintptr_t vdso)
{
	int counter = 0;

	vdso_clock = (int (*)(int, struct clock *))vdso;
	pg_sys2(SYS_prctl, PR_GET_TSC, &counter);
	traps = counter == PR_TSC_SIGSEGV;
}

static bool safe; /* the vDSO needs no system call, and does not trap */

/* Clock sources that the vDSO reads by itself. */
static bool is_readable_source(const char *name)
{
	return pg_prefix(name, "tsc\n") || pg_prefix(name, "kvm-clock\n") ||
	       pg_prefix(name, "hyperv_clocksource_tsc_page\n") ||
	       pg_prefix(name, "arch_sys_counter\n");
}

void pg_clock_confine(bool strictly)
{
	static const char source[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	int fd = strictly || !vdso_clock ? -1 : pg_open(source, O_RDONLY);
	char name[40];
	long n;

	safe = false;
	if (fd < 0)
		return;
	n = pg_sys3(SYS_read, fd, name, sizeof name - 1);
	pg_sys1(SYS_close, fd);
	name[n > 0 ? n : 0] = 0;
	safe = is_readable_source(name);
}

void pg_clock_traps(bool so)
{
	PG_PUT(traps, so);
}

/* musl's name on 32 bits for the call of which it knows the later one by this name. */
#ifndef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime32
#endif

static void clock_now(int id, struct clock *c)
{
	bool may = vdso_clock && !PG_GET(traps) && (safe || !pg_confined);

	if ((!may || vdso_clock(id, c)) && !pg_confined)
		pg_sys2(SYS_clock_gettime, id, c);
}

uint64_t pg_now(void)
{
	struct clock c = {0, 0};

	clock_now(CLOCK_MONOTONIC, &c);
	return (uint64_t)c.sec * 1000000000u + (uint64_t)c.nsec;
}

void pg_realtime(int64_t *sec, uint32_t *nsec)
{
	struct clock c = {0, 0};

	clock_now(CLOCK_REALTIME, &c);
	*sec = c.sec;
	*nsec = (uint32_t)c.nsec;
}
