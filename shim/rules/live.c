/* SPDX-License-Identifier: MIT */
#include "rules/live.h"

#include "base/process.h"
#include "object/fd.h"
#include "rules/counts.h"
#include "rules/match.h"

/*
 * The sets. HOLDS counts who asks it, in the process that is named above the
 * count: those of the process that it was forked from do not hold it any more.
 * Who has gone by longjmp, or waits for ever, keeps one; there are enough.
 */
struct live {
	pg_shared64 holds;
	struct pg_page_rules as_read;
	struct pg_rule_set set;
};
enum { SETS = 4096, TRIES = 100, MAKING = 1 << 30 };
static void *sets[SETS];
static struct live *current;

static struct live *live_of(struct pg_rule_set *set)
{
	return (struct live *)(void *)((char *)set - offsetof(struct live, set));
}

static uint64_t owned(uint32_t count)
{
	return (uint64_t)(uint32_t)pg_process() << 32 | count;
}

static uint32_t count_of(uint64_t holds)
{
	return holds >> 32 == (uint32_t)pg_process() ? (uint32_t)holds : 0;
}

static bool hold(struct live *l)
{
	uint64_t holds = PG_GET(l->holds);

	do {
		if (count_of(holds) & MAKING)
			return false;
	} while (!__atomic_compare_exchange_n(&l->holds, &holds, owned(count_of(holds) + 1), true,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

static void let_go(struct live *l)
{
	uint64_t holds = PG_GET(l->holds);

	do {
		if (!count_of(holds))
			return;
	} while (!__atomic_compare_exchange_n(&l->holds, &holds, holds - 1, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

/* One that nobody asks, to be filled by the caller alone; a null pointer: there is none. */
static struct live *take(void)
{
	for (unsigned i = 0; i < SETS; i++) {
		struct live *l = pg_map_once(&sets[i], sizeof *l);
		uint64_t holds = l ? PG_GET(l->holds) : 0;

		if (!l)
			return NULL;
		if (count_of(holds) || l == __atomic_load_n(&current, __ATOMIC_ACQUIRE) ||
		    !__atomic_compare_exchange_n(&l->holds, &holds, owned(MAKING), false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		if (l != __atomic_load_n(&current, __ATOMIC_ACQUIRE))
			return l;
		__atomic_store_n(&l->holds, 0, __ATOMIC_RELEASE);
	}
	return NULL;
}

bool pg_live_mark(struct pg_rule_set *set, const struct pg_page_rules *rules)
{
	if (set->n != rules->n)
		return false;
	for (unsigned n = 0; n < set->n; n++) {
		set->rule[n].serial = rules->serial[n];
		set->rule[n].conn_slot = rules->conn_slot[n];
	}
	return true;
}

uint64_t pg_live_calls(const struct pg_rule_set *set)
{
	uint64_t calls = set->calls;

	for (unsigned n = 0; n < set->n; n++)
		calls |= pg_match_calls(&set->rule[n]);
	return calls;
}

/* Rules that are switched off, or wrong, are none. */
static void parse(struct live *l, uint32_t generation)
{
	struct pg_rule_error error;

	if (!pg_rules_parse(&l->set, l->as_read.text, &error) ||
	    !pg_live_mark(&l->set, &l->as_read) || !l->as_read.on)
		l->set.n = 0;
	l->set.generation = generation;
	pg_match_prepare(&l->set);
	pg_rules_remember(&l->set);
}

/* Is L not of GENERATION, which is that of the page? */
static bool is_late(uint32_t generation, const struct live *l)
{
	return (!l || PG_GET(l->set.generation) != generation) &&
	       pg_page_generation() == generation;
}

/* The rules of GENERATION, held; a null pointer: there are newer ones, or no room. */
static struct live *load(uint32_t generation, bool whole)
{
	struct live *l = take(), *was;

	if (!l)
		return NULL;
	if (!pg_page_read(&l->as_read, generation)) {
		if (whole) {
			__atomic_store_n(&l->holds, 0, __ATOMIC_RELEASE);
			return NULL;
		}
		l->as_read.text[0] = 0; /* what was written there is noise */
		l->as_read.n = 0;
	}
	parse(l, generation);
	__atomic_store_n(&l->holds, owned(1), __ATOMIC_RELEASE);
	was = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
	while (is_late(generation, was) &&
	       !__atomic_compare_exchange_n(&current, &was, l, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE))
		;
	return l;
}

/* Those that hold now; a null pointer: none can be had. */
static struct live *get(void)
{
	for (unsigned i = 0; i < TRIES && !pg_confined; i++) {
		uint32_t generation = pg_page_generation();
		struct live *l = __atomic_load_n(&current, __ATOMIC_ACQUIRE);

		if (l && hold(l)) {
			if (l->set.generation == generation)
				return l;
			let_go(l);
		}
		if (!generation)
			return NULL;
		l = load(generation, i + 1 < TRIES);
		if (l)
			return l;
	}
	return NULL;
}

struct pg_rule_set *pg_live_hold(void)
{
	struct pg_rule_set *before = pg_rules_now;
	struct live *l = get();

	pg_rules_now = l ? &l->set : &pg_first_rules;
	return before;
}

void pg_live_release(struct pg_rule_set *before)
{
	if (pg_rules_now != &pg_first_rules)
		let_go(live_of(pg_rules_now));
	pg_rules_now = before;
}

struct pg_rule_set *pg_live_keep(void)
{
	if (!pg_page())
		return NULL;
	if (pg_rules_now != &pg_first_rules)
		hold(live_of(pg_rules_now));
	return pg_rules_now;
}

struct pg_rule_set *pg_live_back(struct pg_rule_set *kept)
{
	struct pg_rule_set *before = pg_rules_now;

	if (!kept)
		return NULL;
	pg_rules_now = kept;
	return before;
}

/* The rules of the environment are those that a new page begins with. */
static void begin(void)
{
	struct live *l = take();
	struct pg_page_rules *to = l ? &l->as_read : NULL;

	if (!l || pg_page_lock())
		return;
	if (!pg_page_generation()) {
		to->n = pg_first_rules.n;
		to->on = 1;
		to->len = (uint32_t)pg_len(pg_first_rules.text);
		__builtin_memcpy(to->text, pg_first_rules.text, to->len + 1);
		for (unsigned n = 0; n < to->n; n++) {
			to->serial[n] = n + 1;
			to->conn_slot[n] = pg_first_rules.rule[n].conn_slot;
		}
		pg_page()->last_serial = to->n;
		pg_page_publish(to, pg_live_calls(&pg_first_rules));
	}
	pg_page_unlock();
	__atomic_store_n(&l->holds, 0, __ATOMIC_RELEASE);
}

void pg_live_start(bool front)
{
	if (pg_first_rules.n && !pg_page_generation())
		begin();
	pg_first_rules.n = 0;
	pg_first_rules.calls = 0;
	pg_counts_start_live();
	if (front && pg_page_bring_front())
		return;
	pg_front.aside = pg_front.ruled = ~(uint64_t)0;
}
