/* SPDX-License-Identifier: MIT */
/* Children of every kind, threads, and processes that confine themselves. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
const char *program;

/* ---- what an executed program finds ---- */

static unsigned open_numbers(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < OWN_FDS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

int look(void)
{
	struct sigaction a;

	sigaction(SIGPIPE, NULL, &a);
	return (a.sa_handler == SIG_IGN) + 2 * (a.sa_handler != SIG_DFL) + 4 * pipe_blocked() +
	       8 * pipe_pending() + 16 * (int)(open_numbers() & 15);
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	say("  child: %s", signal_text(status));
	fact("dead %d %s", pid, signal_text(status));
	return status;
}

/* ---- vfork ---- */

static struct {
	int fd, to, steps;
	unsigned what[3];
	bool executes;
	char *argv[4];
} plan;

/* In the parent's memory: its own descriptors, its own dispositions. */
static void child_step(unsigned what)
{
	struct call c = {.name = "write", .way = WRITES, .fd = plan.fd, .len = 4};

	switch (what) {
	case 0:
		say("  dup2: %d", dup2(plan.fd, plan.to));
		return;
	case 1:
		say("  close: %d", close(plan.fd));
		return;
	case 2:
		say("  close_range: %d", close_range(3, ~0u, 0));
		return;
	case 3:
		say("  flags: %d", fcntl(plan.fd, F_SETFD, FD_CLOEXEC));
		return;
	case 4:
		fact("disposition %d %d %s default", getpid(), gettid(), disposition());
		say("  default: %d", signal(SIGPIPE, SIG_DFL) == SIG_ERR);
		return;
	case 5:
		c = (struct call)OTHER_CALL("shutdown", plan.fd);
		c.flags = SHUT_WR;
		MAKE(&c, shutdown(plan.fd, SHUT_WR));
		return;
	default:
		MAKE(&c, write(plan.fd, "four", 4));
	}
}

static void child_of_vfork(void)
{
	fact("vforked %d", getpid());
	for (int i = 0; i < plan.steps; i++)
		child_step(plan.what[i]);
	if (plan.executes)
		execve(program, plan.argv, environ);
	_exit(7);
}

void op_vfork(void)
{
	pid_t pid;

	plan.fd = good_fd(OUT);
	plan.to = good_fd(0);
	plan.steps = 1 + (int)below(3);
	for (int i = 0; i < plan.steps; i++)
		plan.what[i] = below(8);
	plan.executes = on(C_spawn) && percent(25);
	plan.argv[0] = (char *)(uintptr_t) "diff";
	plan.argv[1] = (char *)(uintptr_t) "look";
	if (plan.fd < 0)
		return;
	ready_out(plan.fd, 4);
	say("vfork: %d", plan.fd);
	pid = vfork();
	if (!pid)
		child_of_vfork();
	if (pid > 0)
		reap(pid);
}

/* ---- posix_spawn ---- */

static void arrange(posix_spawn_file_actions_t *files, int fd)
{
	posix_spawn_file_actions_init(files);
	if (percent(30))
		posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	if (percent(30))
		posix_spawn_file_actions_addclose(files, good_fd(0));
	posix_spawn_file_actions_adddup2(files, fd, 9);
}

static void arrange_signals(posix_spawnattr_t *attributes)
{
	sigset_t set;
	short flags = 0;

	posix_spawnattr_init(attributes);
	sigemptyset(&set);
	if (percent(40)) {
		flags |= POSIX_SPAWN_SETSIGMASK;
		posix_spawnattr_setsigmask(attributes, &set);
	}
	sigaddset(&set, SIGPIPE);
	if (percent(40)) {
		flags |= POSIX_SPAWN_SETSIGDEF;
		posix_spawnattr_setsigdefault(attributes, &set);
	}
	posix_spawnattr_setflags(attributes, flags);
}

/* The executed program writes five bytes to 9, or looks around. */
void op_spawn(void)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	bool writes = percent(60);
	char *argv[] = {(char *)(uintptr_t) "diff", (char *)(uintptr_t)(writes ? "write" : "look"),
			NULL};
	char who[64];
	int fd = good_fd(OUT), err;
	pid_t pid;

	if (fd < 0)
		return;
	ready_out(fd, 5);
	snprintf(who, sizeof who, "%s", identity(fd));
	arrange(&files, fd);
	arrange_signals(&attributes);
	err = posix_spawn(&pid, program, &files, &attributes, argv, environ);
	say("spawn %s %d: %s", argv[1], fd, error_name(err));
	if (!err) {
		err = reap(pid);
		if (writes)
			fact("executed %d %s %s", pid, signal_text(err), who);
	}
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
}

