// SPDX-License-Identifier: MIT
/*
 *	supervise PROGRAM [ARGUMENT]...
 *
 * The least that a supervisor by seccomp notifications can do: each write(2) of the program is
 *taken, and let go on. What that costs is the floor of every rule on write that waits.
 */
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux 6.6, not in every <linux/seccomp.h>: who takes a call runs where the caller did. */
#define SET_FLAGS SECCOMP_IOW(4, __u64)
enum { SYNC_WAKE_UP = 1 };

/* A message of one byte and one descriptor, FD. */
union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *v, union control *c)
{
	memset(c, 0, sizeof *c);
	c->head.cmsg_level = SOL_SOCKET;
	c->head.cmsg_type = SCM_RIGHTS;
	c->head.cmsg_len = CMSG_LEN(sizeof(int));
	return (struct msghdr){
		.msg_iov = v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof *c};
}

static void give(int to, int fd)
{
	char byte = 0;
	struct iovec v = {&byte, 1};
	union control c;
	struct msghdr m = message(&v, &c);

	memcpy(CMSG_DATA(&c.head), &fd, sizeof fd);
	if (sendmsg(to, &m, 0) != 1)
		err(125, "sendmsg");
}

static int taken(int from)
{
	char byte;
	struct iovec v = {&byte, 1};
	union control c;
	struct msghdr m = message(&v, &c);
	int fd;

	if (recvmsg(from, &m, 0) != 1)
		err(125, "recvmsg");
	memcpy(&fd, CMSG_DATA(&c.head), sizeof fd);
	return fd;
}

static void run(int to, char **argv)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof f / sizeof *f, f};
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err(125, "prctl");
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p);
	if (fd < 0)
		err(125, "seccomp");
	give(to, (int)fd);
	close((int)fd);
	execvp(argv[0], argv);
	err(127, "%s", argv[0]);
}

/* EINTR, ENOENT: a caller has gone; the last one, once there is no child. */
static int let_go(int fd)
{
	struct seccomp_notif n;
	struct seccomp_notif_resp r = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	memset(&n, 0, sizeof n);
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return (errno == EINTR || errno == ENOENT) && waitpid(-1, NULL, WNOHANG) == 0;
	r.id = n.id;
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
	return 1;
}

static void on_child(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	struct sigaction on_end = {.sa_handler = on_child};
	uint64_t flags = SYNC_WAKE_UP;
	int pair[2], fd;

	if (argc < 2)
		errx(125, "usage: supervise PROGRAM [ARGUMENT]...");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		err(125, "socketpair");
	sigaction(SIGCHLD, &on_end, NULL);
	if (fork() == 0)
		run(pair[0], argv + 1);
	close(pair[0]);
	fd = taken(pair[1]);
	ioctl(fd, SET_FLAGS, flags);
	while (let_go(fd))
		;
	return 0;
}
