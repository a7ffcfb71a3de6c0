/* SPDX-License-Identifier: MIT */
#include "outside/stops.h"

#include "outside/frames.h"
#include "outside/bytes.h"
#include "outside/cut_off.h"
#include "outside/memory.h"
#include "outside/registers.h"
#include "outside/ruled.h"
#include "outside/silent.h"

#include "rules/live.h"
#include "rules/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

bool pg_stops_on;

/* Results of calls that were not made, until their threads come back. */
enum { BACK = 4096, AGAIN_FIRST = 512, AGAIN_LAST = 514 };
static struct {
	int tid;
	long number; /* of the call that is to be made again; else -1 */
	int64_t result;
} back[BACK];
static unsigned on_the_way;

static uint64_t watched;

void pg_stops_start(void)
{
	pg_stops_on = true;
	pg_turn_start();
	if (pg_page()) {
		watched = ~(uint64_t)0; /* nobody knows what comes */
		pg_survive_cut_off();
		pg_live_start(false);
	}
	for (unsigned i = 0; i < pg_rules.n; i++)
		watched |= pg_match_calls(&pg_rules.rule[i]);
}

bool pg_stops_owes(void)
{
	return on_the_way != 0;
}

void pg_stops_gone(int tid)
{
	unsigned at = (unsigned)tid % BACK;

	if (back[at].tid != tid)
		return;
	back[at].tid = 0;
	on_the_way--;
}

static void go_on_to_next(int tid)
{
	ptrace(PTRACE_SYSCALL, tid, 0, 0);
}

/* ---- a way ---- */

static bool stands(const struct pg_ruled *c)
{
	(void)c;
	return true;
}

static void go_on(struct pg_ruled *c)
{
	go_on_to_next(c->tid);
}

static void answer(struct pg_ruled *c, int64_t ret)
{
	unsigned at = (unsigned)c->tid % BACK;
	bool again = ret <= -AGAIN_FIRST && ret >= -AGAIN_LAST;

	if ((back[at].tid && back[at].tid != c->tid) || !pg_registers_skip(c->tid)) {
		go_on_to_next(c->tid); /* another one of that number is on its way */
		return;
	}
	back[at].tid = c->tid;
	back[at].result = ret;
	back[at].number = again ? c->number : -1;
	on_the_way++;
	go_on_to_next(c->tid);
}

/* ---- calls that are made in the process ---- */

#if defined(__x86_64__)

#include <sys/user.h>

/* To the next stop at a call. A stop that cannot be blocked is made later: *LATE. */
static bool next_stop(int tid, bool *late)
{
	enum { TIMES = 64 };
	int status;

	for (int i = 0; i < TIMES; i++) {
		go_on_to_next(tid);
		if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return true;
		*late |= WSTOPSIG(status) == SIGSTOP;
	}
	return false;
}

/* What is made in the place of one call: no signal may come between. */
struct guest {
	int tid;
	struct user_regs_struct as; /* at the entry of that call */
	uint64_t mask;
	bool stopped; /* SIGSTOP came */
};

static bool begin(struct guest *g, int tid)
{
	uint64_t all = ~(uint64_t)0;

	*g = (struct guest){.tid = tid};
	return !ptrace(PTRACE_GETREGS, tid, 0, &g->as) &&
	       !ptrace(PTRACE_GETSIGMASK, tid, sizeof g->mask, &g->mask) &&
	       !ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all);
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
	struct user_regs_struct r = g->as;
	int tid = g->tid;
	long ret;

	r.orig_rax = (unsigned long)number;
	r.rax = (unsigned long)number;
	r.rdi = (unsigned long)a;
	r.rsi = (unsigned long)b;
	r.rdx = (unsigned long)c;
	if (ptrace(PTRACE_SETREGS, tid, 0, &r) || !next_stop(tid, &g->stopped) ||
	    ptrace(PTRACE_GETREGS, tid, 0, &r))
		return -ESRCH;
	ret = (long)r.rax;
	r = g->as;
	r.rax = g->as.orig_rax;
	r.rip -= 2; /* the instruction of the call */
	if (ptrace(PTRACE_SETREGS, tid, 0, &r) || !next_stop(tid, &g->stopped))
		return -ESRCH;
	return ret;
}

