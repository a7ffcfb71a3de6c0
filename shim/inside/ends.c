/* SPDX-License-Identifier: MIT */
#include "inside/ends.h"

#include "base/process.h"
#include "inside/leave.h"
#include "inside/passed.h"
#include "inside/report.h"
#include "inside/spare.h"
#include "log/line.h"
#include "log/log.h"
#include "log/room.h"
#include "log/site.h"
#include "rules/config.h"
#include "rules/live.h"
#include "rules/counts.h"
#include "rules/turn.h"

#include <errno.h>

PG_START_DATA bool pg_watch_all;
PG_START_DATA bool pg_started;
PG_START_DATA uint64_t pg_early;

static bool lines_missing(void)
{
	struct pg_log_missing missing = pg_log_missing();

	return missing.dropped || missing.limited;
}

/* Rules of a tree that fired nowhere, where its first process ends and no counts are logged. */
static uint64_t idle_rules(void)
{
	unsigned n = pg_config.rules && !pg_page() ? pg_first_rules.n : 0;

	if (!n || pg_config.verbose || pg_config.log_kind == PG_LOG_OFF)
		return 0;
	return pg_endings_idle(~(uint64_t)0 >> (64 - n), pg_pid());
}

bool pg_guard_has_last_word(void)
{
	bool any = pg_config.verbose >= 1 || pg_early || lines_missing();

	if (!pg_started || !pg_config.active || pg_confined ||
	    (!any && !pg_site_any() && !pg_passed_any() &&
	     !(pg_config.rules && pg_first_rules.n && pg_has_endings())) ||
	    pg_process_is_vforked()) /* last: it may ask the kernel */
		return false;
	return any || pg_site_held_back(pg_pid()) || pg_passed_rules() || idle_rules();
}

void pg_guard_exit(void)
{
	static int logged; /* the process whose last word was said */
	int saved = errno, pid;
	struct pg_rule_set *before;
	struct pg_room *s;

	if (!pg_guard_has_last_word())
		return;
	pid = pg_pid();
	if (PG_GET(logged) == pid || !(s = pg_room_take()))
		return;
	PG_PUT(logged, pid);
	__builtin_memset(&s->event, 0, sizeof s->event);
	s->event.ev = PG_EV_EXIT;
	s->event.pid = pid;
	s->event.exit.early = pg_early;
	s->event.exit.uncounted = pg_counts_missed();
	pg_site_collect(&s->event);
	s->event.exit.passed = pg_passed_rules();
	s->event.exit.idle = s->event.exit.passed ? 0 : idle_rules();
	before = pg_live_enter();
	for (unsigned i = 0; i < pg_rules.n; i++)
		s->event.exit.counts[i] = pg_turn_fired(i);
	pg_event_write(s);
	pg_live_leave(before);
	pg_room_give(s);
	errno = saved;
}

static void dies(void)
{
	pg_guard_exit();
	pg_leave_all(PG_HOW_KILLED, SIGPIPE);
}

static void on_broken(const struct pg_op *op, enum pg_signal signal)
{
	pg_report(PG_EV_EPIPE, op, signal);
}

void pg_guard_start(const char *gates)
{
	static const struct pg_sigpipe_calls calls = {pg_spared, on_broken, pg_report_killed, dies};
	enum pg_state state = pg_sigpipe_start(&calls);

	pg_report_start(state);
	pg_watch_all = pg_config.verbose > 1;
	if (pg_config.verbose >= 1)
		pg_sigpipe_changed = pg_report_change;
	pg_started = true;
	if (pg_config.verbose >= 1)
		pg_report_load(gates, state);
}
