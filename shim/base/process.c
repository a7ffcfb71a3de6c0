/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/dl.h"

#include <sys/mman.h>

/* A page of its own: madvise works on whole pages. */
_Alignas(PG_PAGE_MOST) pg_shared64 pg_process_noted[PG_PAGE_MOST / sizeof(pg_shared64)];

uint32_t pg_forks, pg_forks_before;
__thread bool pg_vforked __attribute__((tls_model("initial-exec")));

bool pg_process_wipes(void *pages, size_t size, int *known)
{
	int wipes = PG_GET(*known);

	if (wipes || pg_confined)
		return wipes > 0;
	wipes = pg_sys3(SYS_madvise, pages, size, MADV_WIPEONFORK) ? -1 : 1;
	PG_PUT(*known, wipes);
	return wipes > 0;
}

uint64_t pg_process_asked(void)
{
	static PG_START_DATA int wiped;
	uint64_t pid = (uint64_t)pg_pid();

	if (pg_process_wipes(pg_process_noted, sizeof pg_process_noted, &wiped))
		PG_PUT(*pg_process_noted, pid);
	return pid;
}

void pg_process_before_vfork(void)
{
	pg_process();
	pg_vforked = true;
}

bool pg_process_ask(void)
{
	if (pg_confined || (uint64_t)pg_pid() != pg_process())
		return !pg_confined;
	pg_vforked = false; /* the parent goes on when its child has gone */
	return false;
}

static PG_START_DATA const char *single_threaded; /* glibc 2.32's word, <sys/single_threaded.h> */

/* Its forerunner, in the thread's own block (tcbhead_t); set by the first pthread_create. */
static bool has_threads(void)
{
	int has = 1;

#ifdef PG_ASK_THREADS
	PG_ASK_THREADS(has);
#endif
	return has;
}

bool pg_process_is_single(void)
{
	return single_threaded ? PG_GET(*single_threaded) : !has_threads();
}

static void on_fork(void)
{
	__atomic_fetch_add(&pg_forks, 1, __ATOMIC_RELAXED);
}

static PG_START_DATA void (*before_forks)(void), (*after_forks)(void);

void pg_process_before_forks(void (*what)(void))
{
	before_forks = what;
}

void pg_process_after_forks(void (*what)(void))
{
	after_forks = what;
}

static void in_child(void)
{
	on_fork();
	PG_PUT(pg_forks_before, PG_GET(pg_forks));
	if (after_forks)
		after_forks();
}

static void before_fork(void)
{
	if (before_forks)
		before_forks();
}

/* pthread_atfork(3) is a part of the static library; this is what it calls in glibc. */
void pg_process_start(void)
{
	typedef int ask_fn(void (*)(void), void (*)(void), void (*)(void), void *);
	ask_fn *ask = (ask_fn *)pg_dl_next("__register_atfork");

	single_threaded = (const char *)pg_dl_default("__libc_single_threaded");
	if (!ask)
		ask = (ask_fn *)pg_dl_next("pthread_atfork"); /* musl's; it takes three */
	if (ask)
		ask(before_fork, on_fork, in_child, NULL);
}
