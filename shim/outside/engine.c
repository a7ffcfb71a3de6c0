/* SPDX-License-Identifier: MIT */
#include "outside/engine.h"

#include "outside/interrupted.h"
#include "outside/memory.h"
#include "outside/notify.h"
#include "outside/round.h"
#include "outside/ruled.h"
#include "outside/silent.h"
#include "outside/soon.h"
#include "outside/waiting.h"
#include "outside/stops.h"
#include "outside/report.h"
#include "outside/tracee.h"
#include "outside/tracers.h"

#include "base/clock.h"
#include "log/log.h"
#include "rules/page.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

static bool notifies; /* of calls, the kernel */
static int signals = -1;
static sigset_t some; /* of which this process wants to know */
static volatile sig_atomic_t asked;
static volatile sig_atomic_t changed = 1; /* SIGCHLD has come since what had happened was taken */

/* While it waits for calls; else they are blocked, and read from SIGNALS. */
static void on_signal(int sig)
{
	if (sig == SIGCHLD || sig == SIGALRM)
		changed = 1;
	else
		asked = 1;
	pg_notify_disturb();
}

/* Everything waits: a log that breaks, too, must not end this process. */
bool pg_engine_prepare(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&some);
	sigaddset(&some, SIGCHLD);
	sigaddset(&some, SIGINT);
	sigaddset(&some, SIGTERM);
	sigaddset(&some, SIGHUP);
	signals = signalfd(-1, &some, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals >= 0;
}

/* ---- seizing ---- */

static long options(void)
{
	const long filtered = pg_silent_on && !pg_stops_on ? PTRACE_O_TRACESECCOMP : 0;

	return filtered | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
	       PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD;
}

static long seize(int tid)
{
	return ptrace(PTRACE_SEIZE, tid, 0, options()) ? -errno : 0;
}

/* It runs, and is to stop at calls from now on. */
static void first_stop(int tid)
{
	if (pg_stops_on)
		ptrace(PTRACE_INTERRUPT, tid, 0, 0);
}

/* Is TID ours already: by the thread that started it? */
static bool is_ours(int tid)
{
	char text[128];

	return pg_tracee_status(tid, "TracerPid:", text, sizeof text) && atoi(text) == getpid();
}

/* A thread that has ended is there until somebody takes it, and may not be traced. */
static bool has_ended(int tid)
{
	return !pg_tracee_lives(tid);
}

/* One look at all threads. Returns how many were new, or -errno. */
static int seize_round(int pid)
{
	char path[48];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return -ESRCH;
	while ((e = readdir(d))) {
		int tid = atoi(e->d_name);
		long ret = tid > 0 ? seize(tid) : -ESRCH;

		if (!ret)
			n++, first_stop(tid);
		else if (ret != -ESRCH && !is_ours(tid) && !has_ended(tid)) {
			closedir(d);
			return n ? n : (int)ret;
		}
	}
	closedir(d);
	return n;
}

/* Threads that start meanwhile are ours if the one that started them was; the others are in the
 * next look. */
int pg_engine_seize(int pid)
{
	int all = 0, n;

	pg_tracee(pid);
	do {
		n = seize_round(pid);
		if (n < 0)
			return all ? all : n;
		all += n;
	} while (n);
	return all ? all : -ESRCH;
}

/* ---- stops ---- */

static void go_on(int tid, int sig)
{
	bool stopped = pg_stops_on || pg_tracers_watch(tid);

	ptrace(stopped ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, (long)sig);
}

static bool stops(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* It stays stopped, until SIGCONT. */
static void on_group_stop(int tid)
{
	ptrace(PTRACE_LISTEN, tid, 0, 0);
	pg_ruled_stops(pg_tracee_of(tid));
}

static void forget_thread(int tid)
{
	pg_wait_gone(tid);
	pg_stops_gone(tid);
	pg_tracers_leave(tid);
	pg_tracee_thread_gone(tid);
}

/* Where no filter, and no stop, shows its calls. */
static void expect_tracer(int tid, bool starts)
{
	if (!pg_stops_on && !notifies && !pg_silent_on)
		pg_tracers_expect(tid, starts);
}

/* The thread that called exec has its process's number now: neither the end of its own nor that of
 * the leader is reported. */
static void on_exec(int pid)
{
	struct pg_tracee *t = pg_tracee(pid);
	unsigned long former = 0;

	forget_thread(pid);
	if (!ptrace(PTRACE_GETEVENTMSG, pid, 0, &former) && (int)former != pid)
		forget_thread((int)former);
	pg_tracee_renewed(t);
	pg_report_started(t);
	if (t->held)
		ptrace(PTRACE_SETOPTIONS, pid, 0, options() | PTRACE_O_TRACEEXIT);
	pg_report_closed(t);
	expect_tracer(pid, true);
	go_on(pid, 0);
}

/* It is about to end, and still has its memory: was the library in it? */
static void on_last_stop(int tid)
{
	struct pg_tracee *t = pg_tracee_known(pg_tracee_of(tid));

	if (t && t->held) {
		t->by = tid;
		pg_memory_map(t);
		pg_report_held(t);
	}
	go_on(tid, 0);
}

/* What its program wrote until now counts for the child, too; one by vfork counts as its parent.
 * The child may have ended before this is reported. */
static void on_fork(int tid, bool vfork)
{
	unsigned long child = 0;
	int parent = pg_tracee_of(tid);

	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &child))
		child = 0;
	if (child)
		expect_tracer(tid, false);
	if ((pg_rules.n || pg_page()) && child && pg_tracee_lives((int)child)) {
		pg_tracee((int)child)->image = pg_tracee(parent)->image;
		pg_tracee((int)child)->vfork_of = vfork ? parent : 0;
	}
	go_on(tid, 0);
}

