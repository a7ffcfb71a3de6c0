/* SPDX-License-Identifier: MIT */
#include "reseat.h"

#include "sys.h"
#include "text.h"

#include <fcntl.h>
#include <sys/epoll.h>

enum { SETS = 8 };

/* An epoll set that holds the descriptor. */
struct member {
	int set;
	struct epoll_event event;
};

struct members {
	int fd;
	unsigned n;
	struct member in[SETS];
};

/* "/proc/self/" WHAT "/" N. */
static const char *proc_path(char buf[48], const char *what, const char *n)
{
	struct pg_text t = {buf, 0, 47};

	pg_put(&t, "/proc/self/");
	pg_put(&t, what);
	pg_put_char(&t, '/');
	pg_put(&t, n);
	buf[t.len] = 0;
	return buf;
}

/* A number in base BASE behind blanks at *S; moves *S behind it. */
static uint64_t number(const char **s, unsigned base)
{
	uint64_t v = 0;

	while (**s == ' ' || **s == '\t')
		++*s;
	for (;; ++*s) {
		unsigned char c = (unsigned char)**s;
		unsigned digit = c >= 'a' ? c - 'a' + 10u : c >= '0' && c <= '9' ? c - 48u : 99u;

		if (digit >= base)
			return v;
		v = v * base + digit;
	}
}

/* "tfd:        5 events:       19 data:                5  pos:0 ino:..." */
static void read_line(struct members *m, int set, const char *line)
{
	struct member *to = &m->in[m->n];
	const char *s = line + 4;

	if (m->n == SETS || !pg_prefix(line, "tfd:") || number(&s, 10) != (uint64_t)m->fd ||
	    !pg_prefix(s, " events:"))
		return;
	s += 8;
	to->event.events = (uint32_t)number(&s, 16);
	if (!pg_prefix(s, " data:"))
		return;
	s += 6;
	to->event.data.u64 = number(&s, 16);
	to->set = set;
	m->n++;
}

/* The lines of an epoll set's fdinfo, which are short. */
static __attribute__((noinline)) void read_set(struct members *m, int set, const char *name)
{
	char path[48], line[128], buf[512];
	int info = pg_open(proc_path(path, "fdinfo", name), O_RDONLY);
	size_t len = 0;
	long got;

	while (info >= 0 && (got = pg_sys3(SYS_read, info, buf, sizeof buf)) > 0) {
		for (long i = 0; i < got; i++) {
			if (buf[i] != '\n') {
				if (len < sizeof line - 1)
					line[len++] = buf[i];
				continue;
			}
			line[len] = 0;
			read_line(m, set, line);
			len = 0;
		}
	}
	if (info >= 0)
		pg_sys1(SYS_close, info);
}

static void look_at(struct members *m, const char *name)
{
	char path[48], link[24];
	const char *s = name;
	int fd = (int)number(&s, 10);
	long n = pg_sys4(SYS_readlinkat, AT_FDCWD, proc_path(path, "fd", name), link,
			 sizeof link - 1);

	link[n > 0 ? n : 0] = 0;
	if (!*s && pg_same(link, "anon_inode:[eventpoll]"))
		read_set(m, fd, name);
}

/* struct linux_dirent64 of getdents(2). */
struct entry {
	uint64_t ino;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static __attribute__((noinline)) void find_sets(struct members *m)
{
	_Alignas(struct entry) char buf[512];
	int folder = pg_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	long got;

	while (folder >= 0 && (got = pg_sys3(SYS_getdents64, folder, buf, sizeof buf)) > 0) {
		for (long at = 0; at < got;) {
			const struct entry *e = (const void *)(buf + at);

			look_at(m, e->name);
			at += e->length;
		}
	}
	if (folder >= 0)
		pg_sys1(SYS_close, folder);
}

void pg_reseat(int fd, int from)
{
	struct members m = {.fd = fd, .n = 0};
	long cloexec = pg_sys3(SYS_fcntl, fd, F_GETFD, 0);
	long flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0);

	find_sets(&m);
	for (unsigned i = 0; i < m.n; i++)
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_DEL, fd, 0);
	pg_sys3(SYS_fcntl, from, F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	pg_sys3(SYS_dup3, from, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0);
	pg_sys1(SYS_close, from);
	for (unsigned i = 0; i < m.n; i++)
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_ADD, fd, &m.in[i].event);
}

void pg_reseat_wake(int fd)
{
	struct members m = {.fd = fd, .n = 0};

	find_sets(&m);
	for (unsigned i = 0; i < m.n; i++)
		if (m.in[i].event.events & EPOLLET)
			pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_MOD, fd, &m.in[i].event);
}
