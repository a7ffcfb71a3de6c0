/* SPDX-License-Identifier: MIT */
#include "outside/move.h"

#include "outside/between.h"
#include "outside/bytes.h"
#include "outside/memory.h"
#include "outside/narrow.h"
#include "outside/seen.h"
#include "outside/thing.h"

#include "base/clock.h"
#include "rules/config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* Nothing here waits: who is waited for may be one of those that wait for an answer. */
enum { STEP = 1 << 16, NOWAIT = 8 /* RWF_NOWAIT */, SPLICE_NOWAIT = 2 };
static char buffer[STEP];

/* What is not the stream's, or is delivered with bytes that come later, or connects first. */
enum { ZEROCOPY = 0x4000000, FASTOPEN = 0x20000000 };
enum { KEPT = MSG_PEEK | MSG_OOB | MSG_ERRQUEUE | MSG_TRUNC | ZEROCOPY | FASTOPEN };

static bool has_kept(const struct pg_ruled *c)
{
	return c->op.arg[pg_call_raw_layout(c->op.call)->flags] & KEPT;
}

/* Does C name nobody, or its connection's peer? Of TCP the kernel passes over a name. */
static bool names_peer(const struct pg_ruled *c, const void *name)
{
	return !name || c->reads || c->object.kind == PG_TCP;
}

/* A header without descriptors. */
static bool is_plain(const struct pg_ruled *c)
{
	struct msghdr m;

	return pg_see_message(c, &m) && !m.msg_controllen && !has_kept(c) &&
	       names_peer(c, m.msg_name);
}

/* Where recvfrom(2) puts who sent, and how long that is: can it? */
static bool takes_sender(const struct pg_ruled *c)
{
	int32_t n;

	if (!pg_bytes_read(pg_tracee_by(c->of), (uintptr_t)c->op.arg[5], &n, sizeof n) || n < 0 ||
	    !pg_memory_takes(c->of, (uintptr_t)c->op.arg[5], sizeof n))
		return false;
	return !n || pg_memory_takes(c->of, (uintptr_t)c->op.arg[4], (size_t)n);
}

static bool is_socket(const struct pg_ruled *c)
{
	return pg_kind_is_socket(c->object.kind);
}

static enum pg_args args_of(const struct pg_ruled *c)
{
	return (enum pg_args)pg_calls[c->op.call].args;
}

/* From a descriptor to another, at offsets that are named? The kernel refuses a copy between others
 * than files at once. */
static bool places_can(const struct pg_ruled *c)
{
	bool file = c->object.kind == PG_FILE;

	if (pg_call_is(c->op.call, PG_CALL_IS_FILES))
		return file;
	return (!c->op.arg[1] || c->object.kind == PG_PIPE) && (!c->op.arg[3] || file);
}

static bool is_at_position(const struct pg_ruled *c)
{
	return c->op.arg[3] == -1 && !c->op.arg[pg_call_raw_layout(c->op.call)->flags];
}

/* One that waits for a time does so for several. */
static bool messages_can(const struct pg_ruled *c)
{
	return c->op.arg[2] && !(c->reads && c->op.arg[4]) && is_plain(c);
}

static bool names_sender(const struct pg_ruled *c)
{
	return c->reads && args_of(c) == PG_ARGS_SEND && c->op.arg[4];
}

static bool call_can(const struct pg_ruled *c)
{
	switch (args_of(c)) {
	case PG_ARGS_BUFFER:
	case PG_ARGS_VECTOR:
	case PG_ARGS_VECTORF:
	case PG_ARGS_FILE:
	case PG_ARGS_TEE:
		return true;
	case PG_ARGS_SPLICE:
		return places_can(c);
	case PG_ARGS_VECTOR2:
		return is_at_position(c);
	case PG_ARGS_SEND:
		return !has_kept(c) && (!names_sender(c) || takes_sender(c));
	case PG_ARGS_SENDTO:
		return !has_kept(c) && names_peer(c, c);
	case PG_ARGS_MESSAGE:
		return is_plain(c);
	case PG_ARGS_MESSAGES:
		return messages_can(c);
	default:
		return false;
	}
}

static bool has_messages(const struct pg_ruled *c)
{
	int type = SOCK_STREAM;
	socklen_t n = sizeof type;

	if (is_socket(c))
		pg_sys5(SYS_getsockopt, c->copy, SOL_SOCKET, SO_TYPE, &type, &n);
	return type != SOCK_STREAM;
}

