/* SPDX-License-Identifier: MIT */
#include "outside/ruled.h"

#include "outside/act.h"
#include "outside/carry.h"
#include "outside/frames.h"
#include "outside/made.h"
#include "outside/seen.h"
#include "outside/report.h"
#include "outside/thing.h"
#include "outside/waiting.h"

#include "base/clock.h"
#include "fault/fault.h"
#include "rules/live.h"
#include "rules/match.h"
#include "rules/turn.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void pg_ruled_let_go(struct pg_ruled *c)
{
	if (c->copy >= 0)
		close(c->copy);
	if (c->source >= 0)
		close(c->source);
	c->copy = c->source = -1;
}

/* What a stopped, or a parked, call comes to when it comes again. */
static void park(struct pg_ruled *c)
{
	c->way->answer(c, -PG_AGAIN);
	c->parked = true;
	pg_wait(c);
}

static void act(struct pg_ruled *c)
{
	if (c->plan.fires && pg_act_halt(c)) {
		c->plan.stop = c->plan.abort = false;
		c->stage = PG_STAGE_DELAY;
		c->deadline = 1; /* at once */
		park(c);
		return;
	}
	pg_act_finish(c);
}

static void hold(struct pg_ruled *c)
{
	if (!c->plan.hold ||
	    (c->object.kind == PG_TCP ? pg_look_hung_up(c->copy) : pg_look_is_broken(c->copy))) {
		c->plan.held = c->plan.hold ? PG_HELD : PG_NOT_HELD;
		act(c);
		return;
	}
	c->stage = PG_STAGE_HOLD;
	c->events = c->object.kind == PG_TCP ? POLLRDHUP : 0;
	c->deadline = pg_now() + c->plan.hold;
	pg_wait(c);
}

static void start(struct pg_ruled *c)
{
	if (!c->plan.delay) {
		hold(c);
		return;
	}
	c->stage = PG_STAGE_DELAY;
	c->events = 0;
	c->deadline = pg_now() + c->plan.delay;
	pg_wait(c);
}

bool pg_ruled_by_stack(void)
{
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_match_asks_stack(&pg_rules.rule[i]))
			return true;
	return false;
}

/* Does a rule fit C, but for the stack that it asks for? */
static bool wants_stack(const struct pg_ruled *c)
{
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_match_asks_stack(&pg_rules.rule[i]) &&
		    pg_match_calls(&pg_rules.rule[i]) & c->op.bits && pg_match_but_stack(i, &c->op))
			return true;
	return false;
}

/* Is C to come again, with the stack of its thread? If it cannot, there is none: that of another
 * thread may have been climbed last. */
static bool goes_for_stack(struct pg_ruled *c)
{
	if (c->climbed || !wants_stack(c))
		return false;
	if (c->stage == PG_STAGE_STACK || !c->way->stop || !c->way->stop(c)) {
		pg_frames_restore(NULL);
		return false;
	}
	c->stage = PG_STAGE_STACK;
	c->deadline = 1; /* at once, when it comes */
	c->parked = true;
	pg_wait(c);
	return true;
}

void pg_ruled_stands(int tid)
{
	struct pg_ruled *c = pg_wait_for_stack(tid);
	struct pg_registers r;

	if (!c || c->frames || !pg_registers_read(tid, &r))
		return;
	pg_tracee_now = c->of;
	pg_frames_climb(c->of, tid, &r);
	c->frames = pg_frames_keep();
}

static bool is_ended(const struct pg_ruled *c)
{
	return c->reads && c->object.story && c->object.story->ended;
}

static void judge(struct pg_ruled *c)
{
	if (!pg_see_call(c)) {
		c->way->go_on(c);
		return;
	}
	if (is_ended(c)) {
		pg_fault_drain(c->copy, c->object.kind);
		pg_carry_end(c);
		return;
	}
	if (goes_for_stack(c))
		return;
	pg_plan_make(&c->plan, &c->op);
	if (c->plan.fires && c->plan.logs)
		pg_see_all(c);
	c->nonblock = c->plan.fires || pg_rules.streams[c->reads] ? pg_see_nonblock(c) : false;
	if (!c->plan.fires && !pg_carries(c))
		c->way->go_on(c);
	else
		start(c);
}

/* The rows of calls.def that the system call behind CALL may have been made by. */
static uint64_t rows_of(enum pg_call call)
{
	static uint64_t known[PG_CALL_COUNT];

	if (!known[call])
		known[call] = pg_calls_alike(call);
	return known[call];
}

