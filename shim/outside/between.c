/* SPDX-License-Identifier: MIT */
#include "outside/between.h"

#include "outside/bytes.h"
#include "outside/memory.h"
#include "outside/thing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool pg_between(const struct pg_ruled *c)
{
	return pg_call_raw_layout(c->op.call)->source >= 0;
}

long pg_between_flags(const struct pg_ruled *c)
{
	if (c->op.call == PG_CALL_splice)
		return c->op.arg[5];
	return c->op.call == PG_CALL_tee || c->op.call == PG_CALL_vmsplice ? c->op.arg[3] : 0;
}

bool pg_between_flagged(const struct pg_ruled *c)
{
	enum { NONBLOCK = 2 };

	return pg_between_flags(c) & NONBLOCK;
}

static size_t size_of_offset(const struct pg_ruled *c)
{
	return c->short_offset ? 4 : 8;
}

bool pg_between_offset(const struct pg_ruled *c, unsigned at, int64_t *offset, int64_t **by)
{
	*by = c->op.arg[at] ? offset : NULL;
	*offset = 0;
	return !c->op.arg[at] || pg_bytes_read(pg_tracee_by(c->of), (uintptr_t)c->op.arg[at],
					       offset, size_of_offset(c));
}

bool pg_between_put_offset(const struct pg_ruled *c, unsigned at, const int64_t *by)
{
	return !by ||
	       pg_bytes_write(pg_tracee_by(c->of), (uintptr_t)c->op.arg[at], by, size_of_offset(c));
}

int pg_between_source(struct pg_ruled *c)
{
	int number = (int)c->op.arg[pg_call_raw_layout(c->op.call)->source], got;

	if (c->source >= 0)
		return c->source;
	got = pg_thing_copy(c->of, c->tid, number);
	if (got >= 0)
		c->source = got;
	return got;
}

/* The two ends of a call. */
struct ends {
	int source, flags; /* FLAGS: of where it goes to */
	struct stat in, out;
	bool from_pipe, to_pipe;
};

static bool is_same(const struct ends *e)
{
	return e->in.st_dev == e->out.st_dev && e->in.st_ino == e->out.st_ino;
}

static bool is_seekable(int fd)
{
	return lseek(fd, 0, SEEK_CUR) >= 0;
}

/* How many bytes C asks for, in the kernel's word. */
static uint64_t asked(const struct pg_ruled *c)
{
	return (uint64_t)c->op.arg[pg_call_raw_layout(c->op.call)->len];
}

/* Argument AT is no place in FD, or there are no MOST bytes behind it that have an offset. */
static bool is_nowhere(const struct pg_ruled *c, unsigned at, int fd, uint64_t most)
{
	int64_t offset, *by;

	if (!pg_between_offset(c, at, &offset, &by) || (by && (offset < 0 || !is_seekable(fd))))
		return true;
	if (!by)
		offset = lseek(fd, 0, SEEK_CUR);
	return asked(c) > most - (offset > 0 ? (uint64_t)offset : 0);
}

/* The same of an end of a splice: a pipe has none. */
static bool splice_is_nowhere(const struct pg_ruled *c, unsigned at, int fd, bool pipe)
{
	return pipe ? c->op.arg[at] != 0 : is_nowhere(c, at, fd, INT64_MAX);
}

static bool splice_unfit(const struct pg_ruled *c, const struct ends *e)
{
	if (!e->from_pipe && !e->to_pipe)
		return true;
	if (e->from_pipe && e->to_pipe && is_same(e))
		return true;
	if (!e->to_pipe && e->flags & O_APPEND)
		return true;
	return splice_is_nowhere(c, 1, e->source, e->from_pipe) ||
	       splice_is_nowhere(c, 3, c->copy, e->to_pipe);
}

static bool sendfile_unfit(const struct pg_ruled *c, const struct ends *e)
{
	if (!e->to_pipe && (e->flags & O_APPEND || !is_seekable(e->source)))
		return true;
	return is_nowhere(c, 2, e->source, INT64_MAX);
}

