/* SPDX-License-Identifier: MIT */
#include "log/site.h"

#include "base/process.h"

enum { SITES = 512, PROBES = 16, FIRST_LOGGED = 10 };

/* How often one place in the program broke on one object. */
struct pg_place {
	pg_shared64 key; /* 0: free */
	pg_shared64 count;
	uintptr_t caller; /* a struct pg_code, in two words */
	pg_shared64 stamp;
	int pid, fd;
	enum pg_call call;
	bool broke; /* not a warning, nor a rule that fired */
};
static struct pg_place sites[SITES];

/* Pages of their own, which a fork child finds zeroed. */
static struct wiped {
	pg_shared64 broken; /* writes of the process PID; a vfork child's are not counted */
	int pid;
	bool held; /* of a place that had to make room, not all was logged */
} __attribute__((aligned(PG_PAGE_MOST))) wiped;

static PG_START_DATA pg_shared64 total; /* in this process and those it was forked from */

void pg_site_prepare(void)
{
	static int known;

	pg_process_wipes(&wiped, sizeof wiped, &known);
}

/* Room for KEY where all is taken, counted once: that of the place which broke least often; a null
 * pointer if another thread took it. */
static struct pg_place *evict(uint64_t key)
{
	struct pg_place *least = &sites[key % SITES];
	uint64_t old;

	for (unsigned i = 1; i < PROBES; i++) {
		struct pg_place *s = &sites[(key + i) % SITES];

		if (PG_GET(s->count) < PG_GET(least->count))
			least = s;
	}
	old = PG_GET(least->key);
	if (!__atomic_compare_exchange_n(&least->key, &old, key, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return NULL;
	if (__atomic_exchange_n(&least->count, 1, __ATOMIC_RELAXED) > FIRST_LOGGED)
		PG_PUT(wiped.held, true);
	return least;
}

/* Counts at the place KEY; N is how often by now. A null pointer: there is no room for it. */
static struct pg_place *find_site(uint64_t key, uint64_t *n)
{
	*n = 1;
	for (unsigned i = 0; i < PROBES; i++) {
		struct pg_place *s = &sites[(key + i) % SITES];
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(&s->key, &none, key, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED) ||
		    none == key) {
			uint64_t count = __atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED);

			if (PG_GET(s->key) != key)
				return NULL; /* another thread took it meanwhile */
			*n = count;
			return s;
		}
	}
	return evict(key);
}

static void count_broken(int pid)
{
	int none = 0;

	if (__atomic_compare_exchange_n(&wiped.pid, &none, pid, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED) ||
	    none == pid)
		__atomic_add_fetch(&wiped.broken, 1, __ATOMIC_RELAXED);
}

bool pg_site_count(struct pg_event *e, uintptr_t place, struct pg_place **first)
{
	uint64_t rule = e->plan ? e->plan->rule : 0;
	uint64_t what =
		(uint64_t)pg_call_plain(e->op->call) + ((uint64_t)e->ev << 8) + (rule << 16);
	uint64_t key =
		pg_mix(pg_mix(pg_mix(pg_mix(1, (uint64_t)e->pid), e->object.ino), place), what);
	uint64_t n;
	struct pg_place *s;

	pg_site_prepare();
	s = find_site(key | 1, &n);

	if (e->ev == PG_EV_EPIPE)
		count_broken(e->pid);
	__atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
	*first = s && n == 1 ? s : NULL;
	e->repeated = n;
	while (n > FIRST_LOGGED && !(n & 1))
		n /= 2;
	return e->repeated <= FIRST_LOGGED || n == FIRST_LOGGED || e->signal == PG_SIG_FATAL;
}

/* Another thread may make room in this very place: then what the two say of it is mixed, once. */
void pg_site_describe(struct pg_place *s, const struct pg_event *e, uintptr_t caller)
{
	struct pg_code code = pg_code_at(e->frames ? e->frame[0] : caller);

	PG_PUT(s->caller, code.at);
	PG_PUT(s->stamp, code.stamp);
	PG_PUT(s->pid, e->pid);
	PG_PUT(s->fd, e->op->fd);
	PG_PUT(s->call, pg_call_plain(e->op->call));
	PG_PUT(s->broke, e->ev == PG_EV_EPIPE);
}

/* S among those of E, the ones that broke most, in that order. */
static void keep(struct pg_event *e, const struct pg_site *s)
{
	const unsigned most = sizeof e->exit.site / sizeof *e->exit.site;
	struct pg_site *site = e->exit.site;
	unsigned at = e->exit.sites;

	if (at < most)
		e->exit.sites++;
	else if (site[--at].count >= s->count)
		return;
	for (; at && site[at - 1].count < s->count; at--)
		site[at] = site[at - 1];
	site[at] = *s;
}

void pg_site_collect(struct pg_event *e)
{
	for (int i = 0; i < SITES; i++) {
		const struct pg_place *s = &sites[i];
		uint64_t count = PG_GET(s->count);
		enum pg_call call = PG_GET(s->call);

		if (!PG_GET(s->broke) || PG_GET(s->pid) != e->pid)
			continue;
		e->exit.events += count;
		keep(e, &(struct pg_site){call ? pg_call_name(call) : NULL,
					  {PG_GET(s->caller), PG_GET(s->stamp)},
					  count,
					  PG_GET(s->fd)});
	}
	if (PG_GET(wiped.pid) == e->pid) /* else more than one process counted */
		e->exit.events = PG_GET(wiped.broken);
}

bool pg_site_any(void)
{
	return PG_GET(total);
}

bool pg_site_held_back(int pid)
{
	for (int i = 0; i < SITES; i++)
		if (PG_GET(sites[i].count) > FIRST_LOGGED && PG_GET(sites[i].pid) == pid)
			return true;
	return PG_GET(wiped.held) && PG_GET(wiped.pid) == pid;
}
