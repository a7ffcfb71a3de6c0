/* SPDX-License-Identifier: MIT */
#include "outside/move.h"

#include "outside/bytes.h"
#include "outside/thing.h"

#include "rules/config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { STEP = 1 << 16, NOWAIT = 8 /* RWF_NOWAIT */, SPLICE_NOWAIT = 2 };
static char buffer[STEP];

static bool message(const struct pg_ruled *c, struct msghdr *m)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);

	return pg_bytes_read(c->of->pid, (uintptr_t)c->op.arg[l->data], m, sizeof *m);
}

/* What is not the stream's. */
enum { KEPT = MSG_PEEK | MSG_OOB | MSG_ERRQUEUE };

bool pg_move_can(const struct pg_ruled *c)
{
	struct msghdr m;

	switch (c->op.call) {
	case PG_CALL_write:
	case PG_CALL_writev:
	case PG_CALL_read:
	case PG_CALL_readv:
	case PG_CALL_vmsplice:
	case PG_CALL_sendfile:
	case PG_CALL_splice:
	case PG_CALL_tee:
	case PG_CALL_copy_file_range:
		return true;
	case PG_CALL_pwritev2: /* at the position of the descriptor */
		return c->op.arg[3] == -1;
	case PG_CALL_send:
	case PG_CALL_recv:
		return !(c->op.arg[3] & KEPT);
	case PG_CALL_sendmmsg:
	case PG_CALL_sendmsg:
	case PG_CALL_recvmsg:
		return message(c, &m) && !m.msg_controllen &&
		       !(c->op.arg[pg_call_layout(c->op.call)->flags] & KEPT);
	default:
		return false;
	}
}

/* The piece of C's memory from byte AT on: where, and how long. */
static bool piece(const struct pg_ruled *c, uint64_t at, uintptr_t *where, size_t *n)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);
	uintptr_t vector = (uintptr_t)c->op.arg[l->data];
	uint64_t count = l->len >= 0 ? (uint64_t)c->op.arg[l->len] : 0;
	struct msghdr m;
	struct iovec v;

	if (l->shape == PG_BUF) {
		*where = vector + at;
		*n = (size_t)(count - at);
		return at < count;
	}
	if (l->shape == PG_MSG) {
		if (!message(c, &m))
			return false;
		vector = (uintptr_t)m.msg_iov;
		count = (uint64_t)m.msg_iovlen;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (!pg_bytes_read(c->of->pid, vector + i * sizeof v, &v, sizeof v))
			return false;
		if (at < v.iov_len) {
			*where = (uintptr_t)v.iov_base + at;
			*n = v.iov_len - at;
			return true;
		}
		at -= v.iov_len;
	}
	return false;
}

static int flags_of(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);
	int all = l->flags >= 0 ? (int)c->op.arg[l->flags] : 0;

	return (all & ~MSG_WAITALL) | MSG_DONTWAIT | MSG_NOSIGNAL;
}

static bool is_socket(const struct pg_ruled *c)
{
	return pg_kind_is_socket(c->object.kind);
}

/* Where the kernel cannot be told not to wait (a FIFO, a terminal): is there anything to wait for?
 * A pipe that can be written to takes a page. */
static bool is_ready(const struct pg_ruled *c, short events)
{
	struct pollfd p = {.fd = c->copy, .events = events};

	return poll(&p, 1, 0) == 1;
}

static long put_out(struct pg_ruled *c, size_t n)
{
	enum { PAGE = 4096 };
	struct iovec v = {buffer, n};
	long ret;

	if (is_socket(c))
		return pg_sys6(SYS_sendto, c->copy, buffer, n, flags_of(c), 0, 0);
	ret = pg_sys6(SYS_pwritev2, c->copy, &v, 1, -1L, -1L, NOWAIT);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = is_ready(c, POLLOUT)
			      ? pg_sys3(SYS_write, c->copy, buffer, n < PAGE ? n : PAGE)
			      : -EAGAIN;
	return ret;
}

static long take_in(struct pg_ruled *c, size_t n)
{
	struct iovec v = {buffer, n};
	long ret;

	if (is_socket(c))
		return pg_sys6(SYS_recvfrom, c->copy, buffer, n, flags_of(c), 0, 0);
	ret = pg_sys6(SYS_preadv2, c->copy, &v, 1, -1L, -1L, NOWAIT);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = is_ready(c, POLLIN) ? pg_sys3(SYS_read, c->copy, buffer, n) : -EAGAIN;
	return ret;
}

