/* SPDX-License-Identifier: MIT */
#include "rules/turn.h"

#include "base/clock.h"
#include "base/process.h"
#include "object/ending.h"
#include "rules/counts.h"
#include "rules/page.h"

#include <errno.h>

/* Calls that move several messages, which meet the rules one by one. */
static const uint64_t several = 0
#define CALL(name, twin, kernel, role, args, ...)                                                  \
	| (uint64_t)(PG_ARGS_##args == PG_ARGS_MESSAGES) << PG_CALL_##name % 64
#include "calls.def"
#undef CALL
	;

void pg_turn_start(void)
{
	pg_match_prepare(&pg_rules);
	pg_counts_start();
}

/* One more. Returns how many; 0: it cannot be counted. */
static uint64_t count_scope(unsigned n, const struct pg_op *op, bool fired)
{
	return pg_count_add(pg_count_of(n, op, fired), 1);
}

/* The N-th draw of rule RULE: the same for the same seed, whatever else the program does. */
static bool drawn(const struct pg_rule *r, unsigned rule, uint64_t n)
{
	uint64_t h = pg_mix(pg_mix(pg_mix(0x2545f4914f6cdd1du, pg_config.seed), rule + 1), n);

	return (pg_mix(h, h >> 32) >> 32) < r->prob;
}

uint64_t pg_turn_count(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (pg_has(r, PG_F_AT) && op->offset < r->at)
		return 0;
	return count_scope(n, op, false);
}

/* The clock is asked only where the rule asks. */
static bool in_time(const struct pg_rule *r)
{
	uint64_t since = r->after || r->during ? pg_now() - pg_config.start : 0;

	return since >= r->after && (!r->during || since < r->after + r->during);
}

/* Is it rule N's turn, as it counts this call as its COUNT-th? */
static bool is_turn(unsigned n, uint64_t count)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (count < r->first || count > r->last || (count - r->first) % r->step || !in_time(r))
		return false;
	return !pg_has(r, PG_F_PROB) || drawn(r, n, count);
}

/* Counts a call for rule N in MATCHED, unless N, which fired as FIRED says, fires on it. Both are
 * of TAG. */
