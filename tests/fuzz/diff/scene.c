/* SPDX-License-Identifier: MIT */
/*
 * Scenes in which a write ends in the middle: because its reader leaves, which the kernel signals;
 * or for another reason, right after which the reader leaves, which it does not.
 */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, FULL = 65536, LONG = 200000 };

static int ends[2];

/* Or until nobody can write any more. */
static void wait_until_full(void)
{
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	int queued = 0;

	for (int i = 0; i < 5000; i++) {
		if (ioctl(ends[0], FIONREAD, &queued) || queued == FULL)
			return;
		if (poll(&p, 1, 0) == 1 && p.revents & POLLHUP)
			return;
		usleep(50);
	}
}

/* Leaves when the writer sleeps, after PAGES that it read. */
static void reader(unsigned pages)
{
	static char page[PAGE];

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	close(ends[1]);
	wait_until_full();
	while (pages--) {
		if (read(ends[0], page, sizeof page) != sizeof page)
			break;
		wait_until_full();
	}
	_exit(0);
}

static const char *const calls[] = {"write",	     "write",	     "writev",	 "pwritev2",
				    "syscall-write", "inline-write", "vmsplice", "sendfile",
				    "splice",	     "dprintf",	     "fwrite"};

/* A file of LONG bytes, or as many as the source has. */
static int source(size_t len)
{
	int fd = (int)syscall(SYS_memfd_create, "source", 0);

	if (ftruncate(fd, (off_t)len))
		say("no source");
	return fd;
}

static long written(const char *name, const struct buf *b)
{
	struct iovec v[2] = {{b->at, b->len / 2}, {(char *)b->at + b->len / 2, b->len / 2}};
	int file = -1;
	long ret = -1;

	if (!strcmp(name, "write"))
		return write(ends[1], b->at, b->len);
	if (!strcmp(name, "writev"))
		return writev(ends[1], v, 2);
	if (!strcmp(name, "pwritev2"))
		return pwritev2(ends[1], v, 2, -1, 0);
	if (!strcmp(name, "syscall-write"))
		return syscall(SYS_write, ends[1], b->at, b->len);
	if (!strcmp(name, "vmsplice"))
		return vmsplice(ends[1], v, 2, 0);
	if (!strcmp(name, "dprintf"))
		return dprintf(ends[1], "%.*s", (int)b->len, (char *)b->at);
	file = source(b->len);
	ret = !strcmp(name, "sendfile") ? sendfile(ends[1], file, NULL, b->len)
					: splice(file, NULL, ends[1], NULL, b->len, 0);
	close(file);
	return ret;
}

static long inlined(const struct buf *b)
{
	long ret = -1;
#ifdef __x86_64__
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"((long)SYS_write), "D"((long)ends[1]), "S"(b->at), "d"(b->len)
			 : "rcx", "r11", "memory");
	if (ret < 0) {
		errno = (int)-ret;
		ret = -1;
	}
#else
	(void)b;
#endif
	return ret;
}

static struct buf letters(void)
{
	struct buf b = buffer_in(LONG);

	memset(b.at, 'm', LONG);
	return b;
}

static void by_stdio(struct call *c, const struct buf *b)
{
	FILE *f = fdopen(fcntl(ends[1], F_DUPFD, 30), "w");

	if (!f)
		return;
	c->fd = fileno(f);
	setvbuf(f, NULL, _IONBF, 0);
	MAKE(c, fwrite(b->at, 1, b->len, f));
	say("  error %d", ferror(f) != 0);
	fclose(f);
}

static void make(struct call *c, const struct buf *b)
{
	if (!strcmp(c->name, "fwrite")) {
		by_stdio(c, b);
		return;
	}
	MAKE(c, strcmp(c->name, "inline-write") ? written(c->name, b) : inlined(b));
}

/* A pipe whose reader leaves while the writer sleeps. */
void op_midway(void)
{
	struct call c = {.name = ONE_OF(calls), .way = WRITES, .len = LONG};
	struct buf b = letters();
	unsigned pages = percent(50) ? 0 : below(6);
	pid_t pid;

	if (pipe(ends))
		return;
	c.fd = ends[1];
	detail(&c, ", %d, midway after %u pages", LONG, pages);
	pid = fork();
	if (!pid)
		reader(pages);
	close(ends[0]);
	fact("midway");
	make(&c, &b);
	close(ends[1]);
	waitpid(pid, NULL, 0);
}

/* ---- the reader leaves between the kernel's answer and the program's knowing it ---- */

static void leave_reader(int sig)
{
	close(ends[0]);
	say("  signal %d: the reader leaves", sig);
}

/* The signal comes with the first byte that the reader could read. */
static void arm(void)
{
	struct sigaction a = {.sa_handler = leave_reader};

	a.sa_flags = percent(50) ? SA_RESTART : 0;
	sigaction(SIGIO, &a, NULL);
	fcntl(ends[0], F_SETOWN, getpid());
	fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK);
}

/* More asked for than there is: the source runs dry. */
static void from_a_dry_source(void)
{
	struct call c = {.name = percent(50) ? "splice" : "tee", .way = WRITES, .len = 5000};
	int from[2];

	if (pipe(from))
		return;
	if (write(from[1], "a few bytes", 11) != 11)
		say("no source");
	c.fd = ends[1];
	detail(&c, ", 11 of 5000, then the reader leaves");
	MAKE(&c, *c.name == 's' ? splice(from[0], NULL, ends[1], NULL, 5000, 0)
				: tee(from[0], ends[1], 5000, 0));
	close(from[0]);
	close(from[1]);
}

static void short_count(bool waits)
{
	struct call c = {.name = ONE_OF(calls), .way = WRITES, .len = LONG};
	struct buf b = letters();

	if (!waits)
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
	c.fd = ends[1];
	detail(&c, ", %d, cut short, then the reader leaves", LONG);
	make(&c, &b);
}

static void with_a_reader_that_leaves(void (*scene)(bool waits), bool waits)
{
	if (pipe(ends))
		return;
	arm();
	scene(waits);
	signal(SIGIO, SIG_IGN);
	close(ends[1]);
}

static void dry(bool waits)
{
	(void)waits;
	from_a_dry_source();
}

void op_async(void)
{
	with_a_reader_that_leaves(percent(50) ? dry : short_count, false);
}

/* A blocking write that a signal interrupts. */
void op_eintr(void)
{
	with_a_reader_that_leaves(short_count, true);
}
