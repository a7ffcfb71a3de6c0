/* SPDX-License-Identifier: MIT */
#include "log.h"

#include "config.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { SIGSET_BYTES = 8, HIGH_FD = 1000 };

/* What the log is. Written at start, and again only when a lost file is reopened. */
static struct {
	int fd;
	int pid; /* with %p in the path: whose file it is */
	uint64_t dev, ino;
	uint32_t mode;
} out = {.fd = -1};

static uint64_t dropped;

uint64_t pg_log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

void pg_log_drop(void)
{
	__atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
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

/* Up, out of the program's way; below a low limit as high as it goes. The low number is never seen
 * by the program. */
static int lift(int fd)
{
	struct rlimit limit = {0, 0};
	int high = -1;

	pg_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
	for (int at = limit.rlim_cur > HIGH_FD ? HIGH_FD : (int)limit.rlim_cur - 1; at > 2; at--) {
		high = (int)pg_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, at);
		if (high >= 0)
			break;
	}
	pg_sys1(SYS_close, fd);
	return high;
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

static bool adopt(int fd)
{
	struct pg_stat st;

	if (fd < 0 || pg_fstat(fd, &st))
		return false;
	out.dev = st.dev;
	out.ino = st.ino;
	out.mode = st.mode;
	out.fd = fd;
	return true;
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

/* As pg_open, but from the first folder on in which all may put links, none is followed. */
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
		if (!pg_fstat(dir, &st) && st.mode & S_ISVTX && st.mode & S_IWOTH) {
			fd = open_beneath(dir, at + 1, flags);
			pg_sys1(SYS_close, dir);
			return fd;
		}
		pg_sys1(SYS_close, dir);
	}
	return pg_open(path, flags);
}

/* Opens the file or socket; a reason if that fails. */
static const char *open_log(char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct pg_stat st;
	int fd;

	if (pg_config.log_kind == PG_LOG_UNIX) {
		if (pg_len(path) >= sizeof un.sun_path)
			return "the path is too long for a socket";
		pg_copy(un.sun_path, sizeof un.sun_path, path);
		fd = (int)pg_sys3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  0);
		if (fd >= 0 && pg_sys3(SYS_connect, fd, &un, sizeof un)) {
			pg_sys1(SYS_close, fd);
			return "nobody receives there (a datagram socket must be bound first)";
		}
		return adopt(lift(fd)) ? NULL : "no descriptor is left";
	}
	if (!pg_lstat(path, &st) && is_device(path, st.mode))
		return "it is a device";
	fd = open_unlinked(path,
			   O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return open_error(fd);
	if (pg_fstat(fd, &st) || is_device(path, st.mode)) {
		pg_sys1(SYS_close, fd);
		return "it is a device";
	}
	return adopt(lift(fd)) ? NULL : "no descriptor is left";
}

static void open_path(bool tell)
{
	static char path[PG_LINE_MAX /
			 4]; /* at start and, rarely, after a loss: racing threads write the same */
	int low[3], n = fill_low(low), pid = (int)pg_sys0(SYS_getpid);
	bool has_pid = pg_config_log_path(path, sizeof path, pid);
	const char *why = open_log(path);

	while (n--)
		pg_sys1(SYS_close, low[n]);
	out.pid = has_pid ? pid : 0;
	if (why)
		out.fd = -1;
	if (why && tell)
		complain(path, why);
}

void pg_log_start(void)
{
	if (pg_config.log_kind == PG_LOG_OFF)
		return;
	if (pg_config.log_kind == PG_LOG_FD)
		adopt(pg_config.log_fd);
	else
		open_path(true);
}

/* Is the descriptor still the log? A lost file is opened again, once per call. */
static bool still_ours(void)
{
	struct pg_stat st;
	bool same = out.fd >= 0 && !pg_fstat(out.fd, &st) && st.dev == out.dev && st.ino == out.ino;

	if (same && out.pid && out.pid != (int)pg_sys0(SYS_getpid)) {
		if (!S_ISREG(out.mode))
			return true;
		pg_sys1(SYS_close, out.fd); /* the parent's file: ours has another name */
		same = false;
	}
	if (same || pg_config.log_kind == PG_LOG_FD)
		return same;
	if (!out.ino)
		return false;
	open_path(false);
	return out.fd >= 0;
}

/* A pipe or terminal whose reader sleeps must not hold the program up. */
static bool writable(void)
{
	struct pollfd p = {.fd = out.fd, .events = POLLOUT};
	long zero[2] = {0, 0};

	if (S_ISREG(out.mode))
		return true;
	return pg_sys5(SYS_ppoll, &p, 1, zero, 0, 0) == 1 && !(p.revents & (POLLERR | POLLNVAL));
}

static bool pending(uint64_t sig)
{
	uint64_t set = 0;

	pg_sys2(SYS_rt_sigpending, &set, SIGSET_BYTES);
	return set & sig;
}

/*
 * A log that breaks, or meets a size limit, must not signal the program: what the write raised
 * waits, all being blocked, and is taken back. Only a signal that the program itself blocks can
 * have waited before.
 */
static bool write_quietly(const char *line, size_t len, uint64_t mask)
{
	uint64_t sig = (uint64_t)1 << ((S_ISREG(out.mode) ? SIGXFSZ : SIGPIPE) - 1);
	bool waited = mask & sig && pending(sig);
	long zero[2] = {0, 0};

	if (pg_sys3(SYS_write, out.fd, line, len) == (long)len)
		return true;
	if (!waited && pending(sig))
		pg_sys4(SYS_rt_sigtimedwait, &sig, 0, zero, SIGSET_BYTES);
	return false;
}

static bool write_line(const char *line, size_t len, uint64_t mask)
{
	if (S_ISSOCK(out.mode))
		return pg_sys6(SYS_sendto, out.fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0) ==
		       (long)len;
	return write_quietly(line, len, mask);
}

void pg_log_write(const char *line, size_t len, uint64_t mask, uint64_t broken_dev,
		  uint64_t broken_ino)
{
	uint64_t lost = pg_log_dropped();

	if (pg_config.log_kind == PG_LOG_OFF)
		return;
	if (pg_confined) {
		if (out.fd < 0 || pg_sys3(SYS_write, out.fd, line, len) != (long)len)
			pg_log_drop();
		return;
	}
	if (!still_ours() || (out.dev == broken_dev && out.ino == broken_ino) || !writable() ||
	    !write_line(line, len, mask)) {
		pg_log_drop();
		return;
	}
	__atomic_fetch_sub(&dropped, lost, __ATOMIC_RELAXED);
}