static size_t step_of(const struct pg_ruled *c, size_t n)
{
	int64_t left = c->want - c->done;

	n = n < STEP ? n : STEP;
	return (int64_t)n < left ? n : (size_t)left;
}

/* The memory of C's next step. */
static bool next_piece(const struct pg_ruled *c, uintptr_t *where, size_t *n)
{
	if (!piece(c, (uint64_t)c->done, where, n))
		return false;
	*n = step_of(c, *n);
	return true;
}

static int write_step(struct pg_ruled *c)
{
	uintptr_t where;
	size_t n;
	long ret;

	if (!next_piece(c, &where, &n) || !pg_bytes_read(c->of->pid, where, buffer, n))
		return -EFAULT;
	ret = put_out(c, n);
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

static bool whole; /* the last step of a read brought all that it asked for */

static int read_step(struct pg_ruled *c)
{
	uintptr_t where;
	size_t n;
	long ret;

	if (!next_piece(c, &where, &n))
		return -EFAULT;
	ret = take_in(c, n);
	whole = ret == (long)n;
	if (ret <= 0)
		return (int)ret;
	if (!c->done)
		spoil(c, (size_t)ret);
	if (!pg_bytes_write(c->of->pid, where, buffer, (size_t)ret))
		return -EFAULT;
	c->done += ret;
	return 0;
}

static int wait(struct pg_ruled *c)
{
	if (c->nonblock)
		return c->done ? 0 : -EAGAIN;
	c->events = c->reads ? POLLIN : POLLOUT;
	return 1;
}

/* ---- from another descriptor ---- */

/* The offset that argument AT points to; a null pointer there: the descriptor's own. */
static bool take_offset(const struct pg_ruled *c, unsigned at, int64_t *offset, int64_t **by)
{
	*by = c->op.arg[at] ? offset : NULL;
	return !c->op.arg[at] || pg_bytes_read(c->of->pid, (uintptr_t)c->op.arg[at], offset, 8);
}

static void put_offset(const struct pg_ruled *c, unsigned at, const int64_t *by)
{
	if (by)
		pg_bytes_write(c->of->pid, (uintptr_t)c->op.arg[at], by, sizeof *by);
}

static long between(const struct pg_ruled *c, int source, size_t n)
{
	int64_t in, out, *from = NULL, *to = NULL;
	long ret;

	switch (c->op.call) {
	case PG_CALL_tee:
		return pg_sys4(SYS_tee, source, c->copy, n, SPLICE_NOWAIT);
	case PG_CALL_sendfile:
		if (!take_offset(c, 2, &in, &from))
			return -EFAULT;
		ret = pg_sys4(SYS_sendfile, c->copy, source, from, n);
		put_offset(c, 2, from);
		return ret;
	default:
		if (!take_offset(c, 1, &in, &from) || !take_offset(c, 3, &out, &to))
			return -EFAULT;
		ret = pg_sys6(c->number, source, from, c->copy, to, n,
			      c->op.call == PG_CALL_splice ? SPLICE_NOWAIT : 0);
		put_offset(c, 1, from);
		put_offset(c, 3, to);
		return ret;
	}
}

static int between_step(struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);
	int source = pg_thing_copy(c->of, c->tid, (int)c->op.arg[l->source]);
	long ret;

	if (source < 0)
		return source;
	ret = between(c, source, (size_t)(c->want - c->done));
	pg_sys1(SYS_close, source);
	if (ret < 0)
		return (int)ret;
	c->done += ret;
	return 0;
}

static bool is_between(const struct pg_ruled *c)
{
	return pg_call_layout(c->op.call)->source >= 0;
}

/* ---- all of it ---- */

static int step(struct pg_ruled *c)
{
	if (is_between(c))
		return between_step(c);
	return c->reads ? read_step(c) : write_step(c);
}

/* A read goes on while what it asked for comes whole. */
static bool goes_on(const struct pg_ruled *c, int64_t before)
{
	if (c->done >= c->want || c->done == before || is_between(c))
		return false;
	return !c->reads || whole;
}

/* A read returns with what there is; a write goes on until all is written. */
int pg_move(struct pg_ruled *c)
{
	int64_t before;
	int ret;

	do {
		before = c->done;
		ret = step(c);
		if (ret == -EAGAIN)
			return (c->reads || is_between(c)) && c->done ? 0 : wait(c);
		if (ret < 0)
			return c->done ? 0 : ret;
	} while (goes_on(c, before));
	return 0;
}
