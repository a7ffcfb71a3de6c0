/* SPDX-License-Identifier: MIT */
#include "outside/waiting.h"

#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static struct pg_ruled *waiting;

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
	if (c->plan.final) {
		kept->final = *c->plan.final;
		kept->plan.final = &kept->final;
	}
	kept->next = waiting;
	waiting = kept;
	c->copy = -1; /* it is KEPT's */
}

static void drop(struct pg_ruled **at)
{
	struct pg_ruled *c = *at;

	*at = c->next;
	if (c->copy >= 0)
		close(c->copy);
	free(c);
}

bool pg_wait_is_over(const struct pg_ruled *come)
{
	for (struct pg_ruled **at = &waiting; *at; at = &(*at)->next) {
		struct pg_ruled *c = *at;

		if (c->tid != come->tid || !c->parked)
			continue;
		if (c->number != come->number) {
			drop(at); /* its program was told of the signal instead */
			return false;
		}
		c->id = come->id;
		c->parked = false;
		return true;
	}
	return false;
}

unsigned pg_wait_poll(struct pollfd *p, unsigned most, uint64_t *until)
{
	enum { LOOK = 20000000 }; /* ns: whether a signal waits is asked so often */
	unsigned n = 0;
	uint64_t at = waiting ? pg_now() + LOOK : 0;

	for (const struct pg_ruled *c = waiting; c; c = c->next) {
		if (!c->parked && c->deadline && c->deadline < at)
			at = c->deadline;
		if (!c->parked && n < most &&
		    (c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_MOVE))
			p[n++] = (struct pollfd){.fd = c->copy, .events = c->events};
	}
	if (at && (!*until || at < *until))
		*until = at;
	return n;
}

bool pg_wait_has_come(const struct pg_ruled *c)
{
	struct pollfd p = {.fd = c->copy, .events = c->events};

	return poll(&p, 1, 0) == 1;
}

static bool is_due(const struct pg_ruled *c, uint64_t now)
{
	if (c->deadline && now >= c->deadline)
		return true;
	return (c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_MOVE) && pg_wait_has_come(c);
}

/* Takes C out of the list and lets it go on; it may come in again. */
static void take(struct pg_ruled **at, pg_wait_fn *fn, uint64_t now)
{
	struct pg_ruled c = **at, *old = *at;

	*at = old->next;
	free(old);
	c.op.object = &c.object;
	if (c.plan.final)
		c.plan.final = &c.final;
	pg_tracee_now = c.of;
	pg_counts_take(pg_tracee_counts(c.of));
	fn(&c, now);
	pg_counts_put_back(pg_tracee_counts(c.of));
	if (c.copy >= 0)
		close(c.copy);
}

void pg_wait_step(pg_wait_fn *go_on, pg_wait_fn *interrupt)
{
	uint64_t now = waiting ? pg_now() : 0;
	struct pg_ruled **at = &waiting;
	unsigned steps = 0;

	while (*at && steps++ < 4096) {
		struct pg_ruled *c = *at;

		if (c->parked)
			at = &c->next;
		else if (!c->way->stands(c))
			drop(at);
		else if (is_due(c, now))
			take(at, go_on, now);
		else if (pg_tracee_is_signalled(c->tid))
			take(at, interrupt, now);
		else
			at = &c->next;
	}
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