static bool is_impartial(const struct pg_ruled *c)
{
	return is_socket(c) || c->object.kind == PG_PIPE || c->object.kind == PG_TTY ||
	       pg_thing_is_impartial(c->copy);
}

/* A message is moved whole, and only where a rule wants it changed. */
bool pg_move_can(struct pg_ruled *c)
{
	uint64_t asked = c->op.bytes > 0 ? (uint64_t)c->op.bytes : 0;
	bool less = c->plan.most < asked;

	if (!call_can(c) || !is_impartial(c) || (pg_between(c) && !pg_between_can(c)))
		return false;
	return !has_messages(c) ||
	       ((less || c->plan.garbage) && (less ? c->plan.most : asked) <= STEP);
}

/* ---- the process's memory ---- */

/* The vector that C names: where it is, and how many entries it has. */
static bool vector_of(const struct pg_ruled *c, uintptr_t *at, uint64_t *count)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	struct msghdr m;

	*at = (uintptr_t)c->op.arg[l->data];
	*count = l->len >= 0 ? (uint64_t)c->op.arg[l->len] : 0;
	if (l->shape != PG_MSG)
		return true;
	if (!pg_see_message(c, &m))
		return false;
	*at = (uintptr_t)m.msg_iov;
	*count = (uint64_t)m.msg_iovlen;
	return true;
}

enum { ENTRIES = 1024 }; /* the kernel takes no more */
static struct iovec piece[ENTRIES];

/* The first N bytes behind byte AT of the COUNT entries in PIECE, moved to its front. Returns how
 * many entries that are. */
static unsigned cut_out(uint64_t count, uint64_t at, size_t *n)
{
	unsigned used = 0;
	size_t left = *n;

	for (uint64_t i = 0; i < count && left; i++) {
		struct iovec v = piece[i];

		if (at >= v.iov_len) {
			at -= v.iov_len;
			continue;
		}
		v.iov_base = (char *)v.iov_base + (size_t)at;
		v.iov_len = v.iov_len - at < left ? v.iov_len - at : left;
		at = 0;
		left -= v.iov_len;
		piece[used++] = v;
	}
	*n -= left;
	return used;
}

static bool read_vector(const struct pg_ruled *c, uintptr_t at, uint64_t count)
{
	int by = pg_tracee_by(c->of);

	return c->narrow ? pg_narrow_vector(by, at, piece, count)
			 : pg_bytes_read(by, at, piece, count * sizeof *piece);
}

/* The memory of C's next step: up to *N bytes of it. Returns how many entries of PIECE that are; 0:
 * there are none. */
static unsigned pieces(const struct pg_ruled *c, size_t *n)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	int64_t left = c->want - c->done;
	uint64_t count;
	uintptr_t at;

	*n = left < STEP ? (size_t)left : STEP;
	if (!vector_of(c, &at, &count))
		return 0;
	if (l->shape == PG_BUF) {
		piece[0] = (struct iovec){(void *)at, (size_t)count};
		count = 1;
	} else if (count > ENTRIES || !read_vector(c, at, count)) {
		return 0;
	}
	return cut_out(count, (uint64_t)c->done, n);
}

static bool gather(const struct pg_ruled *c, unsigned entries, size_t n)
{
	struct iovec mine = {buffer, n};

	return process_vm_readv(pg_tracee_by(c->of), &mine, 1, piece, entries, 0) == (ssize_t)n;
}

static bool scatter(const struct pg_ruled *c, unsigned entries, size_t n)
{
	struct iovec mine = {buffer, n};

	return process_vm_writev(pg_tracee_by(c->of), &mine, 1, piece, entries, 0) == (ssize_t)n;
}

/* ---- one step ---- */

static int flags_of(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	int all = l->flags >= 0 ? (int)c->op.arg[l->flags] : 0;

	return (all & ~MSG_WAITALL) | MSG_DONTWAIT | MSG_NOSIGNAL;
}

/* Is opening the terminal FD by its name opening the same one? That of a pseudoterminal's master
 * makes another pair, and /dev/tty is one's own. */
static bool is_itself(int fd)
{
	enum { ALTERNATES = 5 }; /* TTYAUX_MAJOR */
	struct stat st;

	return !fstat(fd, &st) && major(st.st_rdev) != ALTERNATES;
}

/* C's terminal once more, as one that does not wait; a negative number: it cannot be. */
static int open_again(const struct pg_ruled *c)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", c->copy);
	return is_itself(c->copy) ? open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
}