static enum pg_call call_of(const struct pg_ruled *c, uint64_t *bits)
{
	enum pg_call call = pg_call_made_raw(c->number, c->op.arg);

	*bits = pg_call_is(call, PG_CALL_IS_RAW) ? rows_of(call) : PG_BIT(call);
	return call;
}

/* Asks R nothing of what is behind the descriptor? */
static bool is_blind(const struct pg_rule *r)
{
	const uint64_t fields = PG_FIELD(FD) | PG_FIELD(WHEN) | PG_FIELD(LIMIT) | PG_FIELD(PROB) |
				PG_FIELD(AFTER) | PG_FIELD(FOR) | PG_FIELD(COMM);

	return !(r->fields & ~(fields | pg_fields_with(PG_IS_ACTION))) && r->able == PG_KINDS_ANY;
}

/* The calls all of whose rules are so: plain ones, that the kernel refuses for no object. */
static uint64_t blind_calls(void)
{
	static uint64_t calls;
	static uint32_t generation;
	static bool known;

	if (known && generation == pg_rules.generation)
		return calls;
	known = true;
	generation = pg_rules.generation;
	calls = PG_BIT(PG_CALL_write) | PG_BIT(PG_CALL_read);
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (!is_blind(&pg_rules.rule[i]))
			calls &= ~pg_match_calls(&pg_rules.rule[i]);
	return calls;
}

/* Is it for no rule that watches C its turn, and nothing else to be asked? Then C is counted. What
 * a closed descriptor would refuse counts, too. */
static bool only_counts(const struct pg_ruled *c)
{
	static const struct pg_object any = {.ino = 1, .rule = -1};
	struct pg_op op = {
		.object = &any, .fd = (int)c->op.arg[0], .bits = c->op.bits, .bytes = -1};
	bool idle;

	if (!(blind_calls() & PG_BIT(c->op.call)) || !pg_see_byte(c->of, (uintptr_t)c->op.arg[1]))
		return false;
	pg_counts_take(pg_tracee_counts(c->of));
	idle = pg_turn_idle(&op);
	pg_counts_put_back(pg_tracee_counts(c->of));
	return idle;
}

/* Of what it asks about, the answers are known. */
static bool counts_now(struct pg_ruled *c)
{
	c->op.call = call_of(c, &c->op.bits);
	pg_tracee_now = c->of;
	if (!c->op.call || !c->of->named || pg_wait_any())
		return false;
	if (c->of->left_out || c->of->guarded)
		return true;
	return pg_see_known_byte(c->of, (uintptr_t)c->op.arg[1]) && only_counts(c);
}

bool pg_ruled_counts(struct pg_ruled *c)
{
	struct pg_rule_set *before = pg_live_enter();
	bool counts = counts_now(c);

	pg_live_leave(before);
	return counts;
}

static void come_now(const struct pg_ruled *come)
{
	struct pg_ruled c = *come;

	if (pg_wait_is_over(come))
		return; /* it goes on in the next step */
	c.op.call = call_of(&c, &c.op.bits);
	c.reads = !pg_is_out(c.op.call) && !pg_connects(c.op.call);
	pg_tracee_now = c.of;
	pg_tracee_name(c.of);
	if (!c.op.call || c.of->left_out || c.of->guarded || only_counts(&c)) {
		c.way->go_on(&c);
		return;
	}
	pg_report_held(c.of);
	c.op.fd = (int)c.op.arg[pg_call_raw_layout(c.op.call)->fd];
	c.copy = pg_thing_copy(c.of, c.tid, c.op.fd);
	if (c.copy < 0) { /* the kernel says what is wrong with it */
		if (c.copy == -EPERM)
			pg_report_closed(c.of);
		c.way->go_on(&c);
		return;
	}
	pg_counts_take(pg_tracee_counts(c.of));
	judge(&c);
	pg_counts_put_back(pg_tracee_counts(c.of));
	pg_ruled_let_go(&c);
}

void pg_ruled_come(const struct pg_ruled *come)
{
	struct pg_rule_set *before = pg_live_enter();

	come_now(come);
	pg_live_leave(before);
}

/* C's number is another object's by now. */
static void leave_alone(struct pg_ruled *c)
{
	c->plan.held = PG_NOT_HELD;
	c->plan.failed = c->plan.final ? EBADF : 0;
	pg_made_log(c);
	c->way->go_on(c);
}

/* The copy that C gave up while it waited; false: C waits for a descriptor, or its number is
 * another object's by now. */
