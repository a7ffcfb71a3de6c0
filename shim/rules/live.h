/* SPDX-License-Identifier: MIT */
/*
 * Rules that change while the program runs: those of the page, parsed once for
 * each of its generations. A call that asks them holds the set it asks, for
 * so long that set stays as it is; no lock is taken, by nobody.
 */
#ifndef PG_LIVE_H
#define PG_LIVE_H

#include "rules/page.h"

/* Start-up: FRONT, the wrappers may ask the page. */
void pg_live_start(bool front);

/* From here until pg_live_leave() the rules of the page as they are now hold for this thread.
 * Without a page both do nothing. Async-signal-safe. */
struct pg_rule_set *pg_live_hold(void);
void pg_live_release(struct pg_rule_set *before);

static inline struct pg_rule_set *pg_live_enter(void)
{
	return PG_LIKELY(!pg_page()) ? NULL : pg_live_hold();
}

static inline void pg_live_leave(struct pg_rule_set *before)
{
	if (PG_UNLIKELY(before != NULL))
		pg_live_release(before);
}

/* The set that holds for this thread, for a call that outlives the asking; a null pointer: there is
 * no page, whose rules alone change. */
struct pg_rule_set *pg_live_keep(void);

/* What pg_live_keep() gave holds for this thread, until pg_live_leave(), which lets go of it. */
struct pg_rule_set *pg_live_back(struct pg_rule_set *kept);

/* Gives SET, parsed of RULES, what RULES say of it. False: they do not fit. */
bool pg_live_mark(struct pg_rule_set *set, const struct pg_page_rules *rules);

/* The calls that SET must be asked for. */
uint64_t pg_live_calls(const struct pg_rule_set *set);

#endif
