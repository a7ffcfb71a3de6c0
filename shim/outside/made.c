/* SPDX-License-Identifier: MIT */
#include "outside/made.h"

#include "outside/place.h"
#include "outside/sets.h"
#include "outside/stories.h"
#include "outside/report.h"
#include "outside/thing.h"

#include "fault/fault.h"
#include "log/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct pg_event *pg_made_event(const struct pg_ruled *c, enum pg_ev ev)
{
	struct pg_event *e = pg_report_room(ev, c->of);

	e->op = &c->op;
	e->object = c->object;
	return e;
}

void pg_made_log(struct pg_ruled *c)
{
	struct pg_event *e;
	struct pg_place *first;

	if (!c->plan.logs)
		return;
	e = pg_made_event(c, PG_EV_INJECT);
	e->plan = &c->plan;
	c->of->logged = true;
	if (c->climbed)
		pg_report_stack(e);
	if (pg_site_count(e, (uintptr_t)e->hash, &first))
		pg_report_event(c->of, c->tid, e);
	if (first)
		pg_site_describe(first, e, 0);
}

static struct pg_ruled *placed; /* whose number is worked on */

static bool has_cloexec(const struct pg_ruled *c)
{
	char path[64], line[128];
	unsigned flags = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", c->tid, c->op.fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	if (f)
		fclose(f);
	return flags & O_CLOEXEC;
}

static int place(int from)
{
	long flags = pg_sys3(SYS_fcntl, placed->copy, F_GETFL, 0);
	struct pg_stat st;
	int ret, new;

	pg_sys3(SYS_fcntl, from, F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	ret = placed->way->place(placed, from, has_cloexec(placed));
	new = ret < 0 ? ret : pg_thing_copy(placed->of, placed->tid, placed->op.fd);
	if (new < 0)
		return ret < 0 ? ret : 0;
	pg_sets_replace(placed->of, placed->op.fd, placed->copy, new);
	if (placed->object.story && !pg_fstat(new, &st))
		pg_stories_also(placed->object.story, &st);
	close(new);
	return 0;
}

void pg_made_remember(struct pg_ruled *c)
{
	struct pg_story *s = c->object.story;

	if (!s)
		return;
	pg_story_broken(s, (int32_t)c->plan.rule);
	s->peer = c->object.peer;
	s->local = c->object.local;
	s->side = (uint8_t)c->object.side;
}

static int make(struct pg_ruled *c)
{
	enum pg_kind kind = c->object.kind;
	int waits = -1, ret;

	if (kind == PG_PIPE && (pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0) & O_ACCMODE) == O_RDWR)
		return -EOPNOTSUPP;
	switch (c->plan.final->terminal) {
	case PG_F_RESET:
		ret = pg_fault_reset(c->copy, kind, !c->reads && !c->way->pipes_only, &waits);
		pg_fault_wake(waits);
		return ret;
	case PG_F_BREAK:
		return pg_fault_break(c->copy, kind);
	case PG_F_FIN:
		return pg_fault_fin(c->copy);
	case PG_F_LINGER:
		return pg_fault_linger(c->copy);
	default:
		return pg_fault_eof(c->copy, kind);
	}
}

void pg_send(const struct pg_ruled *c, int sig)
{
	pg_sys3(SYS_tgkill, c->of->pid, c->tid, sig);
}

bool pg_blocks(const struct pg_ruled *c, int sig)
{
	return pg_tracee_masked(c->tid, "SigBlk:", sig);
}

void pg_make_for(struct pg_ruled *c)
{
	placed = c;
	pg_place_by(c ? place : NULL);
}

int pg_make(struct pg_ruled *c)
{
	int ret;

	pg_make_for(c);
	ret = make(c);
	pg_make_for(NULL);
	return ret;
}
