/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

PG_START_DATA bool pg_confined;

/* Where a sandbox or container does not know statx. */
static int old_fstat(int fd, struct pg_stat *st, int why)
{
#if defined(__LP64__) || defined(__GLIBC__)
#ifdef __LP64__
	struct stat old;
	long ret = pg_sys2(SYS_fstat, fd, &old);
#else
	struct stat64 old;
	long ret = pg_sys2(SYS_fstat64, fd, &old);
#endif

	if (ret < 0)
		return ret == -EBADF ? -EBADF : why;
	st->dev = old.st_dev;
	st->ino = old.st_ino;
	st->born = 0;
	st->mode = old.st_mode;
	st->uid = old.st_uid;
	st->gid = old.st_gid;
	return 0;
#else
	(void)fd;
	(void)st;
	return why;
#endif
}

/* statx(2) has one layout everywhere, unlike stat. Linux 4.11; CentOS 7 is older and not aimed at.
 */
int pg_stat_at(int at, const char *path, int flags, struct pg_stat *st)
{
	enum { WANTED = 0x91b, BORN = 0x800 }; /* type, mode, owner, inode; and this */
	/* struct statx of <linux/stat.h>, as far as it is asked for; 256 bytes in all. */
	struct {
		uint32_t mask, blksize;
		uint64_t attributes;
		uint32_t nlink, uid, gid;
		uint16_t mode, spare;
		uint64_t ino, size, blocks, attributes_mask, accessed[2], born[2], times[4];
		uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
		uint64_t rest[14];
	} sx;
	long ret = pg_sys5(SYS_statx, at, path, flags, WANTED, &sx);

	_Static_assert(sizeof sx == 256, "the kernel writes 256 bytes");

	if (ret < 0)
		return (int)ret;
	st->dev = (uint64_t)sx.dev_major << 32 | sx.dev_minor;
	st->ino = sx.ino;
	st->born = sx.mask & BORN ? pg_mix(sx.born[0], sx.born[1]) : 0;
	st->mode = sx.mode;
	st->uid = sx.uid;
	st->gid = sx.gid;
	return 0;
}

int pg_fstat(int fd, struct pg_stat *st)
{
	int ret = pg_stat_at(fd, "", AT_EMPTY_PATH, st);

	return ret == -ENOSYS || ret == -EPERM ? old_fstat(fd, st, ret) : ret;
}

int pg_lstat(const char *path, struct pg_stat *st)
{
	return pg_stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, st);
}

void pg_fd_path(char path[PG_FD_PATH], const char *folder, int fd)
{
	struct pg_text t = {path, 0, PG_FD_PATH - 1};

	pg_put(&t, "/proc/self/");
	pg_put(&t, folder);
	pg_put_i64(&t, fd);
	path[t.len] = 0;
}

long pg_fd_name(int fd, char *name, size_t size)
{
	char link[PG_FD_PATH];
	long n;

	pg_fd_path(link, "fd/", fd);
	n = pg_sys4(SYS_readlinkat, AT_FDCWD, link, name, size - 1);
	name[n > 0 ? n : 0] = 0;
	return n;
}

int pg_open(const char *path, int flags)
{
	return (int)pg_sys4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644);
}

/* i386 splits the offset; other machines of 32 bits would want it at an even argument, too. */
long pg_pread(int fd, void *to, size_t n, uint64_t at)
{
#ifdef __LP64__
	return pg_sys4(SYS_pread64, fd, to, n, at);
#else
	return pg_sys5(SYS_pread64, fd, to, n, at, at >> 32);
#endif
}

int pg_pid(void)
{
	long pid = pg_sys0(SYS_getpid);

	return pid > 0 ? (int)pid : -1;
}

void *pg_map(size_t size)
{
	enum { PROT = PROT_READ | PROT_WRITE, FLAGS = MAP_PRIVATE | MAP_ANONYMOUS };
#ifdef SYS_mmap2
	long at = pg_sys6(SYS_mmap2, 0, size, PROT, FLAGS, -1, 0);
#else
	long at = pg_sys6(SYS_mmap, 0, size, PROT, FLAGS, -1, 0);
#endif

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

void *pg_map_once(void **place, size_t size)
{
	void *has = __atomic_load_n(place, __ATOMIC_ACQUIRE), *mine;

	if (has || !(mine = pg_map(size)))
		return has;
	if (__atomic_compare_exchange_n(place, &has, mine, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mine;
	pg_sys2(SYS_munmap, mine, size);
	return has;
}

unsigned long pg_auxval(unsigned long type)
{
	int saved = errno;
	unsigned long value = getauxval(type);

	errno = saved;
	return value;
}

/* By select(2), which knows no limit. Each of its sets holds errors, too. */
static PG_COLD short by_select(int fd, short events)
{
	enum { MOST = 1024, BITS = 8 * sizeof(unsigned long) };
	unsigned long in[MOST / BITS] = {0}, out[MOST / BITS] = {0}, bit = 1ul << fd % BITS;
	unsigned at = (unsigned)fd / BITS;
	long zero[2] = {0, 0};
	int found = 0;

	if (fd < 0 || fd >= MOST)
		return 0;
	in[at] = out[at] = bit;
	if (pg_sys6(SYS_pselect6, fd + 1, in, out, 0, zero, 0) <= 0)
		return 0;
	if (out[at] & bit)
		found |= events & POLLOUT;
	if (in[at] & bit && (pg_sys3(SYS_fcntl, fd, F_GETFL, 0) & O_ACCMODE) == O_WRONLY)
		found |= POLLERR;
	else if (in[at] & bit)
		found |= events & POLLIN;
	return (short)found;
}

short pg_poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	long zero[2] = {0, 0};
	long n = pg_sys5(SYS_ppoll, &p, 1, zero, 0, 0);

	if (n == -EINVAL)
		return by_select(fd, events);
	return n == 1 ? p.revents : (short)0;
}

int pg_lift(int fd)
{
	uint64_t limit[2] = {0, 0}; /* the kernel's struct rlimit64 */
	int high;

	pg_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, limit);
	for (int at = limit[0] > PG_HIGH_FD ? PG_HIGH_FD : (int)limit[0] - 1; at > 2; at--) {
		high = (int)pg_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, at);
		if (high < 0)
			continue;
		pg_sys1(SYS_close, fd);
		return high;
	}
	return fd;
}
