/* SPDX-License-Identifier: MIT */
#include "outside/thing.h"

#include "outside/bytes.h"

#include "object/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Not in every libc's headers. */
enum { PIDFD_OPEN = 434, PIDFD_THREAD = O_EXCL, SO_PEER_NAME = 28 };

/* Those of threads that were asked last. Of one that has ended it leads nowhere, whoever has the
 * number now. */
enum { KEPT = 128 };
static struct {
	int tid, pidfd;
} kept[KEPT];

/* Returns -ESRCH where none is kept. */
static long copy_by_kept(int tid, int fd)
{
	unsigned at = (unsigned)tid % KEPT;

	return kept[at].tid == tid ? pg_sys3(SYS_pidfd_getfd, kept[at].pidfd, fd, 0) : -ESRCH;
}

/* Most descriptors are for those that wait. False: it is not kept. */
static bool keep(int tid, int pidfd)
{
	unsigned at = (unsigned)tid % KEPT;
	static struct rlimit most;

	if (!most.rlim_cur && getrlimit(RLIMIT_NOFILE, &most))
		return false;
	if ((rlim_t)pidfd >= most.rlim_cur / 4)
		return false;
	if (kept[at].tid)
		pg_sys1(SYS_close, kept[at].pidfd);
	kept[at].tid = tid;
	kept[at].pidfd = pidfd;
	return true;
}

/* Of a thread, since Linux 6.9: its leader may have gone, or its descriptors may be its own. */
static long copy_of_thread(int tid, int fd)
{
	long copy = copy_by_kept(tid, fd), pidfd;

	if (copy != -ESRCH)
		return copy;
	pidfd = pg_sys2(PIDFD_OPEN, tid, PIDFD_THREAD);
	if (pidfd < 0)
		return pidfd;
	copy = pg_sys3(SYS_pidfd_getfd, pidfd, fd, 0);
	if (!keep(tid, (int)pidfd))
		pg_sys1(SYS_close, pidfd);
	return copy;
}

int pg_thing_copy(struct pg_tracee *t, int tid, int fd)
{
	long copy = tid != t->pid ? copy_of_thread(tid, fd) : -EINVAL;

	if (copy != -EINVAL)
		return (int)copy;
	if (t->pidfd <= 0)
		t->pidfd = (int)pg_sys2(PIDFD_OPEN, t->pid, 0);
	if (t->pidfd < 0)
		return t->pidfd;
	return (int)pg_sys3(SYS_pidfd_getfd, t->pidfd, fd, 0);
}

/* After a RST getpeername(2) tells nothing any more; the socket still knows whom it was connected
 * to, and this option says it. */
static void look_last_peer(int fd, struct pg_object *o)
{
	struct sockaddr_storage ss;
	socklen_t len =
		o->domain == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (o->kind == PG_TCP && !o->peer.family &&
	    !pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_PEER_NAME, &ss, &len))
		pg_look_address(o, (const struct sockaddr *)&ss, len);
}

void pg_thing_by_copy(const struct pg_tracee *t, int copy, struct pg_object *o)
{
	pg_look_for(copy, o, PG_LOOK_ALL, false);
	o->sent = o->offset = -1; /* our own numbers say nothing of theirs */
	look_last_peer(copy, o);
	if (o->kind == PG_TCP && o->peer.family && pg_listens_at(&o->local))
		o->side = PG_SERVER;
	if (o->peer_pid == t->pid)
		o->peer_pid = 0;
}

/* The inode, and what a name in /proc says. */
static void look_from_afar(int tid, int fd, struct pg_object *o)
{
	char path[64];
	struct pg_stat st;

	*o = (struct pg_object){.sent = -1, .offset = -1, .unread = -1, .idle_ms = -1, .rule = -1};
	snprintf(path, sizeof path, "/proc/%d/fd/%d", tid, fd);
	if (pg_stat_at(AT_FDCWD, path, 0, &st))
		return;
	o->ino = st.ino;
	o->dev = st.dev;
	o->born = st.born;
	o->kind = S_ISFIFO(st.mode)   ? PG_PIPE
		  : S_ISSOCK(st.mode) ? PG_SOCKET
		  : S_ISREG(st.mode)  ? PG_FILE
				      : PG_OTHER;
	o->stream = o->kind == PG_PIPE;
}

int pg_thing_look(struct pg_tracee *t, int tid, int fd, struct pg_object *o)
{
	int copy = pg_thing_copy(t, tid, fd);

	if (copy < 0) {
		look_from_afar(tid, fd, o);
		return -1;
	}
	pg_thing_by_copy(t, copy, o);
	return copy;
}

bool pg_thing_is(const struct pg_object *o, int fd)
{
	struct pg_stat st;

	return fd >= 0 && !pg_fstat(fd, &st) && st.dev == o->dev && st.ino == o->ino;
}

/* A signalfd's reader, or a writer to /proc, is itself what it is about. */
bool pg_thing_is_impartial(int fd)
{
	enum { PROC = 0x9fa0, SYS = 0x62656572, CGROUP = 0x27e0eb, CGROUP2 = 0x63677270 };
	enum { FUSE = 0x65735546, MEMORY = 1 /* /dev/null and its like */ };
	struct statfs f;
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (S_ISCHR(st.st_mode))
		return major(st.st_rdev) == MEMORY || isatty(fd);
	if (!S_ISREG(st.st_mode))
		return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
	return !fstatfs(fd, &f) && f.f_type != PROC && f.f_type != SYS && f.f_type != CGROUP &&
	       f.f_type != CGROUP2 && f.f_type != FUSE;
}

/* ---- lengths ---- */

static int64_t vector_length(int pid, uintptr_t at, uint64_t count, bool narrow)
{
	enum { MOST = 1024 };
	/* The kernel refuses more: of one, or together. */
	const uint64_t most = narrow ? (uint64_t)INT32_MAX : INT64_MAX / MOST;
	size_t each = narrow ? 8 : sizeof(struct iovec);
	char entry[sizeof(struct iovec)];
	int64_t sum = 0;

	if (count > MOST)
		return -1;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t length;
		uint32_t n;
		struct iovec v;

		if (!pg_bytes_read(pid, at + i * each, entry, each))
			return -1;
		memcpy(&n, entry + 4, sizeof n);
		memcpy(&v, entry, sizeof v < each ? sizeof v : each);
		length = narrow ? n : v.iov_len;
		if (length > most || (!narrow && (intptr_t)v.iov_base < 0))
			return -1; /* nor memory that is its own */
		sum += (int64_t)length;
	}
	return sum;
}

/* A struct msghdr: the vector is behind the name and its length. */
static int64_t message_length(int pid, uintptr_t at, bool narrow)
{
	struct msghdr m;
	uint32_t words[4];

	if (!narrow)
		return pg_bytes_read(pid, at, &m, sizeof m)
			       ? vector_length(pid, (uintptr_t)m.msg_iov, (uint64_t)m.msg_iovlen,
					       false)
			       : -1;
	return pg_bytes_read(pid, at, words, sizeof words)
		       ? vector_length(pid, words[2], words[3], true)
		       : -1;
}

int64_t pg_thing_length(int pid, enum pg_call call, const long arg[6], bool narrow)
{
	const struct pg_layout *l = pg_call_raw_layout(call);

	switch (l->shape) {
	case PG_IOV:
		return vector_length(pid, (uintptr_t)arg[l->data], (uint64_t)arg[l->len], narrow);
	case PG_MSG:
		return message_length(pid, (uintptr_t)arg[l->data], narrow);
	default:
		return l->len < 0 ? -1 : arg[l->len];
	}
}
