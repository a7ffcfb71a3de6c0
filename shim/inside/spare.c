/* SPDX-License-Identifier: MIT */
#include "inside/spare.h"

#include "inside/report.h"
#include "object/look.h"
#include "rules/config.h"

#include <sys/stat.h>

/* One more signal on this descriptor's object; false once the limit is reached: a program that
 * ignores errors must end. */
static bool within_limit(int fd, const struct pg_stat *st)
{
	static uint32_t untracked;
	struct pg_story *story = pg_fd_story(fd, st, true);
	uint32_t before = story ? pg_story_suppress(story)
				: __atomic_fetch_add(&untracked, 1, __ATOMIC_RELAXED);

	return before < pg_config.limit;
}

bool pg_spares(const struct pg_op *op)
{
	bool sockets = pg_config.suppress == PG_SUPPRESS_SOCKETS;
	bool ruled = op->marked && pg_mark & PG_MARK_NOSIGNAL;
	struct pg_stat st = {.ino = 0};

	if (!ruled && pg_config.suppress == PG_KEEP)
		return false;
	if (!pg_confined)
		st = pg_look_stat(op->fd);
	if (!ruled && sockets && !S_ISSOCK(st.mode))
		return false;
	return within_limit(op->fd, &st);
}

/* Of a write that would kill: taken away, and logged? */
bool pg_spared(const struct pg_op *op)
{
	if (!pg_spares(op))
		return false;
	if (op->call)
		pg_report(PG_EV_EPIPE, op, PG_SIG_SUPPRESSED);
	return true;
}
