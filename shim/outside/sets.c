/* SPDX-License-Identifier: MIT */
#include "outside/sets.h"

#include "outside/thing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SETS = 8, ROOM = 64 };

struct member {
	int copy; /* of the set */
	struct epoll_event event;
};

/* "tfd:        5 events:       19 data:                5  pos:0 ino:3d6 sdev:9" */
static unsigned read_set(int pid, int number, int fd, uint64_t ino, struct member *m)
{
	unsigned long long data, at = 0, is = ino;
	unsigned events, n = 0;
	char path[64], line[256];
	int target;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, number);
	f = fopen(path, "re");
	while (f && !n && fgets(line, sizeof line, f)) {
		if (sscanf(line, "tfd: %d events: %x data: %llx pos:%llu ino:%llx", &target,
			   &events, &data, &at, &is) < 3 ||
		    target != fd || is != ino)
			continue;
		m->event.events = events;
		m->event.data.u64 = data;
		n = 1;
	}
	if (f)
		fclose(f);
	return n;
}

static bool is_set(int pid, const char *name)
{
	char path[320], link[32];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, name);
	n = readlink(path, link, sizeof link - 1);
	link[n > 0 ? n : 0] = 0;
	return !strcmp(link, "anon_inode:[eventpoll]");
}

static unsigned find_sets(struct pg_tracee *t, int fd, uint64_t ino, struct member *m)
{
	char path[48];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/fd", pg_tracee_by(t));
	d = opendir(path);
	while (d && n < SETS && (e = readdir(d))) {
		int number = atoi(e->d_name);

		if (!is_set(pg_tracee_by(t), e->d_name) ||
		    !read_set(pg_tracee_by(t), number, fd, ino, &m[n]))
			continue;
		m[n].copy = pg_thing_copy(t, pg_tracee_by(t), number);
		n += m[n].copy >= 0;
	}
	if (d)
		closedir(d);
	return n;
}

/* A set knows an object by its number, too: the one that the process has, which may be taken here.
 * So a process of its own has it for a moment. */
static void __attribute__((noreturn))
move(const struct member *m, unsigned n, int fd, int old, int new)
{
	struct rlimit most = {1024, 1024};
	int set[SETS], high;

	getrlimit(RLIMIT_NOFILE, &most);
	high = (int)most.rlim_cur - ROOM;
	old = fcntl(old, F_DUPFD, high);
	new = fcntl(new, F_DUPFD, high);
	for (unsigned i = 0; i < n; i++)
		set[i] = fcntl(m[i].copy, F_DUPFD, high);
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event event = m[i].event;

		dup2(old, fd);
		epoll_ctl(set[i], EPOLL_CTL_DEL, fd, NULL);
		dup2(new, fd);
		epoll_ctl(set[i], EPOLL_CTL_ADD, fd, &event);
	}
	_exit(0);
}

void pg_sets_replace(struct pg_tracee *t, int fd, int old, int new)
{
	struct member m[SETS];
	struct pg_stat st;
	unsigned n = pg_fstat(old, &st) ? 0 : find_sets(t, fd, st.ino, m);
	pid_t child;

	if (!n)
		return;
	child = fork();
	if (!child)
		move(m, n, fd, old, new);
	if (child > 0)
		waitpid(child, NULL, 0);
	for (unsigned i = 0; i < n; i++)
		close(m[i].copy);
}
