/* SPDX-License-Identifier: MIT */
#include "outside/notify.h"

#include "outside/cut_off.h"
#include "outside/kernel.h"
#include "outside/memory.h"
#include "outside/narrow.h"
#include "outside/ruled.h"
#include "outside/report.h"
#include "outside/soon.h"
#include "outside/tracers.h"

#include "rules/live.h"
#include "rules/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

static int listener = -1;

/* The listener's number while this process waits for calls; NOTHING's, once a signal has come. */
static int ear = -1, nothing = -1;
static volatile sig_atomic_t disturbed;

/* The kernel hands the CPU over to whom it wakes up. */
static bool turns;

/* Returns 0 or more, or -errno. A signal that comes meanwhile takes no answer away. */
static long ask(unsigned long what, void *about)
{
	long ret;

	do
		ret = pg_sys3(SYS_ioctl, listener, what, about);
	while (ret == -EINTR);
	return ret;
}

void pg_notify_start(int fd)
{
	listener = fd;
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ear = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	turns = pg_kernel_turns(fd);
	pg_turn_start();
	if (!pg_page())
		return;
	pg_survive_cut_off();
	pg_live_start(false);
}

static bool stands(const struct pg_ruled *c)
{
	uint64_t id = c->id;

	return !ask(SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

static void go_on(struct pg_ruled *c)
{
	struct seccomp_notif_resp r = {.id = c->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	pg_ruled_let_go(c);
	ask(SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* The kernel makes a call again on the way to a signal only; the one that was seen may be another
 * thread's by now, so a stop of ours takes its place. */
static void answer(struct pg_ruled *c, int64_t ret)
{
	struct seccomp_notif_resp r = {.id = c->id};

	pg_ruled_let_go(c);
	if (pg_is_again(ret))
		ptrace(PTRACE_INTERRUPT, c->tid, 0, 0);
	if (ret < 0)
		r.error = (int)ret;
	else
		r.val = ret;
	ask(SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static bool stop(struct pg_ruled *c)
{
	struct seccomp_notif_resp r = {.id = c->id, .error = -PG_AGAIN};

	return !ptrace(PTRACE_INTERRUPT, c->tid, 0, 0) && !ask(SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static int place(struct pg_ruled *c, int from, bool cloexec)
{
	struct seccomp_notif_addfd a = {.id = c->id,
					.flags = SECCOMP_ADDFD_FLAG_SETFD,
					.srcfd = (__u32)from,
					.newfd = (__u32)c->op.fd,
					.newfd_flags = cloexec ? 02000000 : 0};

	long ret = ask(SECCOMP_IOCTL_NOTIF_ADDFD, &a);

	return ret < 0 ? (int)ret : 0;
}

static const struct pg_way way = {stands, go_on, answer, place, false, stop};

/* Returns when a call or a signal has come, or before. */
static void wait_awake(void)
{
	struct pollfd p = {.fd = ear, .events = POLLIN};

	pg_soon_poll(&p, 1, NULL);
}

/* The next call, by the number FROM. False: a signal came first, or the call has gone. */
static bool receive(int from, struct pg_ruled *c, uintptr_t *pc)
{
	struct seccomp_notif n;

	memset(&n, 0, sizeof n);
	if (pg_sys3(SYS_ioctl, from, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return false;
	c->id = n.id;
	c->tid = (int)n.pid;
	c->number = n.data.nr;
	c->narrow = c->short_offset = false;
	for (int i = 0; i < 6; i++)
		c->op.arg[i] = (long)n.data.args[i];
	if (n.data.arch == (uint32_t)PG_NARROW_AUDIT)
		pg_narrow_call(c);
	*pc = (uintptr_t)n.data.instruction_pointer;
	return true;
}

static void take(struct pg_ruled *c, uintptr_t pc)
{
	c->of = pg_tracee_heard(c->tid);
	if (c->number == SYS_seccomp) {
		pg_report_listener(c->of);
		go_on(c); /* the kernel refuses it */
		return;
	}
	if (c->number == SYS_ptrace) {
		pg_tracers_see(c->tid, c->op.arg);
		go_on(c);
		return;
	}
	if (!pg_memory_is_up(c->of, pc))
		go_on(c);
	else
		pg_ruled_come(c);
}

void pg_notify_take(void)
{
	struct pg_ruled c = {.way = &way, .copy = -1, .source = -1};
	uintptr_t pc;

	if (receive(listener, &c, &pc))
		take(&c, pc);
}

/* Is C just counted? Nothing is asked of the kernel for that. */
static bool is_counted(struct pg_ruled *c)
{
	c->of = pg_tracee_heard_again(c->tid);
	return c->number >= 0 && c->number != SYS_seccomp && c->of && c->of->up &&
	       pg_ruled_counts(c);
}

/* Waits in the very call that takes one: where the kernel hands the CPU over, poll(2) before it
 * costs a sixth of a busy server. A signal that comes between the look for signals and the call
 * would be slept over; but its handler puts another file under the number that is asked. */
void pg_notify_listen(const sigset_t *signals)
{
	struct pg_ruled c = {.way = &way, .copy = -1, .source = -1};
	uintptr_t pc;
	bool come, counted;

	if (disturbed)
		pg_sys3(SYS_dup3, listener, ear, O_CLOEXEC);
	disturbed = 0;
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	do {
		if (!turns)
			wait_awake();
		come = receive(ear, &c, &pc);
		counted = come && is_counted(&c);
		if (counted)
			go_on(&c);
	} while (counted);
	sigprocmask(SIG_BLOCK, signals, NULL);
	if (come)
		take(&c, pc);
}

void pg_notify_disturb(void)
{
	disturbed = 1;
	pg_sys3(SYS_dup3, nothing, ear, O_CLOEXEC);
}