/* One end of a pipe whose other end is closed takes the number. */
static long put_pipe(struct guest *g, const struct pg_ruled *c, int which, bool nonblock,
		     bool cloexec)
{
	uintptr_t at = (g->as.rsp - 512) & ~(uintptr_t)15; /* below what the program uses */
	int pair[2];
	long ret = make(g, SYS_pipe2, (long)at, nonblock ? O_NONBLOCK : 0, 0);

	if (ret)
		return ret;
	if (!pg_bytes_read(pg_tracee_by(c->of), at, pair, sizeof pair))
		return -EFAULT;
	make(g, SYS_close, pair[!which], 0, 0);
	ret = make(g, SYS_dup3, pair[which], c->op.fd, cloexec ? O_CLOEXEC : 0);
	make(g, SYS_close, pair[which], 0, 0);
	return ret < 0 ? ret : 0;
}

static int place_pipe(struct pg_ruled *c, int which, bool nonblock, bool cloexec)
{
	struct guest g;
	long ret;

	if (!begin(&g, c->tid))
		return -ESRCH;
	ret = put_pipe(&g, c, which, nonblock, cloexec);
	end(&g);
	return (int)ret;
}

#else

static int place_pipe(struct pg_ruled *c, int end, bool nonblock, bool cloexec)
{
	(void)c, (void)end, (void)nonblock, (void)cloexec;
	return -EOPNOTSUPP;
}

#endif

/* A pipe can be made there as well as here; a socket of ours cannot be put there. */
static int place(struct pg_ruled *c, int from, bool cloexec)
{
	long flags = pg_sys3(SYS_fcntl, from, F_GETFL, 0);
	struct pg_stat st;

	if (pg_fstat(from, &st) || !S_ISFIFO(st.mode))
		return -EOPNOTSUPP;
	return place_pipe(c, (flags & O_ACCMODE) == O_WRONLY, flags & O_NONBLOCK, cloexec);
}

static const struct pg_way way = {stands, go_on, answer, place, true};

/* ---- stops ---- */

/* Do the rules that hold now ask for it? */
static bool is_climbed(void)
{
	struct pg_rule_set *before = pg_live_enter();
	bool so = pg_ruled_by_stack();

	pg_live_leave(before);
	return so;
}

static void come(int tid, const struct __ptrace_syscall_info *info)
{
	struct pg_ruled c = {.way = &way, .copy = -1, .tid = tid};
	struct pg_registers r;

	c.number = (long)info->entry.nr;
	for (int i = 0; i < 6; i++)
		c.op.arg[i] = (long)info->entry.args[i];
	c.of = pg_tracee_heard(tid);
	if (!pg_registers_read(tid, &r) || r.narrow ||
	    !pg_memory_is_up(c.of, (uintptr_t)info->instruction_pointer)) {
		go_on_to_next(tid);
		return;
	}
	pg_tracee_now = c.of;
	c.climbed = is_climbed();
	if (c.climbed)
		pg_frames_climb(c.of, tid, &r);
	pg_ruled_come(&c);
}

/* The thread comes back from a call. */
static void finish(int tid)
{
	unsigned at = (unsigned)tid % BACK;

	if (back[at].tid == tid) {
		back[at].tid = 0;
		on_the_way--;
		if (back[at].number >= 0) {
			pg_registers_again(tid, back[at].number, (long)back[at].result);
			ptrace(PTRACE_INTERRUPT, tid, 0, 0); /* by way of the signals */
		} else {
			pg_registers_result(tid, (long)back[at].result);
		}
	} else if (pg_silent_on) {
		pg_silent_look(tid);
	}
	go_on_to_next(tid);
}

static bool is_watched(long number)
{
	enum pg_call call = pg_call_of_number(number);

	return call && watched & pg_calls_alike(call);
}

void pg_stops_take(int tid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) <= 0)
		go_on_to_next(tid);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		finish(tid);
	else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && is_watched((long)info.entry.nr))
		come(tid, &info);
	else
		go_on_to_next(tid);
}
