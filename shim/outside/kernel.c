/* SPDX-License-Identifier: MIT */
#include "outside/kernel.h"

#include "outside/filter.h"

#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux 6.6, not in every <linux/seccomp.h>. */
#define SET_FLAGS SECCOMP_IOW(4, __u64)
enum { SYNC_WAKE_UP = 1 };

/* Of no call: it says that there is none. */
bool pg_kernel_places(int fd)
{
	struct seccomp_notif_addfd a = {.id = ~(__u64)0,
					.flags = SECCOMP_ADDFD_FLAG_SETFD,
					.srcfd = (__u32)fd,
					.newfd = (__u32)fd};

	return pg_sys3(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a) == -ENOENT;
}

bool pg_kernel_turns(int fd)
{
	return !pg_sys3(SYS_ioctl, fd, SET_FLAGS, SYNC_WAKE_UP);
}

/* A child that stops is asked where it stands. */
bool pg_kernel_tells(void)
{
	struct __ptrace_syscall_info info;
	int status, child = pg_split();
	bool has;

	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(0);
		pg_sys2(SYS_kill, pg_sys0(SYS_getpid), SIGSTOP); /* libc may know the parent's */
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status))
		return true; /* nothing can be traced here, which is said elsewhere */
	has = ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) > 0;
	kill(child, SIGKILL);
	waitpid(child, &status, __WALL);
	return has;
}

/* By a filter of its own, that lets all pass. */
static unsigned listener_lacks(void)
{
	struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	int fd = pg_filter_add(&all, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	if (fd == -EBUSY)
		return 0;
	if (fd < 0)
		return PG_LACKS_NOTICE;
	return (pg_kernel_places(fd) ? 0u : PG_LACKS_PLACE) |
	       (pg_kernel_turns(fd) ? 0u : PG_LACKS_TURNS);
}

void pg_kernel_close(unsigned first, unsigned last)
{
	struct dirent *e;
	DIR *d;

	if (!pg_sys3(SYS_close_range, first, last, 0))
		return;
	d = opendir("/proc/self/fd");
	while (d && (e = readdir(d))) {
		unsigned fd = (unsigned)atoi(e->d_name);

		if (fd >= first && fd <= last && fd != (unsigned)dirfd(d))
			close((int)fd);
	}
	if (d)
		closedir(d);
}

bool pg_kernel_copies(void)
{
	return pg_sys3(SYS_pidfd_getfd, -1, 0, 0) != -ENOSYS;
}

unsigned pg_kernel_lacks(void)
{
	unsigned lacks = pg_kernel_tells() ? 0 : PG_LACKS_INFO;
	int status = 0, child = pg_split();

	if (!child) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* who is killed for it leaves no core */
		_exit((int)listener_lacks());
	}
	if (child > 0 && waitpid(child, &status, __WALL) == child)
		lacks |= WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : PG_LACKS_NOTICE;
	if (!pg_kernel_copies())
		lacks |= PG_LACKS_COPY;
	return lacks;
}

const char *pg_kernel_line(enum pg_lack lack)
{
	switch (lack) {
	case PG_LACKS_INFO:
		return "this kernel does not say where a call is stopped (Linux 5.3): no rules by "
		       "stops at calls, as attach -r has them; what breaks is logged all the same";
	case PG_LACKS_NOTICE:
		return "this system has no seccomp notifications (Linux 5.0), or forbids them: "
		       "rules from outside stop every system call instead, 10 to 100 us a call, "
		       "and "
		       "reset no unix sockets";
	case PG_LACKS_COPY:
		return "this kernel has no pidfd_getfd (Linux 5.6): no rules from outside, no cut, "
		       "and no addresses in the log; what breaks is logged all the same";
	case PG_LACKS_PLACE:
		return "this kernel puts no descriptor into another process (Linux 5.9): rules "
		       "from outside cannot break or end pipes, or reset unix sockets; other "
		       "faults are made";
	case PG_LACKS_TURNS:
		return "this kernel does not hand a call over at once (Linux 6.6): one that a rule "
		       "from outside watches takes 3 to 30 us more; all faults are made";
	}
	return "";
}
