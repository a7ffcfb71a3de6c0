/* SPDX-License-Identifier: MIT */
#include "outside/waiting.h"

#include "outside/thing.h"

#include "base/clock.h"
#include "base/sys.h"
#include "rules/live.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct pg_ruled *waiting;

/* When those that wait are next asked whether they still do, and for signals. */
static uint64_t next_look = 1; /* never 0, which is no time */

/* Descriptors are few: what waits for its time alone takes a copy again then. */
static bool needs_copy(const struct pg_ruled *c)
{
	return c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_FLUSH || c->stage == PG_STAGE_MOVE;
}

/* There are only so many sets of them, and who waits in vain may do so for ever: all that a rule
 * said of that is done. Who comes again for its stack is judged anew. */
static bool needs_rules(const struct pg_ruled *c)
{
	return c->stage != PG_STAGE_STALL && c->stage != PG_STAGE_STACK;
}

/* KEPT has the copies of C that it needs. One that a signal took out of its call has none, as in
 * the kernel: whoever it was made on may be closed meanwhile, and the other end is to see that. */
static void divide(struct pg_ruled *c, struct pg_ruled *kept)
{
	bool has = needs_copy(c) && !c->parked, has_source = has && c->stage == PG_STAGE_MOVE;

	*(has ? &c->copy : &kept->copy) = -1;
	*(has_source ? &c->source : &kept->source) = -1;
}

void pg_wait(struct pg_ruled *c)
{
	struct pg_ruled *kept = malloc(sizeof *kept);

	if (!kept) {
		c->way->go_on(c);
		return;
	}
	*kept = *c;
	kept->climbed = false; /* by then others have come */
	kept->op.object = &kept->object;
	kept->rules = needs_rules(c) ? pg_live_keep() : NULL;
	divide(c, kept);
	kept->next = waiting;
	waiting = kept;
}

static void drop(struct pg_ruled **at)
{
	struct pg_ruled *c = *at;

	*at = c->next;
	pg_live_leave(pg_live_back(c->rules));
	pg_ruled_let_go(c);
	free(c->frames);
	free(c);
}

static bool has_words_of(const struct pg_ruled *c, const struct pg_ruled *come)
{
	return c->number == come->number && !memcmp(c->op.arg, come->op.arg, sizeof c->op.arg);
}

/* Is C's number the same object's? True, too, where there is no descriptor to ask with: C asks
 * again before it goes on. */
static bool is_there_again(struct pg_ruled *c)
{
	if (!needs_copy(c))
		return true;
	c->copy = pg_thing_copy(c->of, c->tid, c->op.fd);
	c->op.copy = c->copy > 0 ? c->copy : 0;
	return c->copy == -EMFILE || c->copy == -ENFILE || pg_thing_is(&c->object, c->copy);
}

/* A handler of the signal may make other calls before; a program that knows of the signal
 * instead may never come, so few are kept. */
bool pg_wait_is_over(const struct pg_ruled *come)
{
	enum { NESTED = 4 };
	unsigned others = 0;

	for (struct pg_ruled **at = &waiting; *at;) {
		struct pg_ruled *c = *at;

		if (c->tid == come->tid && c->parked && has_words_of(c, come)) {
			if (!is_there_again(c)) {
				drop(at);
				return false;
			}
			c->id = come->id;
			c->parked = c->told = false;
			c->again = needs_copy(c); /* at once */
			return true;
		}
		if (c->tid == come->tid && c->parked && ++others > NESTED)
			drop(at);
		else
			at = &c->next;
	}
	return false;
}

struct pg_ruled *pg_wait_for_stack(int tid)
{
	struct pg_ruled *c = waiting;

	while (c && (c->tid != tid || !c->parked || c->stage != PG_STAGE_STACK))
		c = c->next;
	return c;
}

