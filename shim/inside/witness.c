/* SPDX-License-Identifier: MIT */
#include "inside/witness.h"

#include "log/facts.h"
#include "object/ending.h"
#include "object/look.h"

/* As scripts/lib/pgsites.py has them: BROKEN, WITNESSES, rest_of(), _MANY. */
enum { BROKEN = 100, WITNESSES = 10, REST_MOST = 1 << 16, REPEATED = 10 };

/* The first fault of the tree, if it was made here or before a fork; PID 0: it was not, or another
 * process may have logged one before. */
static struct fault {
	int pid;
	uint64_t ino;
	int64_t rest;  /* bytes that it left to be written, or as many as show that they were */
	uint32_t seen; /* calls in the log that may have written them */
} fault;

/* Does a rule's word for what it did begin so? */
static PG_COLD bool is_short(const struct pg_event *e)
{
	char buf[200];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_put_actions(&t, e);
	buf[t.len] = 0;
	return pg_prefix(buf, "short");
}

static int64_t bytes_of(const struct pg_event *e)
{
	return e->op->bytes > 0 ? e->op->bytes : 0;
}

/* A rule fired. Where another one did as well, which of them is the first in the logs is not known
 * here. */
static void take_fault(const struct pg_event *e)
{
	int64_t rest = bytes_of(e) - is_short(e);

	if (fault.pid || !e->object.ino || !pg_endings_fired_once())
		return;
	fault.ino = e->object.ino;
	fault.rest = rest < REST_MOST ? rest : REST_MOST;
	__atomic_store_n(&fault.pid, e->pid, __ATOMIC_RELEASE);
}

/* Is E another call on the object that the fault was made on? */
static bool is_on_fault(const struct pg_event *e)
{
	return __atomic_load_n(&fault.pid, __ATOMIC_ACQUIRE) && e->object.ino == fault.ino;
}

/* May it have written the rest? */
static bool is_witness(const struct pg_event *e)
{
	return is_on_fault(e) && e->pid == fault.pid && bytes_of(e) >= fault.rest;
}

static bool is_idle_call(const struct pg_event *e)
{
	return is_on_fault(e) && (!is_witness(e) || PG_GET(fault.seen) >= WITNESSES);
}

bool pg_witness_is_over(int fd)
{
	return __atomic_load_n(&fault.pid, __ATOMIC_ACQUIRE) && PG_GET(fault.seen) >= WITNESSES &&
	       pg_look_stat(fd).ino == fault.ino;
}

/* Those that broke and are in the log, BROKEN at most, of one process: its number is in the upper
 * half. Of two that count at once one may be lost: then one more is logged. */
static pg_shared64 broken;

static uint64_t broken_of(int pid)
{
	uint64_t word = PG_GET(broken), none = (uint64_t)(uint32_t)pid << 32;

	return word >> 32 == none >> 32 ? word : none;
}

bool pg_witness_has_enough(const struct pg_event *e)
{
	return e->ev == PG_EV_EPIPE && (uint32_t)broken_of(e->pid) >= BROKEN;
}

static bool is_idle_break(const struct pg_event *e)
{
	return pg_witness_has_enough(e) && e->repeated < REPEATED && e->signal != PG_SIG_FATAL;
}

bool pg_witness_is_idle(const struct pg_event *e)
{
	if (!pg_endings_brief())
		return false;
	return e->ev == PG_EV_CALL ? is_idle_call(e) : is_idle_break(e);
}

void pg_witness_logged(const struct pg_event *e)
{
	if (!pg_endings_brief())
		return;
	if (e->ev == PG_EV_INJECT)
		take_fault(e);
	else if (e->ev == PG_EV_CALL && is_witness(e))
		__atomic_fetch_add(&fault.seen, 1, __ATOMIC_RELAXED);
	else if (e->ev == PG_EV_EPIPE && !pg_witness_has_enough(e))
		PG_PUT(broken, broken_of(e->pid) + 1);
}
