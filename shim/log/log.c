/* SPDX-License-Identifier: MIT */
#include "log/log.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/text.h"
#include "rules/config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { FEW = 64 };

/* What the log is. Written at start, and in a child that has a file of its own. */
static struct {
	int fd;
	int pid; /* with %p in the path: whose file it is */
	uint64_t dev, ino;
	uint32_t mode;
} out = {.fd = -1};

static PG_START_DATA struct pg_log_missing missing;
static pg_shared64 written; /* bytes */

static int of_whom; /* another process, whose events are written; 0: this one's are */

void pg_log_of(int pid)
{
	of_whom = pid;
}

static int owner(void)
{
	return of_whom ? of_whom : pg_pid();
}

struct pg_log_missing pg_log_missing(void)
{
	return (struct pg_log_missing){PG_GET(missing.dropped), PG_GET(missing.limited)};
}

void pg_log_drop(void)
{
	__atomic_fetch_add(&missing.dropped, 1, __ATOMIC_RELAXED);
}

bool pg_log_goes_to(int fd)
{
	return pg_config.log_kind == PG_LOG_FD && fd == pg_config.log_fd;
}

uint64_t pg_log_file(void)
{
	return out.ino;
}

bool pg_log_is(uint64_t dev, uint64_t ino)
{
	return ino && out.ino == ino && out.dev == dev;
}

