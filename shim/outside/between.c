/* SPDX-License-Identifier: MIT */
#include "outside/between.h"

#include "outside/bytes.h"
#include "outside/thing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool pg_between(const struct pg_ruled *c)
{
	return pg_call_raw_layout(c->op.call)->source >= 0;
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

void pg_between_put_offset(const struct pg_ruled *c, unsigned at, const int64_t *by)
{
	if (by)
		pg_bytes_write(pg_tracee_by(c->of), (uintptr_t)c->op.arg[at], by,
			       size_of_offset(c));
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

/* Argument AT is no place in FD. */
static bool is_nowhere(const struct pg_ruled *c, unsigned at, int fd)
{
	int64_t offset, *by;

	return !pg_between_offset(c, at, &offset, &by) || (by && (offset < 0 || !is_seekable(fd)));
}

static bool splice_unfit(const struct pg_ruled *c, const struct ends *e)
{
	if (!e->from_pipe && !e->to_pipe)
		return true;
	if (e->from_pipe && e->to_pipe && is_same(e))
		return true;
	if (!e->to_pipe && e->flags & O_APPEND)
		return true;
	return is_nowhere(c, 1, e->source) || is_nowhere(c, 3, c->copy);
}

static bool sendfile_unfit(const struct pg_ruled *c, const struct ends *e)
{
	if (!e->to_pipe && (e->flags & O_APPEND || !is_seekable(e->source)))
		return true;
	return is_nowhere(c, 2, e->source);
}

static bool copy_unfit(const struct pg_ruled *c, const struct ends *e)
{
	return !S_ISREG(e->in.st_mode) || e->flags & O_APPEND || (uint32_t)c->op.arg[5] ||
	       is_nowhere(c, 1, e->source) || is_nowhere(c, 3, c->copy);
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
bool pg_between_unfit(const struct pg_ruled *c)
{
	int number = (int)c->op.arg[pg_call_raw_layout(c->op.call)->source];
	struct ends e = {.source = pg_thing_copy(c->of, c->tid, number)};
	bool unfit;

	if (e.source < 0)
		return e.source != -EMFILE && e.source != -ENFILE;
	unfit = !look(c, &e) || ends_unfit(c, &e);
	pg_sys1(SYS_close, e.source);
	return unfit;
}
