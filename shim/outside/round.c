/* SPDX-License-Identifier: MIT */
#include "outside/round.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* Stops that are taken, in the order in which their threads go on. The kernel tells of those first
 * that were traced last: each is heard once before one is heard again. */
static struct {
	int tid, status;
} * taken;
static unsigned room;

static bool has_room(unsigned n)
{
	const unsigned more = room ? 2 * room : 64;
	void *wider = n < room ? NULL : realloc(taken, more * sizeof *taken);

	if (wider) {
		taken = wider;
		room = more;
	}
	return n < room;
}

/* The next thing that has happened, to the thread TID, or to any if that is 0; it is still to be
 * taken. False: errno says why. SI's pid is 0: nothing has. */
static bool look(int tid, siginfo_t *si)
{
	si->si_pid = 0;
	return !waitid(tid ? P_PID : P_ALL, (id_t)tid, si,
		       WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
}

static bool is_end(const siginfo_t *si)
{
	return si->si_code != CLD_TRAPPED && si->si_code != CLD_STOPPED;
}

/* As the N-th, if it still stands; its end is not taken instead. A thread that stops again, though
 * nobody let it go on, is about to end, or has an exec's new number: the former stop is no more. */
static unsigned take(int tid, unsigned n)
{
	siginfo_t si = {0};

	if (waitid(P_PID, (id_t)tid, &si, WSTOPPED | WNOHANG | __WALL) || !si.si_pid)
		return n;
	for (unsigned i = 0; i < n && si.si_status > 0xff; i++)
		if (taken[i].tid == tid)
			taken[i].tid = 0;
	taken[n].tid = tid;
	taken[n].status = si.si_status;
	return n + 1;
}

static void hear(const struct pg_round *to, unsigned n)
{
	siginfo_t newer;

	for (unsigned i = 0; i < n; i++)
		if (taken[i].tid && !(i && look(taken[i].tid, &newer) && newer.si_pid))
			to->stop(taken[i].tid, taken[i].status);
}

/* Takes what has happened by now, N stops of it; MORE, if that is not all. False: there is no
 * tracee any more. An end is heard behind the stops that came before it. */
static bool take_once(const struct pg_round *to, unsigned *n, bool *more)
{
	siginfo_t si = {0};
	bool any = true;

	*n = 0;
	while (has_room(*n) && (any = look(0, &si)) && si.si_pid && !(*n && is_end(&si))) {
		if (is_end(&si)) {
			to->end(si.si_pid);
			waitpid(si.si_pid, NULL, WNOHANG | __WALL);
		} else {
			*n = take(si.si_pid, *n);
		}
	}
	any = any || errno == EINTR || *n;
	*more = any && si.si_pid;
	hear(to, *n);
	return any;
}

bool pg_round_take(const struct pg_round *to, bool *more)
{
	enum { MANY = 64 };
	unsigned heard = 0, n;
	bool any;

	do {
		any = take_once(to, &n, more);
		heard += n;
	} while (any && n && heard < MANY);
	return any;
}