/* ---- fork, threads ---- */

static uint64_t nested;

static void some_steps(void)
{
	unsigned n = 1 + below(3);

	for (unsigned i = 0; i < n; i++)
		step(nested * 100 + i + 1000);
	say_signals();
}

void op_fork(void)
{
	nested++;
	in_child(some_steps);
}

static void *in_thread(void *blocks)
{
	const struct timespec now = {0, 0};
	const struct how *how;
	struct request r = some_request(&how, 0);
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (blocks)
		pthread_sigmask(SIG_BLOCK, &set, &old);
	perform(how, &r);
	if (blocks) {
		say("  taken away: %d", sigtimedwait(&set, NULL, &now));
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	return NULL;
}

void op_thread(void)
{
	void *blocks = percent(40) ? &nested : NULL;
	pthread_t thread;

	say("thread%s", blocks ? ", which blocks SIGPIPE" : "");
	if (!pthread_create(&thread, NULL, in_thread, blocks))
		pthread_join(thread, NULL);
}

/* ---- prctl and seccomp: asked, refused, done ---- */

static long other_prctl(unsigned which)
{
	char name[16];

	switch (which) {
	case 0:
		return prctl(PR_SET_NAME, percent(50) ? "fuzz" : "\"odd\\name\n", 0, 0, 0);
	case 1:
		return prctl(PR_GET_NAME, name, 0, 0, 0);
	case 2:
		return prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	case 3:
		return prctl(PR_SET_SECCOMP, 5, 0, 0, 0);
	case 4:
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0);
	case 5:
		return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, name);
	case 6:
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL);
	case 7:
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL);
	case 8:
		return syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, name);
	default:
		return prctl(PR_CAPBSET_READ, 0, 0, 0, 0);
	}
}

void op_prctl(void)
{
	unsigned which = below(10);
	long ret;

	count_use("prctl");
	errno = ERRNO_BEFORE;
	ret = other_prctl(which);
	say("prctl %u: %ld %s", which, ret, error_name(errno));
}

/* A filter that lets all pass but one call, which it answers with ENOSYS. */
static long filter(bool by_prctl, unsigned refused)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog f = {sizeof code / sizeof *code, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (by_prctl)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f);
}

/* Nothing but read, write, exit and the way back from a handler is allowed from here on. */
static void strictly(void)
{
	struct call c = {.name = "write", .way = WRITES, .fd = good_fd(OUT), .len = 5};
	bool by_prctl = percent(50);
	pid_t pid = getpid(), tid = gettid();
	long ret;

	ready_out(c.fd, 5);
	call_begin(&c);
	if (by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
		     : syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL))
		_exit(9);
	ret = write(c.fd, "12345", 5);
	say("  %ld %s", ret, error_name(errno));
	fact("< %d %d %ld %s %u 0 0 0 unknown -1", pid, tid, ret, error_name(errno),
	     caught - c.caught);
	syscall(SYS_exit, ret < 0 ? 3 : 4);
}

static void under_a_filter(void)
{
	static const unsigned refused[] = {SYS_rt_tgsigqueueinfo, SYS_tgkill, SYS_fstat, SYS_statx,
					   511};
	unsigned number = ONE_OF(refused);
	const struct how *how;
	struct request r;
	bool executes = on(C_spawn) && percent(40);

	say("  filter %u: %ld", number, filter(percent(50), number));
	if (executes) {
		op_spawn();
		return;
	}
	r = some_request(&how, 0);
	perform(how, &r);
	perform(how, &r);
}

void op_confined(void)
{
	bool strict = percent(40);

	say("confined%s", strict ? ", strictly" : "");
	fact("confined");
	in_child(strict ? strictly : under_a_filter);
}