static inline bool count_unless(unsigned n, pg_shared64 *matched, const pg_shared64 *fired,
				uint64_t tag)
{
	uint64_t word = PG_GET(*matched), count;

	do {
		count = pg_count_in(word, tag) + 1;
		if (is_turn(n, count) && pg_count_in(PG_GET(*fired), tag) < pg_rules.rule[n].limit)
			return false;
	} while (!__atomic_compare_exchange_n(matched, &word, tag + count, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

/* The same in N's scope. What cannot be counted does not fire. */
static bool count_idle(unsigned n, const struct pg_op *op)
{
	struct pg_count matched = pg_count_of(n, op, false), fired = pg_count_of(n, op, true);

	return !matched.at || !fired.at || count_unless(n, matched.at, fired.at, matched.tag);
}

static void count_back(unsigned n, const struct pg_op *op)
{
	struct pg_count p = pg_count_of(n, op, false);

	if (p.at)
		__atomic_sub_fetch(p.at, 1, __ATOMIC_RELAXED);
}

bool pg_turn_is_inside(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];
	int64_t moves = op->bytes < PG_MOVES_MOST ? op->bytes : PG_MOVES_MOST;

	return pg_has(r, PG_F_AT) && r->terminal != PG_F_PASS && moves > 0 && op->offset < r->at &&
	       op->offset + (uint64_t)moves > r->at;
}

/* Is OP one of the calls that rule N counts? */
static bool counts(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	return r->calls & op->bits && (!pg_has(r, PG_F_AT) || op->offset >= r->at) &&
	       pg_match(n, op);
}

/* The first N rules count OP back. */
static void unmade(unsigned n, const struct pg_op *op)
{
	while (n--)
		if (counts(n, op))
			count_back(n, op);
}

bool pg_turn_idle(const struct pg_op *op)
{
	for (unsigned n = 0; n < pg_rules.n; n++) {
		bool cuts = pg_rules.rule[n].calls & op->bits && pg_turn_is_inside(n, op) &&
			    pg_match(n, op);

		if (!cuts && (!counts(n, op) || count_idle(n, op)))
			continue;
		unmade(n, op);
		return false;
	}
	return true;
}

void pg_turn_unmade(const struct pg_op *op)
{
	unmade(pg_rules.n, op);
}

enum { NO_RULE = PG_RULES_MAX, UNKNOWN };

/* The one rule that watches the calls in BIT on F and needs no look at them. UNKNOWN, too, where
 * there are several, or one that needs it. */
static unsigned waiting(const struct pg_fd *f, uint64_t bit)
{
	unsigned found = NO_RULE;

	if (!f || !PG_GET(f->unruled) || bit & several ||
	    PG_GET(f->generation) != pg_rules.generation)
		return UNKNOWN;
	for (uint64_t left = PG_GET(f->rules); left; left &= left - 1) {
		unsigned n = (unsigned)__builtin_ctzll(left);
		const struct pg_rule *r = &pg_rules.rule[n];

		if (!(r->calls & bit) && !(pg_match_calls(r) & bit))
			continue;
		if (found != NO_RULE || !(pg_rules.simple >> n & 1) || !(r->calls & bit))
			return UNKNOWN;
		found = n;
	}
	return found;
}

/* Rules that change are found anew by each call. */
uint64_t pg_turn_waiting(uint64_t rules, uint8_t *rule)
{
	unsigned n = rules ? (unsigned)__builtin_ctzll(rules) : 0;

	if (!rules || rules & (rules - 1) || !(pg_rules.simple >> n & 1) || pg_page())
		return 0;
	*rule = (uint8_t)n;
	return pg_rules.rule[n].calls & ~several;
}

/* No call in it, nor a function that others inline: where it keeps the registers it is short. */
bool pg_turn_waits(int fd, uint64_t bit)
{
	const struct pg_fd *f = &pg_fds[(unsigned)fd % PG_FD_LOW];
	uint64_t noted = PG_GET(*pg_process_noted), word;
	const struct pg_rule *r;
	struct pg_sum *s;

	if (!(PG_GET(f->waiting) & bit) || (unsigned)fd >= PG_FD_LOW || pg_confined || !noted)
		return false;
	r = &pg_first_rules.rule[PG_GET(f->waiter)];
	s = &pg_sums[r->serial % PG_RULE_SLOTS];
	if (__atomic_load_n(&s->owner, __ATOMIC_ACQUIRE) != PG_SUM_OWNER(r->serial, noted))
		return false;
	word = PG_GET(s->matched);
	do
		if (word + 1 >= PG_GET(s->until))
			return false;
	while (!__atomic_compare_exchange_n(&s->matched, &word, word + 1, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return true;
}

bool pg_turn_asks(int fd, uint64_t bit)
{
	unsigned n = waiting(pg_fd(fd), bit);
	struct pg_sum *s;

	if (pg_confined || n == UNKNOWN)
		return true;
	if (n == NO_RULE)
		return false;
	s = pg_sum_of(n);
	return !count_unless(n, &s->matched, &s->fired, pg_sum_tag(n));
}

void pg_turn_refused(int fd, uint64_t bit, int err)
{
	unsigned n = waiting(pg_fd(fd), bit);
	bool for_its_arguments = err == EFAULT || err == EBADF || err == ENOTSOCK || err == EINVAL;

	if (n < NO_RULE && !pg_confined && for_its_arguments)
		__atomic_sub_fetch(&pg_sum_of(n)->matched, 1, __ATOMIC_RELAXED);
}

bool pg_turn_fires(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];
	uint64_t count = pg_turn_count(n, op);

	if (!count || !is_turn(n, count))
		return false;
	count = count_scope(n, op, true);
	if (!count || count > r->limit)
		return false;
	pg_page_count(r->serial);
	pg_endings_fired(n);
	if (r->scope != PG_SCOPE_RULE)
		pg_count_add((struct pg_count){&pg_sum_of(n)->fired, pg_sum_tag(n)}, 1);
	return true;
}

uint64_t pg_turn_fired(unsigned n)
{
	uint64_t fired = pg_count_in(PG_GET(pg_sum_of(n)->fired), pg_sum_tag(n));

	if (pg_rules.rule[n].scope == PG_SCOPE_RULE && fired > pg_rules.rule[n].limit)
		return pg_rules.rule[n].limit;
	return fired;
}
