/* SPDX-License-Identifier: MIT */
#include "outside/act.h"

#include "outside/carry.h"
#include "outside/made.h"
#include "outside/move.h"
#include "outside/owed.h"
#include "outside/seen.h"
#include "outside/report.h"
#include "outside/waiting.h"

#include "base/clock.h"
#include "fault/fault.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

static bool is_broken(const struct pg_ruled *c)
{
	return c->plan.final->terminal != PG_F_EOF && pg_look_is_broken(c->copy);
}

/* As pg_fault_flush(), but not here: who is to take what was sent may wait for an answer of this
 * process. True: C waits. */
static bool flushes(struct pg_ruled *c)
{
	const uint64_t step = PG_FLUSH_STEP, idle = step * PG_FLUSH_IDLE, most = step * PG_FLUSH;
	bool resets = c->plan.final->terminal == PG_F_RESET && c->object.kind == PG_TCP;
	int queued = resets ? pg_fault_queued(c->copy) : 0;
	uint64_t now = queued ? pg_now() : 0;

	if (!queued)
		return false;
	c->flushing = c->flushing ? c->flushing : now;
	if (c->queued != queued)
		c->deadline = now + idle < c->flushing + most ? now + idle : c->flushing + most;
	if (c->stage == PG_STAGE_FLUSH && now >= c->deadline)
		return false;
	c->queued = queued;
	c->stage = PG_STAGE_FLUSH;
	c->again = now + step;
	pg_wait(c);
	return true;
}

static void change(struct pg_ruled *c)
{
	bool ends = c->plan.final->terminal == PG_F_EOF;
	int ret;

	if (is_broken(c)) {
		c->plan.already = true;
		pg_made_log(c);
		c->way->go_on(c);
		return;
	}
	if (flushes(c))
		return;
	ret = pg_make(c);
	if (!ret && c->plan.final->terminal == PG_F_LINGER)
		pg_story_lingers(c->object.story);
	else if (!ret)
		pg_made_remember(c);
	c->plan.failed = -ret;
	pg_made_log(c);
	if (ret || !ends || c->object.kind == PG_PIPE || !c->reads) {
		c->way->go_on(c);
		return;
	}
	pg_story_ended(c->object.story);
	pg_carry_end(c);
}

/* An EPIPE that the kernel does not make: its signal comes from here, and where none can come the
 * event is logged at once. */
static void fail_broken(struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	int flags = l->flags >= 0 ? (int)c->op.arg[l->flags] : 0;
	bool signals = pg_plan_raises(c->op.call, flags, &c->object);
	struct pg_event *e;

	if (signals && !pg_blocks(c, SIGPIPE)) {
		pg_owe(c->tid, (int)c->plan.rule);
		pg_send(c, SIGPIPE);
		return;
	}
	c->op.ret = -1;
	c->op.err = EPIPE;
	e = pg_made_event(c, PG_EV_EPIPE);
	e->signal = signals ? PG_SIG_BLOCKED : PG_SIG_NONE;
	e->object.rule = (int)c->plan.rule;
	pg_report_event(c->of, c->tid, e);
}

static void fail(struct pg_ruled *c)
{
	int err = c->plan.final->error;

	pg_made_log(c);
	if (err == EPIPE && pg_is_out(c->op.call)) {
		if (c->object.kind == PG_PIPE && !c->op.bytes) {
			c->way->go_on(c);
			return;
		}
		fail_broken(c);
	}
	c->way->answer(c, -err);
}

/* NS: at most; 0: for ever. */
static void wait_in_vain(struct pg_ruled *c, uint64_t ns)
{
	c->stage = PG_STAGE_STALL;
	c->events = 0;
	c->deadline = ns ? pg_now() + ns : 0;
	pg_wait(c);
}

static void misconnect(struct pg_ruled *c)
{
	bool hangs = c->plan.final->terminal == PG_F_STALL;
	struct sockaddr_storage ss;
	int got;

	if (!pg_see_address(c, &ss)) {
		c->way->go_on(c);
		return;
	}
	if (hangs && !c->nonblock && !pg_fault_is_up(c->copy)) {
		pg_made_remember(c);
		pg_made_log(c);
		wait_in_vain(c, 0);
		return;
	}
	got = hangs ? pg_fault_hang(c->copy, &ss) : pg_fault_refuse(c->copy, &ss);
	if (got == -EAFNOSUPPORT)
		got = hangs ? -ETIMEDOUT : -ECONNREFUSED;
	pg_made_remember(c);
	pg_made_log(c);
	c->way->answer(c, got);
}

static void stall(struct pg_ruled *c)
{
	uint64_t ns = pg_patience(c);

	pg_made_log(c);
	if (c->reads && pg_moves(c->op.call) &&
	    (pg_kind_is_socket(c->object.kind) || c->nonblock)) {
		pg_make_for(c);
		pg_fault_silence(c->copy, c->object.kind);
		pg_make_for(NULL);
	}
	if (c->nonblock) {
		c->way->answer(c, -EAGAIN);
		return;
	}
	wait_in_vain(c, ns);
}

/* A signal that stops it, or ends it with a core: here, before the call. */
bool pg_act_halt(struct pg_ruled *c)
{
	if (c->plan.nosignal)
		pg_take_away(c->tid);
	if (!c->plan.stop && !c->plan.abort)
		return false;
	pg_made_log(c);
	c->plan.logs = false;
	if (c->plan.abort)
		pg_send(c, SIGABRT);
	if (c->plan.stop)
		pg_send(c, SIGSTOP);
	return !(c->plan.abort && pg_blocks(c, SIGABRT));
}

static void lose(struct pg_ruled *c)
{
	c->plan.lost = true;
	pg_made_log(c);
	c->done = c->op.bytes;
	pg_carry_answer(c);
}

void pg_act_finish(struct pg_ruled *c)
{
	enum pg_field what = c->plan.final ? c->plan.final->terminal : PG_F_COUNT;

	switch (what) {
	case PG_F_RESET:
	case PG_F_BREAK:
	case PG_F_FIN:
	case PG_F_EOF:
	case PG_F_LINGER:
		if (c->plan.midway && pg_move_can(c))
			pg_carry_start(c, true);
		else
			change(c);
		return;
	case PG_F_DROP:
		lose(c);
		return;
	case PG_F_REFUSE:
		misconnect(c);
		return;
	case PG_F_STALL:
		if (pg_connects(c->op.call))
			misconnect(c);
		else
			stall(c);
		return;
	case PG_F_ERROR:
		fail(c);
		return;
	default:
		break;
	}
	if ((pg_carry_cuts(c) || c->plan.garbage) && !pg_carries(c))
		c->plan.failed = EOPNOTSUPP;
	pg_made_log(c);
	if (pg_carries(c))
		pg_carry_start(c, false);
	else
		c->way->go_on(c);
}