static void on_signal_of(int tid, int sig)
{
	if (notifies)
		pg_interrupted(tid);
	pg_interrupted_for_nothing(tid, sig);
	go_on(tid, sig);
}

static void on_call(int tid)
{
	if (pg_silent_on)
		pg_silent_look(tid);
	else
		pg_tracers_look(tid);
	go_on(tid, 0);
}

static void on_filtered(int tid)
{
	bool ours = pg_silent_stopped(tid);

	if (ours)
		pg_tracers_look(tid);
	ptrace(ours ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, 0); /* to its end */
}

static void on_stop(int tid, int status)
{
	int sig = status & 0xff, event = status >> 8;

	if (event == PTRACE_EVENT_STOP)
		pg_ruled_stands(tid);
	if (event == PTRACE_EVENT_STOP && sig == SIGTRAP && pg_stops_on)
		pg_interrupted_by_stop(tid);
	if (event == PTRACE_EVENT_STOP && !stops(sig))
		expect_tracer(tid, false);
	if (event == PTRACE_EVENT_STOP && stops(sig))
		on_group_stop(tid);
	else if (event == PTRACE_EVENT_EXEC)
		on_exec(tid);
	else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
		on_fork(tid, event == PTRACE_EVENT_VFORK);
	else if (event == PTRACE_EVENT_EXIT)
		on_last_stop(tid);
	else if (event == PTRACE_EVENT_SECCOMP)
		on_filtered(tid);
	else if (sig == (SIGTRAP | 0x80) && !pg_stops_on)
		on_call(tid);
	else if (sig == (SIGTRAP | 0x80))
		pg_stops_take(tid);
	else if (event)
		go_on(tid, 0);
	else if (sig == SIGPIPE)
		go_on(tid, pg_report_sigpipe(pg_tracee_heard(tid), tid));
	else
		on_signal_of(tid, sig);
}

/* Its parent learns of the end of TID when this process has taken it. So the last line is written
 * before. */
static void on_end(int tid)
{
	struct pg_tracee *t = pg_tracee_known(tid);

	forget_thread(tid);
	if (t)
		pg_report_ended(t);
	pg_tracee_gone(tid);
}

/* Without this process the calls of those that it answers would fail: asked to end, it does so with
 * them. */
static bool may_leave(const struct pg_engine *how)
{
	return asked && how->listener < 0 && !(pg_silent_on && !pg_stops_on);
}

/* ---- the loop ---- */

/* What has happened. False: there is no tracee any more. */
static bool take_all(void)
{
	static const struct pg_round to = {on_stop, on_end};
	bool more, any = pg_round_take(&to, &more);

	changed = more;
	return any;
}

static void take_signals(void)
{
	struct signalfd_siginfo si;

	while (read(signals, &si, sizeof si) == (ssize_t)sizeof si) {
		if (si.ssi_signo == SIGCHLD)
			changed = 1;
		else
			asked = 1;
	}
}

static bool is_ready(const struct pollfd *p)
{
	return p->revents & POLLIN;
}

/* The time until the next thing that is to be done at a time; a second at the most, in case a
 * signal was lost. */
static struct timespec patience(uint64_t until)
{
	const uint64_t second = 1000000000;
	uint64_t now = until ? pg_now() : 0, left = until > now ? until - now : 0;

	if (!until || left > second)
		left = second;
	return (struct timespec){(time_t)(left / second), (long)(left % second)};
}

/* Until something happens; what waits for its time, or its descriptor, goes on then. */
static void wait_for_more(const struct pg_engine *how)
{
	enum { MOST = 1024 };
	static struct pollfd p[MOST];
	uint64_t until = how->until;
	struct timespec t;
	unsigned n = 2;
	int ret;

	p[0] = (struct pollfd){.fd = signals, .events = POLLIN};
	p[1] = (struct pollfd){.fd = how->listener, .events = POLLIN};
	n += pg_wait_poll(p + n, MOST - n, &until);
	t = patience(changed ? 1 : until); /* 1: long ago */
	ret = pg_soon_poll(p, n, &t);
	if (!ret)
		changed = 1;
	if (ret > 0 && is_ready(&p[1]))
		pg_notify_take();
	pg_ruled_step();
	if (ret > 0 && is_ready(&p[0]))
		take_signals();
}

/* Every second, in case a signal was lost. */
static void start_listening(int listener)
{
	static const int which[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGALRM};
	const struct itimerval second = {{1, 0}, {1, 0}};
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaddset(&some, SIGALRM);
	a.sa_mask = some;
	for (unsigned i = 0; i < sizeof which / sizeof *which; i++)
		sigaction(which[i], &a, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	notifies = true;
	pg_notify_start(listener);
}

/* Nothing is waited for but calls and signals. */
static bool may_listen(const struct pg_engine *how)
{
	return how->listener >= 0 && !how->until && !changed && !pg_wait_any();
}

/* Is it to leave? */
static bool is_over(const struct pg_engine *how, enum pg_end *end)
{
	if (how->once && pg_reported)
		*end = PG_END_ONCE;
	else if (may_leave(how))
		*end = PG_END_ASKED;
	else if (how->until && pg_now() >= how->until)
		*end = PG_END_TIME;
	else
		return false;
	return true;
}

enum pg_end pg_engine_run(const struct pg_engine *how)
{
	enum pg_end end;

	if (how->listener >= 0)
		start_listening(how->listener);
	for (;;) {
		if ((changed || pg_stops_on) && !take_all())
			return how->once && pg_reported ? PG_END_ONCE : PG_END_GONE;
		if (is_over(how, &end)) {
			if (!pg_stops_owes())
				return end;
			pg_stops_end();
		}
		if (may_listen(how))
			pg_notify_listen(&some);
		else
			wait_for_more(how);
	}
}
