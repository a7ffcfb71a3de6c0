/* SPDX-License-Identifier: MIT */
#include "outside/guest.h"

#include "outside/bytes.h"
#include "outside/narrow.h"
#include "outside/registers.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* What is made in the place of one call: no signal may come between. */
struct guest {
	int tid;
	struct pg_registers_set as; /* at the entry of that call */
	uint64_t mask;
	bool stopped; /* SIGSTOP came */
};

/* To the next stop at a call. A stop that cannot be blocked is made later. */
static bool next_stop(struct guest *g)
{
	enum { TIMES = 64 };
	int status;

	for (int i = 0; i < TIMES; i++) {
		ptrace(PTRACE_SYSCALL, g->tid, 0, 0);
		if (waitpid(g->tid, &status, __WALL) != g->tid || !WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return true;
		g->stopped |= WSTOPSIG(status) == SIGSTOP;
	}
	return false;
}

static bool begin(struct guest *g)
{
	uint64_t all = ~(uint64_t)0;

	return !ptrace(PTRACE_GETSIGMASK, g->tid, sizeof g->mask, &g->mask) &&
	       !ptrace(PTRACE_SETSIGMASK, g->tid, sizeof all, &all);
}

static void end(const struct guest *g)
{
	ptrace(PTRACE_SETSIGMASK, g->tid, sizeof g->mask, &g->mask);
	if (g->stopped)
		pg_sys2(SYS_tkill, g->tid, SIGSTOP);
}

/* Makes another call, and stops at the entry again. */
static long make(struct guest *g, long number, long a, long b, long c)
{
	const long arg[] = {a, b, c};
	struct pg_registers r;

	if (!pg_registers_instead(g->tid, &g->as, number, arg) || !next_stop(g) ||
	    !pg_registers_read(g->tid, &r) || !pg_registers_enter(g->tid, &g->as) || !next_stop(g))
		return -ESRCH;
	return r.result;
}

static const struct numbers {
	long pipe, close, dup;
} wide = {SYS_pipe2, SYS_close, SYS_dup3},
  narrow = {PG_NARROW_PIPE2, PG_NARROW_CLOSE, PG_NARROW_DUP3};

/* SP: below what the program uses of its stack there is room. */
static long put_pipe(struct guest *g, const struct pg_ruled *c, uintptr_t sp, int which, int flags)
{
	const struct numbers *n = c->narrow ? &narrow : &wide;
	uintptr_t at = (sp - 512) & ~(uintptr_t)15;
	int pair[2];
	long ret = make(g, n->pipe, (long)at, flags & O_NONBLOCK, 0);

	if (ret)
		return ret;
	if (!pg_bytes_read(pg_tracee_by(c->of), at, pair, sizeof pair))
		return -EFAULT;
	make(g, n->close, pair[!which], 0, 0);
	ret = make(g, n->dup, pair[which], c->op.fd, flags & O_CLOEXEC);
	make(g, n->close, pair[which], 0, 0);
	return ret < 0 ? ret : 0;
}

int pg_guest_pipe(const struct pg_ruled *c, int which, bool nonblock, bool cloexec)
{
	int flags = (nonblock ? O_NONBLOCK : 0) | (cloexec ? O_CLOEXEC : 0);
	struct guest g = {.tid = c->tid};
	struct pg_registers r;
	long ret;

	if (!pg_registers_read(c->tid, &r) || r.narrow != c->narrow ||
	    !pg_registers_keep(c->tid, &g.as))
		return -EOPNOTSUPP;
	if (!begin(&g))
		return -ESRCH;
	ret = put_pipe(&g, c, r.sp, which, flags);
	end(&g);
	return (int)ret;
}
