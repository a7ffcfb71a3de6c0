/* SPDX-License-Identifier: MIT */
#include "outside/guest.h"

#include "outside/bytes.h"
#include "outside/narrow.h"
#include "outside/registers.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is made in the place of one call: no signal may come between. */
struct guest {
	int tid;
	struct pg_registers_set as; /* at the entry of that call */
	uint64_t mask;
	bool stopped; /* SIGSTOP came */
	bool gone;    /* it has ended, or its number is another thread's, by an exec */
};

/* Until it has stopped, or ended. Of a first thread the kernel does not tell the end before that of
 * the others, which may wait for this process. */
static bool has_news(int tid, siginfo_t *si)
{
	enum { OFTEN = 64, PAUSE = 20000 };
	const long pause[2] = {0, PAUSE};

	for (unsigned i = 1;; i++) {
		si->si_pid = 0;
		if (waitid(P_PID, (id_t)tid, si, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL))
			return false;
		if (si->si_pid)
			return true;
		if (i % OFTEN == 0 && !pg_tracee_lives(tid))
			return false;
		if (i > OFTEN)
			pg_sys2(SYS_nanosleep, pause, 0);
	}
}

/* To the next stop, which is taken unless it is for the engine to see: an end, or an exec. Returns
 * its signal, or 0. */
static int stop_of(struct guest *g)
{
	siginfo_t si;
	int status, event;

	if (ptrace(PTRACE_SYSCALL, g->tid, 0, 0) || !has_news(g->tid, &si) ||
	    si.si_code != CLD_TRAPPED)
		return 0;
	event = si.si_status >> 8;
	if (event == PTRACE_EVENT_EXEC || event == PTRACE_EVENT_EXIT ||
	    waitpid(g->tid, &status, WNOHANG | __WALL) != g->tid || !WIFSTOPPED(status))
		return 0;
	return WSTOPSIG(status);
}

/* To the next stop at a call. A stop that cannot be blocked is made later. */
static bool next_stop(struct guest *g)
{
	enum { TIMES = 64 };

	for (int i = 0; i < TIMES && !g->gone; i++) {
		int sig = stop_of(g);

		if (sig == (SIGTRAP | 0x80))
			return true;
		g->stopped |= sig == SIGSTOP;
		g->gone = !sig;
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
	if (g->gone)
		return;
	ptrace(PTRACE_SETSIGMASK, g->tid, sizeof g->mask, &g->mask);
	if (g->stopped)
		pg_sys2(SYS_tkill, g->tid, SIGSTOP);
}

/* Makes another call, and stops at the entry again. */
static long make(struct guest *g, long number, long a, long b, long c)
{
	const long arg[] = {a, b, c};
	struct pg_registers r;

	if (g->gone || !pg_registers_instead(g->tid, &g->as, number, arg) || !next_stop(g) ||
	    !pg_registers_read(g->tid, &r) || !pg_registers_enter(g->tid, &g->as) || !next_stop(g))
		return -ESRCH;
	return r.result;
}

/* Filters of system calls that thread TID has; all of them where they are not counted, before Linux
 * 5.9. */
static int filters(int tid)
{
	enum { STRICT = 1, MANY = 1000 };
	char line[256];
	int mode = pg_tracee_status(tid, "Seccomp:", line, sizeof line) ? atoi(line) : 0;

	if (mode && pg_tracee_status(tid, "Seccomp_filters:", line, sizeof line) && mode != STRICT)
		return atoi(line);
	return mode == STRICT ? MANY : mode;
}

/* Are calls of its own all that it may make? A sandbox that it stands in alone may end it for
 * others; one that this process stands in, too, lets them pass. */
static bool is_confined(int tid)
{
	return filters(tid) > filters(getpid());
}

static const struct numbers {
	long pipe, close, dup;
} wide = {SYS_pipe2, SYS_close, SYS_dup3},
  narrow = {PG_NARROW_PIPE2, PG_NARROW_CLOSE, PG_NARROW_DUP3};

/* The pipe's numbers, for which there is room below what the program uses of its stack; if that
 * ends there, it is somebody's, and is put back. */
static long make_pipe(struct guest *g, const struct pg_ruled *c, uintptr_t sp, int pair[2],
		      int flags)
{
	const uintptr_t at = (sp - 512) & ~(uintptr_t)15;
	int by = pg_tracee_by(c->of), before[2];
	long ret;

	if (!pg_bytes_read(by, at, before, sizeof before))
		return -EFAULT;
	ret = make(g, c->narrow ? narrow.pipe : wide.pipe, (long)at, flags, 0);
	if (ret)
		return ret;
	if (!pg_bytes_read(by, at, pair, 2 * sizeof *pair))
		return -EFAULT;
	pg_bytes_write(by, at, before, sizeof before);
	return 0;
}

/* No child that another thread starts meanwhile keeps what is but for now. */
static long put_pipe(struct guest *g, const struct pg_ruled *c, uintptr_t sp, int which, int flags)
{
	const struct numbers *n = c->narrow ? &narrow : &wide;
	int pair[2];
	long ret = make_pipe(g, c, sp, pair, (flags & O_NONBLOCK) | O_CLOEXEC);

	if (ret)
		return ret;
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

	if (!pg_registers_read(c->tid, &r) || r.narrow != c->narrow || is_confined(c->tid) ||
	    !pg_registers_keep(c->tid, &g.as))
		return -EOPNOTSUPP;
	if (!begin(&g))
		return -ESRCH;
	ret = put_pipe(&g, c, r.sp, which, flags);
	end(&g);
	return g.gone ? -ESRCH : (int)ret;
}
