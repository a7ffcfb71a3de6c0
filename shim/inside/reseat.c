/* SPDX-License-Identifier: MIT */
#include "fault/reseat.h"

#include "base/sys.h"
#include "base/text.h"

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
	uint64_t ino; /* of what is behind it: a set may hold what was there before, kept by a copy
		       */
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

/* Takes WORD, and the number in base BASE behind it. */
static bool take(const char **s, const char *word, unsigned base, uint64_t *v)
{
	while (**s == ' ')
		++*s;
	if (!pg_prefix(*s, word))
		return false;
	*s += pg_len(word);
	*v = number(s, base);
	return true;
}

/* "tfd:        5 events:       19 data:                5  pos:0 ino:3d6 sdev:9"; the inode since
 * Linux 4.13 */
static void read_line(struct members *m, int set, const char *line)
{
	struct member *to = &m->in[m->n];
	const char *s = line;
	uint64_t fd, events, data, at, ino;

	if (m->n == SETS || !take(&s, "tfd:", 10, &fd) || fd != (uint64_t)m->fd ||
	    !take(&s, "events:", 16, &events) || !take(&s, "data:", 16, &data))
		return;
	if (take(&s, "pos:", 10, &at) && take(&s, "ino:", 16, &ino) && ino != m->ino)
		return;
	to->event.events = (uint32_t)events;
	to->event.data.u64 = data;
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
	struct pg_stat st;
	long got;

	m->ino = pg_fstat(m->fd, &st) ? 0 : st.ino;

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

int pg_reseat(int fd, int from)
{
	struct members m = {.fd = fd, .n = 0};
	long cloexec = pg_sys3(SYS_fcntl, fd, F_GETFD, 0);
	long flags = pg_sys3(SYS_fcntl, fd, F_GETFL, 0), ret;

	find_sets(&m);
	for (unsigned i = 0; i < m.n; i++)
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_DEL, fd, 0);
	pg_sys3(SYS_fcntl, from, F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	ret = pg_sys3(SYS_dup3, from, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0);
	pg_sys1(SYS_close, from);
	for (unsigned i = 0; i < m.n; i++)
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_ADD, fd, &m.in[i].event);
	return ret < 0 ? (int)ret : 0;
}

void pg_reseat_wake(int fd)
{
	struct members m = {.fd = fd, .n = 0};

	find_sets(&m);
	for (unsigned i = 0; i < m.n; i++) {
		uint32_t events = m.in[i].event.events;

		if (!(events & EPOLLET))
			continue;
		if (!(events & EPOLLEXCLUSIVE)) {
			pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_MOD, fd, &m.in[i].event);
			continue;
		}
		/* epoll_ctl(2): such a one cannot be modified */
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_DEL, fd, 0);
		pg_sys4(SYS_epoll_ctl, m.in[i].set, EPOLL_CTL_ADD, fd, &m.in[i].event);
	}
}
