/* SPDX-License-Identifier: MIT */
#include "inside/witness.h"

#include "log/facts.h"
#include "object/ending.h"
#include "object/look.h"

/* As scripts/lib/pgsites.py has them: BROKEN, WITNESSES, rest_of(), _MANY. */
enum { BROKEN = 100, WITNESSES = 10, REST_MOST = 1 << 16, REPEATED = 10 };

/* The first fault of the tree, if it was made here or before a fork; PID 0: it was not. */
static struct fault {
	int pid;
	uint64_t ino;
	int64_t rest;  /* bytes that it left to be written, or as many as show that they were */
	uint32_t seen; /* calls that may have written them */
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

void pg_witness_fault(const struct pg_event *e)
{
	int64_t rest = e->op->bytes > 0 ? e->op->bytes : 0;

	if (!pg_endings_had_first() || !e->object.ino)
		return;
	rest -= is_short(e);
	fault.ino = e->object.ino;
	fault.rest = rest < REST_MOST ? rest : REST_MOST;
	__atomic_store_n(&fault.pid, e->pid, __ATOMIC_RELEASE);
}

/* Another call on the object that the fault was made on. */
static bool is_idle_call(const struct pg_event *e)
{
	int pid = __atomic_load_n(&fault.pid, __ATOMIC_ACQUIRE);
	int64_t bytes = e->op->bytes > 0 ? e->op->bytes : 0;

	if (!pid || e->object.ino != fault.ino)
		return false;
	return pid != e->pid || bytes < fault.rest ||
	       __atomic_fetch_add(&fault.seen, 1, __ATOMIC_RELAXED) >= WITNESSES;
}

bool pg_witness_is_over(int fd)
{
	return __atomic_load_n(&fault.pid, __ATOMIC_ACQUIRE) && PG_GET(fault.seen) >= WITNESSES &&
	       pg_look_stat(fd).ino == fault.ino;
}

/* Those that broke, and were logged, in the process PID. */
static struct {
	int pid;
	uint32_t n;
} broken;

static bool is_idle_break(const struct pg_event *e)
{
	if (PG_GET(broken.pid) != e->pid) {
		PG_PUT(broken.pid, e->pid);
		PG_PUT(broken.n, 0);
	}
	return __atomic_fetch_add(&broken.n, 1, __ATOMIC_RELAXED) >= BROKEN &&
	       e->repeated < REPEATED && e->signal != PG_SIG_FATAL;
}

bool pg_witness_has_enough(const struct pg_event *e)
{
	return e->ev == PG_EV_EPIPE && PG_GET(broken.n) >= BROKEN && PG_GET(broken.pid) == e->pid;
}

bool pg_witness_is_idle(const struct pg_event *e)
{
	if (!pg_endings_brief())
		return false;
	return e->ev == PG_EV_CALL ? is_idle_call(e) : e->ev == PG_EV_EPIPE && is_idle_break(e);
}