/* Where the kernel cannot be asked not to wait: a terminal is opened once more; a pipe that can be
 * written to takes a page. */
static long put_out_ready(struct pg_ruled *c, size_t n)
{
	long ret;
	int fd;

	if (!pg_poll_now(c->copy, POLLOUT))
		return -EAGAIN;
	if (c->object.kind != PG_TTY)
		return pg_sys3(SYS_write, c->copy, buffer, n < PG_PAGE_LEAST ? n : PG_PAGE_LEAST);
	if (c->nonblock)
		return pg_sys3(SYS_write, c->copy, buffer, n);
	fd = open_again(c);
	if (fd < 0)
		return pg_sys3(SYS_write, c->copy, buffer, 1);
	ret = pg_sys3(SYS_write, fd, buffer, n);
	pg_sys1(SYS_close, fd);
	return ret;
}

/* Of a file, what is asked for without waiting may be a part: what is not in memory, say. Its disk
 * is waited for. */
static bool is_file(const struct pg_ruled *c)
{
	return !is_socket(c) && c->object.kind != PG_PIPE && c->object.kind != PG_TTY;
}

/* Of N bytes for C's file, at *TO or where it stands, those that its process may put there: this
 * one may more. */
static size_t within_limit(const struct pg_ruled *c, const int64_t *to, size_t n)
{
	struct rlimit most;
	struct stat st;
	int64_t at;

	if (c->object.kind != PG_FILE || prlimit(c->of->pid, RLIMIT_FSIZE, NULL, &most) ||
	    most.rlim_cur == RLIM_INFINITY)
		return n;
	at = to ? *to : lseek(c->copy, 0, SEEK_CUR);
	if (pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0) & O_APPEND && !fstat(c->copy, &st))
		at = st.st_size;
	if (at < 0 || (rlim_t)at >= most.rlim_cur)
		return at < 0 ? n : 0;
	return n < most.rlim_cur - (rlim_t)at ? n : (size_t)(most.rlim_cur - (rlim_t)at);
}

static long put_out(struct pg_ruled *c, size_t n)
{
	struct iovec v = {buffer, n};
	long ret;

	if (n && !within_limit(c, NULL, n))
		return -EFBIG;
	if (is_file(c))
		return pg_sys3(SYS_write, c->copy, buffer, within_limit(c, NULL, n));
	if (is_socket(c))
		return pg_sys6(SYS_sendto, c->copy, buffer, n, flags_of(c), 0, 0);
	ret = pg_sys6(SYS_pwritev2, c->copy, &v, 1, -1L, -1L, NOWAIT);
	return ret == -EOPNOTSUPP || ret == -EINVAL ? put_out_ready(c, n) : ret;
}

/* Who sent what was taken in last, as the kernel says: nobody, of TCP. */
static struct {
	struct sockaddr_storage name;
	socklen_t n;
} sender;

static long take_in(struct pg_ruled *c, size_t n)
{
	struct iovec v = {buffer, n};
	long ret;

	sender.n = sizeof sender.name;
	if (is_file(c))
		return pg_sys3(SYS_read, c->copy, buffer, n);
	if (is_socket(c))
		return pg_sys6(SYS_recvfrom, c->copy, buffer, n, flags_of(c), &sender.name,
			       &sender.n);
	ret = pg_sys6(SYS_preadv2, c->copy, &v, 1, -1L, -1L, NOWAIT);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = pg_poll_now(c->copy, POLLIN) ? pg_sys3(SYS_read, c->copy, buffer, n)
						   : -EAGAIN;
	return ret;
}

static bool whole; /* the last step brought, or took, all that it asked for */

static int write_step(struct pg_ruled *c)
{
	size_t n;
	unsigned entries = pieces(c, &n);
	long ret;

	if (!entries || !gather(c, entries, n))
		return -EFAULT;
	ret = put_out(c, n);
	whole = ret == (long)n;
	if (ret < 0)
		return (int)ret;
	c->done += ret;
	return 0;
}

static void spoil(const struct pg_ruled *c, size_t n)
{
	uint64_t state = pg_garbage_begin(c->object.story);

	pg_garbage(buffer, n < c->plan.garbage ? n : c->plan.garbage, &state);
}

/* What was taken could not be given back: so it is asked before whether it can be put there. */
static bool has_room(const struct pg_ruled *c, unsigned entries, size_t n)
{
	for (unsigned i = 0; i < entries; i++)
		if (!pg_memory_takes(c->of, (uintptr_t)piece[i].iov_base, piece[i].iov_len))
			return false;
	return gather(c, entries, n);
}

