/* SPDX-License-Identifier: MIT */
#include "outside/stops.h"

#include "outside/frames.h"
#include "outside/cut_off.h"
#include "outside/guest.h"
#include "outside/memory.h"
#include "outside/narrow.h"
#include "outside/registers.h"
#include "outside/ruled.h"
#include "outside/silent.h"
#include "outside/tracers.h"

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
enum { BACK = 4096 };
static struct {
	int tid;
	long number; /* of the call that is to be made again, as its thread counts; else -1 */
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

void pg_stops_end(void)
{
	watched = 0;
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
	pg_ruled_let_go(c);
	if (!c->gone)
		go_on_to_next(c->tid);
}

static void answer(struct pg_ruled *c, int64_t ret)
{
	unsigned at = (unsigned)c->tid % BACK;
	bool again = pg_is_again(ret);

	pg_ruled_let_go(c);
	if (c->gone)
		return;
	if ((back[at].tid && back[at].tid != c->tid) || !pg_registers_skip(c->tid)) {
		go_on_to_next(c->tid); /* another one of that number is on its way */
		return;
	}
	back[at].tid = c->tid;
	back[at].result = ret;
	back[at].number = again ? (long)c->id : -1;
	on_the_way++;
	go_on_to_next(c->tid);
}

/* A pipe can be made there as well as here; a socket of ours cannot be put there. */
static int place(struct pg_ruled *c, int from, bool cloexec)
{
	long flags = pg_sys3(SYS_fcntl, from, F_GETFL, 0);
	struct pg_stat st;
	int ret;

	if (pg_fstat(from, &st) || !S_ISFIFO(st.mode))
		return -EOPNOTSUPP;
	ret = pg_guest_pipe(c, (flags & O_ACCMODE) == O_WRONLY, flags & O_NONBLOCK, cloexec);
	c->gone |= ret == -ESRCH;
	return ret;
}

static const struct pg_way way = {stands, go_on, answer, place, true, NULL};

/* ---- stops ---- */

/* Do the rules that hold now ask for it? */
static bool is_climbed(void)
{
	struct pg_rule_set *before = pg_live_enter();
	bool so = pg_ruled_by_stack();

	pg_live_leave(before);
	return so;
}

/* Programs of 64 bits may make calls of 32-bit ones, too. */
static bool is_narrow(const struct __ptrace_syscall_info *info)
{
	return info->arch == (uint32_t)PG_NARROW_AUDIT; /* 0, which is none: no such calls */
}

static void come(int tid, const struct __ptrace_syscall_info *info)
{
	struct pg_ruled c = {.way = &way, .copy = -1, .source = -1, .tid = tid};
	struct pg_registers r;

	c.id = info->entry.nr;
	c.number = (long)info->entry.nr;
	for (int i = 0; i < 6; i++)
		c.op.arg[i] = (long)info->entry.args[i];
	if (is_narrow(info))
		pg_narrow_call(&c);
	c.of = pg_tracee_heard(tid);
	if (!pg_registers_read(tid, &r) ||
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

/* As this machine counts it; -1: it is no call that rules name. */
static long number_of(const struct __ptrace_syscall_info *info)
{
	uint32_t number = (uint32_t)info->entry.nr;

	if (!is_narrow(info))
		return (long)info->entry.nr;
	return number == PG_NARROW_SOCKETCALL ? pg_narrow_socketcall((unsigned)info->entry.args[0])
					      : pg_narrow_number(number);
}

static bool is_watched(long number)
{
	enum pg_call call = number < 0 ? PG_NO_CALL : pg_call_of_number(number);

	return call && watched & pg_calls_alike(call);
}

void pg_stops_take(int tid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) <= 0)
		go_on_to_next(tid);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		finish(tid);
	else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && number_of(&info) == SYS_ptrace)
		pg_tracers_look(tid), go_on_to_next(tid);
	else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && is_watched(number_of(&info)))
		come(tid, &info);
	else
		go_on_to_next(tid);
}
