/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/loader.h"
#include "base/sys.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>

/* The kernel's own timespec: libc's may be wider on 32 bit. */
struct clock {
	long sec, nsec;
};

/* prctl(PR_SET_TSC): so does the counter that the vDSO reads, in some thread. */
static PG_START_DATA bool traps;
static int (*vdso_clock)(int, struct clock *);
static PG_START_DATA bool known;

void pg_clock_start(void)
{
	int counter = 0;

	pg_sys5(SYS_prctl, PR_GET_TSC, &counter, 0, 0, 0);
	if (counter == PR_TSC_SIGSEGV)
		PG_PUT(traps, true);
}

/* When the time is first asked for. Threads that come here at once learn the same. */
static PG_COLD void learn(void)
{
	void *vdso = pg_loader_vdso("__vdso_clock_gettime");

	if (!vdso)
		vdso = pg_loader_vdso("__kernel_clock_gettime");
	PG_PUT(vdso_clock, (int (*)(int, struct clock *))vdso);
	__atomic_store_n(&known, true, __ATOMIC_RELEASE);
}

static PG_START_DATA bool safe; /* the vDSO needs no system call, and does not trap */

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
	char name[40];
	long n;
	int fd;

	if (!PG_GET(known))
		learn();
	fd = strictly || !vdso_clock ? -1 : pg_open(source, O_RDONLY);
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
	int (*vdso)(int, struct clock *);
	bool may;

	if (PG_UNLIKELY(!__atomic_load_n(&known, __ATOMIC_ACQUIRE)) && !pg_confined)
		learn();
	vdso = PG_GET(vdso_clock);
	may = vdso && !PG_GET(traps) && (safe || !pg_confined);
	if ((!may || vdso(id, c)) && !pg_confined)
		pg_sys2(SYS_clock_gettime, id, c);
}

static uint64_t ns_of(int id)
{
	struct clock c = {0, 0};

	clock_now(id, &c);
	return (uint64_t)c.sec * 1000000000u + (uint64_t)c.nsec;
}

uint64_t pg_now(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

uint64_t pg_since_boot(void)
{
	return ns_of(CLOCK_BOOTTIME);
}

void pg_realtime(int64_t *sec, uint32_t *nsec)
{
	struct clock c = {0, 0};

	clock_now(CLOCK_REALTIME, &c);
	*sec = c.sec;
	*nsec = (uint32_t)c.nsec;
}