static int read_step(struct pg_ruled *c)
{
	size_t n;
	unsigned entries = pieces(c, &n);
	long ret;

	if (!entries || !has_room(c, entries, n))
		return -EFAULT;
	ret = take_in(c, n);
	whole = ret == (long)n;
	if (ret <= 0)
		return (int)ret;
	if (!c->done)
		spoil(c, (size_t)ret);
	n = (size_t)ret;
	entries = cut_out(entries, 0, &n);
	if (!scatter(c, entries, n))
		return -EFAULT;
	c->done += ret;
	return 0;
}

/* Of two descriptors either may be the one that is not ready; one alone would be ready at once, and
 * again and again. So they are tried after a while. */
static int wait(struct pg_ruled *c)
{
	const uint64_t while_ns = 2000000;

	if (pg_between(c))
		c->nonblock = !pg_between_waits(c);
	if (c->nonblock)
		return c->done ? 0 : -EAGAIN;
	c->again = pg_between(c) ? pg_now() + while_ns : 0;
	c->events = c->reads ? POLLIN : POLLOUT;
	return 1;
}

/* ---- from another descriptor ---- */

/* Does the kernel ask of C's pipe, before it looks at the source? Returns what it says; 0: there is
 * room. */
static long pipe_says(const struct pg_ruled *c)
{
	if (c->object.kind != PG_PIPE)
		return 0;
	if (pg_look_is_broken(c->copy))
		return -EPIPE;
	return pg_poll_now(c->copy, POLLOUT) ? 0 : -EAGAIN;
}

/* N bytes of FILE, at AT, into the buffer. What has no such place may be refused: the kernel says.
 */
static long read_file(int file, size_t n, int64_t at)
{
	struct stat st;
	long ret;

	if (fstat(file, &st) || !S_ISREG(st.st_mode))
		return -EINVAL;
	ret = pread(file, buffer, n < STEP ? n : STEP, at);
	return ret < 0 || (!ret && at > st.st_size) ? -EINVAL : ret;
}

/* The source's bytes come by way of the buffer: the kernel would wait for room. */
static long send_file(struct pg_ruled *c, int source, size_t n)
{
	int64_t at, *by;
	long ret = pipe_says(c);

	if (ret)
		return ret;
	if (!pg_between_offset(c, 2, &at, &by))
		return -EFAULT;
	if (!by && (at = lseek(source, 0, SEEK_CUR)) < 0)
		return -EINVAL;
	ret = read_file(source, n, at);
	if (ret > 0)
		ret = put_out(c, (size_t)ret);
	if (ret <= 0)
		return ret;
	at += ret;
	if (!by)
		lseek(source, at, SEEK_SET);
	if (pg_between_put_offset(c, 2, by))
		return ret;
	c->done += ret; /* what is read next time is not where it goes on */
	return -EFAULT;
}

/* N bytes, of which the target takes what it takes at once. */
static long splice_now(struct pg_ruled *c, int64_t *from, int64_t *to, size_t n)
{
	bool file = pg_call_is(c->op.call, PG_CALL_IS_FILES);
	int fd = c->object.kind == PG_TTY ? open_again(c) : -1;
	long ret;

	if (c->object.kind == PG_TTY && fd < 0)
		n = 1;
	else if (is_socket(c) && n > PG_PAGE_LEAST)
		n = PG_PAGE_LEAST;
	ret = pg_sys6(c->number, c->source, from, fd >= 0 ? fd : c->copy, to, n,
		      file ? 0 : SPLICE_NOWAIT);
	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	return ret;
}

/* Of a socket the kernel waits although it is asked not to: for bytes, and for more room than there
 * certainly is. */
static long splice_some(struct pg_ruled *c, int source, size_t n)
{
	int64_t in, out, *from = NULL, *to = NULL;
	long ret = pg_between_is_pipe(source) ? 0 : pipe_says(c);

	if (ret)
		return ret;
	if (!pg_between_offset(c, 1, &in, &from) || !pg_between_offset(c, 3, &out, &to))
		return -EFAULT;
	if (!pg_poll_now(source, POLLIN) || !pg_poll_now(c->copy, POLLOUT))
		return -EAGAIN;
	if (!within_limit(c, to, n))
		return -EFBIG;
	ret = splice_now(c, from, to, within_limit(c, to, n));
	pg_between_put_offset(c, 1, from);
	pg_between_put_offset(c, 3, to);
	return ret;
}