bool pg_wait_told(int tid)
{
	struct pg_ruled *c = waiting;

	while (c && (c->tid != tid || !c->told))
		c = c->next;
	if (!c)
		return false;
	c->told = false;
	return true;
}

unsigned pg_wait_poll(struct pollfd *p, unsigned most, uint64_t *until)
{
	unsigned n = 0;
	uint64_t at = waiting ? next_look : 0;

	for (const struct pg_ruled *c = waiting; c; c = c->next) {
		if (!c->parked && c->deadline && c->deadline < at)
			at = c->deadline;
		if (!c->parked && c->again && c->again < at)
			at = c->again;
		if (!c->parked && !c->again && n < most && needs_copy(c))
			p[n++] = (struct pollfd){.fd = c->copy, .events = c->events};
	}
	if (at && (!*until || at < *until))
		*until = at;
	return n;
}

bool pg_wait_has_come(const struct pg_ruled *c)
{
	return pg_poll_now(c->copy, c->events);
}

static bool is_due(const struct pg_ruled *c, uint64_t now)
{
	if (c->deadline && now >= c->deadline)
		return true;
	if (c->again)
		return now >= c->again;
	return needs_copy(c) && pg_wait_has_come(c);
}

/* Takes C out of the list and lets it go on; it may come in again. */
static void take(struct pg_ruled **at, pg_wait_fn *fn, uint64_t now)
{
	struct pg_ruled c = **at, *old = *at;
	struct pg_rule_set *others = pg_live_back(c.rules);

	*at = old->next;
	free(old);
	c.op.object = &c.object;
	pg_tracee_now = c.of;
	c.of->by = c.tid;
	pg_counts_take(pg_tracee_counts(c.of));
	fn(&c, now);
	pg_counts_put_back(pg_tracee_counts(c.of));
	pg_live_leave(others);
	pg_ruled_let_go(&c);
}

/* What is done with one that is taken out. */
struct what {
	pg_wait_fn *go_on, *interrupt;
};

/* Takes *AT out if its time has come, its call has gone, or, as far as LOOKS, a signal waits. */
static bool take_out(struct pg_ruled **at, const struct what *what, uint64_t now, bool looks)
{
	struct pg_ruled *c = *at;
	bool due = !c->parked && is_due(c, now);

	if (c->parked || (!due && !looks))
		return false;
	if (!c->way->stands(c))
		drop(at);
	else if (due)
		take(at, what->go_on, now);
	else if (pg_tracee_is_signalled(c->tid))
		take(at, what->interrupt, now);
	else
		return false;
	return true;
}

static void step(const struct what *what, uint64_t now, bool looks)
{
	struct pg_ruled **at = &waiting;
	unsigned steps = 0;

	while (*at && steps++ < 4096)
		if (!take_out(at, what, now, looks))
			at = &(*at)->next;
}

/* Asking takes a while where many wait: a fifth of the time at the most. */
static void plan_look(uint64_t now)
{
	const uint64_t often = 20000000; /* ns */
	uint64_t took = pg_now() - now;

	next_look = now + took + (4 * took > often ? 4 * took : often);
}

void pg_wait_step(pg_wait_fn *go_on, pg_wait_fn *interrupt)
{
	const struct what what = {go_on, interrupt};
	uint64_t now = pg_now();
	bool looks = now >= next_look;

	step(&what, now, looks);
	if (looks)
		plan_look(now);
}

void pg_wait_stops(int pid, pg_wait_fn *interrupt)
{
	struct pg_ruled **at = &waiting;
	uint64_t now = pg_now();

	while (*at)
		if ((*at)->parked || (*at)->of->pid != pid)
			at = &(*at)->next;
		else
			take(at, interrupt, now);
}

void pg_wait_gone(int tid)
{
	for (struct pg_ruled **at = &waiting; *at;)
		if ((*at)->tid == tid || (*at)->of->pid == tid)
			drop(at);
		else
			at = &(*at)->next;
}

bool pg_wait_any(void)
{
	return waiting;
}
