/* SPDX-License-Identifier: MIT */
#include "outside/owed.h"

enum { OWED = 256 };

/* Of two threads in one place the later one is kept. */
static struct owed {
	int tid, rule;
	bool owed, spared;
} all[OWED];

static struct owed *of(int tid)
{
	return &all[(unsigned)tid % OWED];
}

static struct owed *take(int tid)
{
	struct owed *o = of(tid);

	if (o->tid != tid)
		*o = (struct owed){.tid = tid};
	return o;
}

void pg_owe(int tid, int rule)
{
	struct owed *o = take(tid);

	o->owed = true;
	o->rule = rule;
}

void pg_take_away(int tid)
{
	take(tid)->spared = true;
}

static bool ask(int tid, bool *word)
{
	bool was = *word && of(tid)->tid == tid;

	*word = false;
	return was;
}

bool pg_owes(int tid, int *rule)
{
	*rule = of(tid)->rule;
	return ask(tid, &of(tid)->owed);
}

bool pg_takes_away(int tid)
{
	return ask(tid, &of(tid)->spared);
}