unsigned pg_log_columns(void)
{
	struct winsize size = {0};

	if (!S_ISCHR(out.mode) || out.fd < 0 || pg_confined ||
	    pg_sys3(SYS_ioctl, out.fd, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col ? size.ws_col : 80;
}

/* Each line moves the time at which the next one would be due; it may run ahead of the clock by as
 * much as a burst. */
bool pg_log_allows(uint64_t now)
{
	static pg_shared64 due;
	const uint64_t step = 1000000000u / PG_LOG_RATE, ahead = PG_LOG_BURST * step;
	uint64_t was = PG_GET(due), next;

	do {
		next = (was > now ? was : now) + step;
		if (next - now > ahead || PG_GET(written) > PG_LOG_BYTES) {
			__atomic_fetch_add(&missing.limited, 1, __ATOMIC_RELAXED);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&due, &was, next, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

static void complain(const char *path, const char *why)
{
	static char buf[700]; /* start-up only */
	struct pg_text t = {buf, 0, 600};

	pg_put(&t, "pipeguard: PIPEGUARD_LOG: cannot log to '");
	pg_put_name(&t, path, 511);
	t.cap = sizeof buf;
	pg_put(&t, "': ");
	pg_put(&t, why);
	pg_put(&t, "\n");
	pg_sys3(SYS_write, 2, buf, t.len);
}

/* <linux/resource.h>: 64 bits on every machine. */
struct limits {
	uint64_t soft, hard;
};

static long limits(const struct limits *set, struct limits *old)
{
	return pg_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, set, old);
}

/* Above its limit: a number that the program has no use for, and that no loop up to it meets. The
 * limit is higher for as long as that takes: at start, when there are no threads. */
static int lift_beyond(int fd, const struct limits *old)
{
	enum { FAR = 4096 }; /* what the kernel keeps of a process grows with its highest number */
	const struct limits more = {old->soft + 1, old->hard};
	int high;

	if (old->soft >= old->hard || old->soft > FAR || limits(&more, NULL))
		return -1;
	high = (int)pg_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, (int)old->soft);
	limits(old, NULL);
	return high;
}

/* The low number is never seen by the program. */
static int lift(int fd, bool starts)
{
	struct limits old = {0, 0};
	int high;

	limits(NULL, &old);
	high = starts ? lift_beyond(fd, &old) : -1;
	if (high < 0 && (high = pg_lift(fd)) != fd)
		return high;
	pg_sys1(SYS_close, fd);
	return high != fd ? high : -1;
}

static const char *open_error(int err)
{
	switch (err) {
	case -ELOOP:
		return "it is a symbolic link";
	case -ENXIO:
		return "it is a FIFO that nobody reads";
	case -ENOENT:
	case -ENOTDIR:
		return "no such folder";
	case -EACCES:
		return "permission denied";
	case -EISDIR:
		return "it is a folder";
	case -EMFILE:
		return "no descriptor is left";
	default:
		return "it cannot be opened";
	}
}

/* A folder to stand on while 0, 1 or 2 are closed, so that the log cannot land there. Returns how
 * many were filled. */
static int fill_low(int *filled)
{
	int n = 0;

	for (int fd; n < 3 && (fd = pg_open("/", O_RDONLY | O_DIRECTORY)) >= 0;) {
		if (fd > 2) {
			pg_sys1(SYS_close, fd);
			break;
		}
		filled[n++] = fd;
	}
	return n;
}

/* A device that may do anything with a line, or when it is merely opened. */
static bool is_device(const char *path, uint32_t mode)
{
	return S_ISBLK(mode) ||
	       (S_ISCHR(mode) && !pg_same(path, "/dev/null") && !pg_same(path, "/dev/tty"));
}

/* Opens PATH in the folder DIR without following a link on the way; where the kernel is older than
 * 5.6, without following a last one. */
static int open_beneath(int dir, const char *path, int flags)
{
	enum { OPENAT2 = 437, NO_SYMLINKS = 4 }; /* <linux/openat2.h> */
	const struct {
		uint64_t flags, mode, resolve;
	} how = {(uint64_t)(unsigned)(flags | O_CLOEXEC), 0644, NO_SYMLINKS};
	long fd = pg_sys4(OPENAT2, dir, path, &how, sizeof how);

	if (fd == -ENOSYS || fd == -EPERM) /* some sandboxes say that instead */
		fd = pg_sys4(SYS_openat, dir, path, flags | O_CLOEXEC, 0644);
	return (int)fd;
}

/* May others than its owner, the user or root put links there? */
static bool is_open_to_others(const struct pg_stat *st)
{
	return st->mode & S_IWOTH || (st->uid && st->uid != (uint32_t)pg_sys0(SYS_geteuid));
}

/* As pg_open, but from the first folder on in which others may put links, none is followed. */
static int open_unlinked(char *path, int flags)
{
	struct pg_stat st;
	int dir, fd;

	for (char *at = path + 1; *at; at++) {
		if (*at != '/' || at[1] == '/')
			continue;
		*at = 0;
		dir = pg_open(path, O_PATH | O_DIRECTORY);
		*at = '/';
		if (dir < 0)
			return dir;
		if (!pg_fstat(dir, &st) && is_open_to_others(&st)) {
			fd = open_beneath(dir, at + 1, flags);
			pg_sys1(SYS_close, dir);
			return fd;
		}
		pg_sys1(SYS_close, dir);
	}
	return pg_open(path, flags);
}

static const char *open_socket(const char *path, int *fd)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (pg_len(path) >= sizeof un.sun_path)
		return "the path is too long for a socket";
	pg_copy(un.sun_path, sizeof un.sun_path, path);
	*fd = (int)pg_sys3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return open_error(*fd);
	if (!pg_sys3(SYS_connect, *fd, &un, sizeof un))
		return NULL;
	pg_sys1(SYS_close, *fd);
	return "nobody receives there (a datagram socket must be bound first)";
}

static const char *open_file(char *path, int *fd)
{
	struct pg_stat st;

	if (!pg_lstat(path, &st) && is_device(path, st.mode))
		return "it is a device";
	*fd = open_unlinked(path,
			    O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0)
		return open_error(*fd);
	if (!pg_fstat(*fd, &st) && !is_device(path, st.mode))
		return NULL;
	pg_sys1(SYS_close, *fd);
	return "it is a device";
}

/* A log, opened. */
struct target {
	int fd;
	bool has_pid; /* its name has the pid in it */
	struct pg_stat st;
};

/* Opens the file or socket, out of the program's way; a reason if that fails. */
static const char *open_log(struct target *t, bool starts)
{
	/* At start and, rarely, later: racing threads of a process write the same. */
	static char path[PG_LINE_MAX / 4];
	int low[3], n = fill_low(low);
	const char *why;

	t->has_pid = pg_config_log_path(path, sizeof path, owner());
	why = pg_config.log_kind == PG_LOG_UNIX ? open_socket(path, &t->fd)
						: open_file(path, &t->fd);
	while (n--)
		pg_sys1(SYS_close, low[n]);
	if (why)
		return why;
	t->fd = lift(t->fd, starts);
	if (t->fd >= 0 && !pg_fstat(t->fd, &t->st))
		return NULL;
	return "no descriptor is left";
}

static void adopt(const struct target *t)
{
	out.dev = t->st.dev;
	out.ino = t->st.ino;
	out.mode = t->st.mode;
	out.pid = t->has_pid ? owner() : 0;
	out.fd = t->fd;
}

void pg_log_start(void)
{
	static char path[PG_LINE_MAX / 4];
	struct target t = {.fd = pg_config.log_fd, .has_pid = false};
	const char *why = NULL;

	if (pg_config.log_kind == PG_LOG_OFF)
		return;
	if (pg_config.log_kind != PG_LOG_FD)
		why = open_log(&t, true);
	else if (pg_fstat(t.fd, &t.st))
		return;
	if (!why) {
		adopt(&t);
		if (t.fd < FEW && pg_config.log_kind != PG_LOG_FD) {
			pg_sys1(SYS_close, t.fd); /* it can spare none: opened for each line */
			out.fd = -1;
		}
		return;
	}
	pg_config_log_path(path, sizeof path, owner());
	complain(path, why);
}

/* ---- one line ---- */

/* Is the descriptor of the start still the log? What the program closed, or put something else in
 * the place of, is let alone. */
static bool is_still_there(void)
{
	struct pg_stat st;

	return out.fd >= 0 && !pg_fstat(out.fd, &st) && st.dev == out.dev && st.ino == out.ino;
}

bool pg_log_is_there(void)
{
	return pg_config.log_kind != PG_LOG_OFF &&
	       (pg_config.log_kind != PG_LOG_FD || is_still_there());
}

/* A path takes longer to look up than all else that is asked for a line: in a storm of them not for
 * each. */
static bool is_due(void)
{
	enum { OFTEN = 1000000 }; /* ns */
	static pg_shared64 last;
	uint64_t now = pg_now();

	if (now && now - PG_GET(last) < OFTEN)
		return false;
	PG_PUT(last, now);
	return true;
}

/* Not inline: its room is not on the way of a log that stays where it is. */
static __attribute__((noinline)) bool has_another_name(const char *path)
{
	char now[600];

	pg_fd_name(out.fd, now, sizeof now); /* not "/..." where that cannot be said */
	return now[0] == '/' && !pg_same(now, path);
}

/* Was the log's file renamed, or removed, by who keeps logs? A program that changed its root, or
 * its mounts, sees another file under that name, or none, and its log goes on as it was. */
static bool was_moved(void)
{
	static char path[PG_LINE_MAX / 4]; /* racing threads write the same */
	struct pg_stat st;

	if (pg_config.log_kind != PG_LOG_FILE || !S_ISREG(out.mode) || !is_due())
		return false;
	pg_config_log_path(path, sizeof path, out.pid); /* 0: it is not in the name */
	if (!pg_lstat(path, &st) && st.dev == out.dev && st.ino == out.ino)
		return false;
	return has_another_name(path);
}

/* T takes the log's place, under its number if that can be: another thread may be about to write.
 */
static void replace_by(struct target *t)
{
	int before = out.fd;

	if (pg_sys3(SYS_dup3, t->fd, before, O_CLOEXEC) == before) {
		pg_sys1(SYS_close, t->fd);
		t->fd = before;
		adopt(t);
		return;
	}
	adopt(t);
	pg_sys1(SYS_close, before);
}

static bool is_parents(void)
{
	return out.pid && out.pid != owner();
}

/*
 * Where the next line goes. CLOSES: to be closed after it. A descriptor that the
 * program closed does not come back: one more would be a leak to those who look.
 * What was renamed is opened anew by its name. A child by fork has a file of its
 * own from its first line on, if the name says so; one by vfork leaves what it shares with its
 * parent alone.
 */
static bool find_target(struct target *t, bool *closes)
{
	bool there = is_still_there();

	*closes = false;
	if (there && was_moved() && !pg_process_is_vforked() && !open_log(t, false)) {
		replace_by(t);
		return true;
	}
	if (there && (!is_parents() || !S_ISREG(out.mode))) {
		t->fd = out.fd;
		t->st.mode = out.mode;
		return true;
	}
	if (pg_config.log_kind == PG_LOG_FD || !out.ino || open_log(t, false))
		return false;
	*closes = !there || pg_process_is_vforked();
	if (*closes)
		return true;
	pg_sys1(SYS_close, out.fd);
	adopt(t);
	return true;
}

/* A pipe or terminal whose reader sleeps must not hold the program up. */
static bool is_writable(const struct target *t)
{
	short now;

	if (S_ISREG(t->st.mode))
		return true;
	now = pg_poll_now(t->fd, POLLOUT);
	return now && !(now & (POLLERR | POLLNVAL));
}

static bool pending(uint64_t sig)
{
	uint64_t set = 0;

	pg_sys2(SYS_rt_sigpending, &set, PG_SIGSET_BYTES);
	return set & sig;
}

/*
 * A log that breaks, or meets a size limit, must not signal the program: what the write raised
 * waits, all being blocked, and is taken back. Only a signal that the program itself blocks can
 * have waited before.
 */
static bool write_quietly(const struct target *t, const char *line, size_t len, uint64_t mask)
{
	uint64_t sig = (uint64_t)1 << ((S_ISREG(t->st.mode) ? SIGXFSZ : SIGPIPE) - 1);
	bool waited = mask & sig && pending(sig);
	long zero[2] = {0, 0};

	if (pg_sys3(SYS_write, t->fd, line, len) == (long)len)
		return true;
	if (!waited && pending(sig))
		pg_sys4(SYS_rt_sigtimedwait, &sig, 0, zero, PG_SIGSET_BYTES);
	return false;
}

static bool send_line(int fd, const struct pg_text *head, const char *line, size_t len)
{
	struct iovec both[] = {{head->buf, head->len}, {(void *)(uintptr_t)line, len}};
	const struct msghdr m = {.msg_iov = both, .msg_iovlen = 2};

	return pg_sys3(SYS_sendmsg, fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (long)(head->len + len);
}

static bool write_line(const struct target *t, const struct pg_text *head, const char *line,
		       size_t len, uint64_t mask)
{
	if (!is_writable(t))
		return false;
	if (S_ISSOCK(t->st.mode))
		return send_line(t->fd, head, line, len);
	return write_quietly(t, line, len, mask);
}

static bool put(const struct pg_text *head, const char *line, size_t len, uint64_t mask)
{
	struct target t;
	bool closes, done;

	if (pg_confined)
		return out.fd >= 0 && pg_sys3(SYS_write, out.fd, line, len) == (long)len;
	if (!find_target(&t, &closes))
		return false;
	done = write_line(&t, head, line, len, mask);
	if (closes)
		pg_sys1(SYS_close, t.fd);
	return done;
}

bool pg_log_write(const struct pg_text *head, const char *line, size_t len, uint64_t mask)
{
	struct pg_log_missing before = pg_log_missing();

	if (pg_config.log_kind == PG_LOG_OFF)
		return false;
	if (!put(head, line, len, mask)) {
		pg_log_drop();
		return false;
	}
	__atomic_fetch_add(&written, len, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&missing.dropped, before.dropped, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&missing.limited, before.limited, __ATOMIC_RELAXED);
	return true;
}