static long between(struct pg_ruled *c, int source, size_t n)
{
	switch (args_of(c)) {
	case PG_ARGS_TEE:
		return pg_sys4(SYS_tee, source, c->copy, n, SPLICE_NOWAIT);
	case PG_ARGS_FILE:
		return send_file(c, source, n);
	default:
		return splice_some(c, source, n);
	}
}

static int between_step(struct pg_ruled *c)
{
	int source = pg_between_source(c);
	long ret;

	if (source < 0)
		return source;
	ret = between(c, source, (size_t)(c->want - c->done));
	whole = ret > 0;
	if (ret < 0)
		return (int)ret;
	c->done += ret;
	return 0;
}

/* ---- all of it ---- */

static int step(struct pg_ruled *c)
{
	if (pg_between(c))
		return between_step(c);
	return c->reads ? read_step(c) : write_step(c);
}

/* Does it return when its pipe is full? */
static bool fills(const struct pg_ruled *c)
{
	return c->op.call == PG_CALL_vmsplice ||
	       (args_of(c) == PG_ARGS_FILE && c->object.kind == PG_PIPE);
}

/* All of it, or nothing yet? */
static bool is_asked_whole(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);

	if (!c->reads)
		return !fills(c) && (!pg_between(c) || args_of(c) == PG_ARGS_FILE);
	return l->flags >= 0 && c->op.arg[l->flags] & MSG_WAITALL;
}

/* A read goes on while what it asked for comes whole, and what fills a pipe while that takes all.
 */
static bool goes_on(const struct pg_ruled *c, int64_t before)
{
	if (c->done >= c->want || c->done == before || has_messages(c))
		return false;
	return is_asked_whole(c) || (whole && (!pg_between(c) || fills(c)));
}

/* To NAME, of N bytes; what it takes may be more. */
static void put_sender(const struct pg_ruled *c, const void *name, socklen_t n)
{
	pg_bytes_write(pg_tracee_by(c->of), (uintptr_t)name, &sender.name,
		       n < sender.n ? n : sender.n);
}

static void put_narrow_header(const struct pg_ruled *c, const struct msghdr *m)
{
	uintptr_t at = (uintptr_t)c->op.arg[1];

	pg_bytes_write(pg_tracee_by(c->of), at + PG_NARROW_NAMELEN, &m->msg_namelen, 4);
	pg_bytes_write(pg_tracee_by(c->of), at + PG_NARROW_FLAGS, &m->msg_flags, 4);
}

static void put_address(const struct pg_ruled *c)
{
	const void *name = (const void *)c->op.arg[4];
	uintptr_t at = (uintptr_t)c->op.arg[5];
	socklen_t n;

	if (!pg_bytes_read(pg_tracee_by(c->of), at, &n, sizeof n))
		return;
	put_sender(c, name, n);
	pg_bytes_write(pg_tracee_by(c->of), at, &sender.n, sizeof n);
}

/* What the kernel says of what it read, in a header or an address. */
static void put_header(const struct pg_ruled *c)
{
	struct msghdr m;

	if (names_sender(c))
		put_address(c);
	if (pg_call_raw_layout(c->op.call)->shape != PG_MSG || !c->reads || !pg_see_message(c, &m))
		return;
	if (m.msg_name) {
		put_sender(c, m.msg_name, m.msg_namelen);
		m.msg_namelen = sender.n;
	}
	m.msg_flags = 0;
	if (c->narrow)
		put_narrow_header(c, &m);
	else
		pg_bytes_write(pg_tracee_by(c->of), (uintptr_t)c->op.arg[1], &m, sizeof m);
}

void pg_move_ends(const struct pg_ruled *c)
{
	sender.n = 0;
	put_header(c);
}

/* A read returns with what there is; a write goes on until all is written. */
int pg_move(struct pg_ruled *c)
{
	int64_t before;
	int ret;

	if (!c->want)
		return 0;
	do {
		before = c->done;
		ret = step(c);
		if (ret == -EAGAIN && c->done && !is_asked_whole(c))
			break;
		if (ret == -EAGAIN && (ret = wait(c)))
			return ret;
		if (ret < 0 && !c->done)
			return ret;
	} while (!ret && goes_on(c, before));
	c->broke = ret == -EPIPE && !fills(c);
	put_header(c);
	return 0;
}
