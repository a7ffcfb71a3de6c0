/* SPDX-License-Identifier: MIT */
#include "base/mapped.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void *map(void *at, size_t size, size_t offset, int prot, int flags, int fd)
{
#ifdef SYS_mmap2
	enum { UNIT = 4096 };
	long to = pg_sys6(SYS_mmap2, at, size, prot, flags, fd, offset / UNIT);
#else
	long to = pg_sys6(SYS_mmap, at, size, prot, flags, fd, offset);
#endif

	return to < 0 && to > -4096 ? NULL : (void *)to;
}

void *pg_mapped_at(int fd, size_t size, size_t offset, int prot)
{
	return map(NULL, size, offset, prot, MAP_SHARED, fd);
}

void *pg_mapped_new(size_t size)
{
	return map(NULL, size, 0, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

bool pg_mapped_empty(void *p, size_t size)
{
	enum { PROT = PROT_READ | PROT_WRITE, FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED };

	return map(p, size, 0, PROT, FLAGS, -1) == p;
}

/* ---- a new one ---- */

/* Written out whole, so that a full disk is found now and not by SIGBUS later. Returns 0 or -errno.
 */
static long fill(const struct pg_mapped *kind, int fd)
{
	static const char zeros[4096];
	long n = 0;

	for (size_t done = 0; done < kind->size; done += (size_t)n) {
		size_t left = kind->size - done;

		n = pg_sys3(SYS_write, fd, zeros, left < sizeof zeros ? left : sizeof zeros);
		if (n <= 0)
			return n ? n : -EIO;
	}
	if (pg_sys3(SYS_lseek, fd, kind->magic_at, SEEK_SET) != (long)kind->magic_at)
		return -EIO;
	n = pg_sys3(SYS_write, fd, kind->magic, PG_MAGIC);
	return n == (long)PG_MAGIC ? 0 : n < 0 ? n : -ENOSPC;
}

/* Under a name of this process's first: whoever finds the file finds it whole. Of one that had this
 * number before, and was killed at it, nothing is in the way. */
static long make_file(const struct pg_mapped *kind, const char *path)
{
	char temporary[512];
	struct pg_text t = {temporary, 0, sizeof temporary - 1};
	long fd, err;

	pg_put(&t, path);
	pg_put(&t, ".new.");
	pg_put_i64(&t, pg_pid());
	pg_put_char(&t, '.');
	pg_put_u64(&t, pg_now());
	if (t.len == t.cap)
		return -ENAMETOOLONG;
	temporary[t.len] = 0;
	fd = pg_sys4(SYS_openat, AT_FDCWD, temporary,
		     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	err = fill(kind, (int)fd);
	pg_sys1(SYS_close, fd);
	if (!err)
		err = pg_sys5(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0);
	pg_sys3(SYS_unlinkat, AT_FDCWD, temporary, 0);
	return err == -EEXIST ? 0 : err;
}

/* ---- one that is there ---- */

/* What is wrong with the file FD; a null pointer: nothing. */
static const char *judge(const struct pg_mapped *kind, int fd)
{
	char has[PG_MAGIC];
	struct pg_stat st;
	long size = pg_sys3(SYS_lseek, fd, 0, SEEK_END);

	if (pg_fstat(fd, &st) || !S_ISREG(st.mode))
		return "is no page: not a regular file:";
	if (st.uid != (uint32_t)pg_sys0(SYS_geteuid))
		return "is another user's:";
	if (st.mode & 022)
		return "may be written by others:";
	if (size != (long)kind->size ||
	    pg_sys3(SYS_lseek, fd, kind->magic_at, SEEK_SET) != (long)kind->magic_at ||
	    pg_sys3(SYS_read, fd, has, sizeof has) != (long)sizeof has ||
	    __builtin_memcmp(has, kind->magic, sizeof has) != 0)
		return "is no page, or another version's:";
	return NULL;
}

static const char *reason(long err)
{
	switch (-err) {
	case ENOENT:
		return "there is no such page:";
	case ELOOP:
		return "is a link:";
	case ENOSPC:
	case EDQUOT:
		return "cannot be made, the disk is full:";
	default:
		return "cannot be opened:";
	}
}

/* A lease of who asks whether anybody has it (command/tree.c) is held for some microseconds; where
 * processors are few, until that one's turn comes again. Two seconds in all. */
static int open_soon(const char *path)
{
	enum { FLAGS = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, TRIES = 200, STEP = 100000 };
	int fd = pg_open(path, FLAGS);

	for (long i = 1; fd == -EAGAIN && i <= TRIES; i++) {
		const long pause[2] = {0, i * STEP};

		pg_sys2(SYS_nanosleep, pause, 0);
		fd = pg_open(path, FLAGS);
	}
	return fd;
}

const char *pg_mapped_open(const struct pg_mapped *kind, const char *path, bool make, int *fd)
{
	long err;
	const char *why;

	*fd = open_soon(path);
	if (*fd == -ENOENT && make) {
		err = make_file(kind, path);
		if (err)
			return err == -ENOENT ? "cannot be made, there is no such folder:"
					      : reason(err);
		*fd = open_soon(path);
	}
	if (*fd < 0)
		return reason(*fd);
	why = judge(kind, *fd);
	if (why)
		pg_sys1(SYS_close, *fd);
	return why;
}