static bool copy_unfit(const struct pg_ruled *c, const struct ends *e)
{
	return !S_ISREG(e->in.st_mode) || e->flags & O_APPEND || (uint32_t)c->op.arg[5] ||
	       is_nowhere(c, 1, e->source, UINT64_MAX) || is_nowhere(c, 3, c->copy, UINT64_MAX);
}

static bool ends_unfit(const struct pg_ruled *c, const struct ends *e)
{
	switch (pg_calls[c->op.call].args) {
	case PG_ARGS_TEE:
		return !e->from_pipe || !e->to_pipe || is_same(e);
	case PG_ARGS_FILE:
		return sendfile_unfit(c, e);
	default:
		return pg_call_is(c->op.call, PG_CALL_IS_FILES) ? copy_unfit(c, e)
								: splice_unfit(c, e);
	}
}

static bool look(const struct pg_ruled *c, struct ends *e)
{
	long flags = pg_sys3(SYS_fcntl, e->source, F_GETFL, 0);

	if (flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return false;
	e->flags = (int)pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0);
	if (fstat(e->source, &e->in) || fstat(c->copy, &e->out))
		return false;
	e->from_pipe = S_ISFIFO(e->in.st_mode);
	e->to_pipe = S_ISFIFO(e->out.st_mode);
	return true;
}

/* What no descriptor is left here to look at is fit. */
bool pg_between_unfit(struct pg_ruled *c)
{
	struct ends e = {.source = pg_between_source(c)};

	if (e.source < 0)
		return e.source != -EMFILE && e.source != -ENFILE;
	return !look(c, &e) || ends_unfit(c, &e);
}

/* ---- how the kernel would move them ---- */

/* The arguments that may point to offsets. */
static const unsigned *offsets_of(const struct pg_ruled *c)
{
	static const unsigned none[] = {0, 0}, one[] = {2, 0}, two[] = {1, 3};

	switch (pg_calls[c->op.call].args) {
	case PG_ARGS_FILE:
		return one;
	case PG_ARGS_SPLICE:
		return two;
	default:
		return none;
	}
}

bool pg_between_can(struct pg_ruled *c)
{
	const unsigned *at = offsets_of(c);
	int source = pg_between_source(c);

	for (unsigned i = 0; i < 2; i++)
		if (at[i] && c->op.arg[at[i]] &&
		    !pg_memory_takes(c->of, (uintptr_t)c->op.arg[at[i]], size_of_offset(c)))
			return false;
	return source >= 0 && pg_thing_is_impartial(source);
}

bool pg_between_is_pipe(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode);
}

static bool is_nonblocking(int fd)
{
	return (pg_sys3(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK) != 0;
}

/* Of sockets those of the unix family alone ask what a pipe does. */
static bool is_unix(int fd)
{
	int domain = 0;
	socklen_t n = sizeof domain;

	return !pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) &&
	       domain == AF_UNIX;
}

/* A pipe's end does what the flags say, and O_NONBLOCK; of two pipes, that of either. Any other end
 * does what its own O_NONBLOCK says. */
bool pg_between_waits(const struct pg_ruled *c)
{
	bool from_pipe = pg_between_is_pipe(c->source), to_pipe = c->object.kind == PG_PIPE;
	bool source = is_nonblocking(c->source), target = is_nonblocking(c->copy);
	bool flag = pg_between_flagged(c), of_source;

	if (pg_calls[c->op.call].args == PG_ARGS_FILE)
		return !target;
	if (from_pipe && to_pipe)
		return !flag && !source && !target;
	if (from_pipe) {
		of_source = !pg_poll_now(c->source, POLLIN);
		return of_source ? !flag && !source : !target;
	}
	of_source = pg_poll_now(c->copy, POLLOUT) != 0;
	if (of_source && !is_unix(c->source))
		return !source;
	return !flag && !target && !(of_source && source);
}