static bool has_copy_again(struct pg_ruled *c, uint64_t now)
{
	const uint64_t soon = 10000000; /* ns */

	c->copy = pg_thing_copy(c->of, c->tid, c->op.fd);
	c->op.copy = c->copy > 0 ? c->copy : 0;
	if (c->copy == -EMFILE || c->copy == -ENFILE) {
		c->again = now + soon;
		if (c->deadline && c->deadline < c->again)
			c->deadline = c->again;
		pg_wait(c);
		return false;
	}
	if (pg_thing_is(&c->object, c->copy))
		return true;
	if (c->stage == PG_STAGE_MOVE && !c->then_breaks)
		c->plan.logs = false; /* that was done before it moved */
	leave_alone(c);
	return false;
}

/* The same of one that was kept meanwhile. True, too, where there is no descriptor to ask with. */
static bool is_still(const struct pg_ruled *c)
{
	int now = pg_thing_copy(c->of, c->tid, c->op.fd);
	bool same = now == -EMFILE || now == -ENFILE || pg_thing_is(&c->object, now);

	if (now >= 0)
		close(now);
	return same;
}

static void end_hold(struct pg_ruled *c, uint64_t now)
{
	bool in_vain = now >= c->deadline && !pg_wait_has_come(c);

	if (now < c->deadline && !pg_wait_has_come(c)) { /* it had been parked */
		pg_wait(c);
		return;
	}
	if (!is_still(c)) {
		leave_alone(c);
		return;
	}
	c->plan.held = in_vain ? PG_HELD_IN_VAIN : PG_HELD;
	act(c);
}

/* With the stack of its thread; whatever its number is by now. */
static void judge_again(struct pg_ruled *c)
{
	c->copy = pg_thing_copy(c->of, c->tid, c->op.fd);
	if (c->copy < 0) {
		c->way->go_on(c);
		return;
	}
	c->climbed = c->frames != NULL;
	pg_frames_restore(c->frames);
	c->frames = NULL;
	judge(c);
}

/* C moves no more: it returns what it moved, or RET. */
static void leave_off(struct pg_ruled *c, int64_t ret)
{
	pg_carry_count(c, c->done);
	if (c->done)
		pg_carry_answer(c);
	else
		c->way->answer(c, ret);
}

static bool asks_object(const struct pg_ruled *c)
{
	return c->stage != PG_STAGE_STALL && c->stage != PG_STAGE_STACK;
}

/* C, which is in nobody's list any more. */
static void go_on_from(struct pg_ruled *c, uint64_t now)
{
	c->again = 0;
	if (c->copy < 0 && asks_object(c) && !has_copy_again(c, now))
		return;
	switch (c->stage) {
	case PG_STAGE_DELAY:
		hold(c);
		return;
	case PG_STAGE_HOLD:
		end_hold(c, now);
		return;
	case PG_STAGE_FLUSH:
		if (is_still(c))
			pg_act_finish(c);
		else
			leave_alone(c);
		return;
	case PG_STAGE_STALL:
		c->way->answer(c, -EAGAIN);
		return;
	case PG_STAGE_STACK:
		judge_again(c);
		return;
	case PG_STAGE_MOVE:
		if (now >= c->deadline && c->deadline) {
			leave_off(c, -EAGAIN);
		} else if (!pg_carry_on(c)) {
			pg_wait(c);
		}
		return;
	}
}

/* Its thread is let go to the signal. */
static void interrupt(struct pg_ruled *c, uint64_t now)
{
	bool waits = c->stage == PG_STAGE_STALL || c->stage == PG_STAGE_MOVE;

	(void)now;
	if (c->stage == PG_STAGE_MOVE && c->done) {
		leave_off(c, 0);
		return;
	}
	if (waits && c->deadline) { /* a socket's time is not made longer */
		c->way->answer(c, -EINTR);
		return;
	}
	c->way->answer(c, waits ? -PG_AGAIN_BY_HANDLER : -PG_AGAIN);
	c->parked = true;
	c->told = waits;
	pg_wait(c);
}

void pg_ruled_step(void)
{
	struct pg_rule_set *before;

	if (!pg_wait_any())
		return;
	before = pg_live_enter();
	pg_wait_step(go_on_from, interrupt);
	pg_live_leave(before);
}

void pg_ruled_stops(int pid)
{
	struct pg_rule_set *before = pg_live_enter();

	pg_wait_stops(pid, interrupt);
	pg_live_leave(before);
}
