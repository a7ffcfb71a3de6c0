/* SPDX-License-Identifier: MIT */
#include "rules/match.h"

#include "base/clock.h"
#include "base/ip.h"
#include "base/process.h"
#include "rules/page.h"
#include "who/stack.h"
#include "who/symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>

/* How often a rule matched, and fired, in a process; connections that it counted. */
struct sum {
	uint64_t process;
	uint64_t matched, fired, connections;
};
static struct sum sums[PG_RULE_SLOTS];
_Static_assert(sizeof sums == PG_MATCH_ROOM, "what is kept elsewhere");

/* Without a page those of the start stand first. */
static size_t used(void)
{
	return pg_page() ? sizeof sums : pg_rules.n * sizeof *sums;
}

void pg_match_take(const void *room)
{
	__builtin_memcpy(sums, room, used());
}

void pg_match_put_back(void *room)
{
	__builtin_memcpy(room, sums, used());
}

/* A child by fork counts from zero, and so does a rule that takes the room of one that has gone. */
static struct sum *sum_of(unsigned rule)
{
	uint32_t serial = pg_rules.rule[rule].serial;
	struct sum *s = &sums[serial % PG_RULE_SLOTS];
	uint64_t process = (uint64_t)serial << 32 | (uint32_t)pg_process();

	if (PG_UNLIKELY(PG_GET(s->process) != process) &&
	    __atomic_exchange_n(&s->process, process, __ATOMIC_RELAXED) != process)
		s->matched = s->fired = s->connections = 0;
	return s;
}

enum { COUNTERS = 4096, PROBES = 16 };

/* The same of one thread, for scope=thread. */
struct counter {
	uint64_t key, count;
	uint32_t process, thread;
};
static struct counter counters[COUNTERS];
static uint64_t uncounted; /* calls for which there was no room */

/* Of a process that this one was forked from, or of a thread that has gone? */
static bool is_over(const struct counter *c)
{
	uint32_t process = PG_GET(c->process), thread = PG_GET(c->thread);

	if (!thread) /* of another process: not known */
		return false;
	return process != (uint32_t)pg_process() ||
	       pg_sys3(SYS_tgkill, process, thread, 0) == -ESRCH;
}

static bool take_counter(struct counter *c, uint64_t old, uint64_t key, bool ours)
{
	if (!__atomic_compare_exchange_n(&c->key, &old, key, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return old == key;
	PG_PUT(c->count, 0);
	PG_PUT(c->process, (uint32_t)pg_process());
	PG_PUT(c->thread, ours ? (uint32_t)pg_sys0(SYS_gettid) : 0);
	return true;
}

/* A thread's number is used again: it has another name here. */
static uint64_t this_thread(void)
{
	static uint32_t names;
	static __thread uint32_t name __attribute__((tls_model("initial-exec")));

	if (!name)
		name = __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED);
	return name;
}

/* This thread's, or that of OTHER, for rule RULE; a null pointer: there is no room. */
static uint64_t *thread_counter(unsigned rule, bool fired, uint64_t other)
{
	uint64_t who = other ? other : this_thread();
	uint64_t key =
		pg_mix(pg_mix(pg_mix(fired ? 3 : 5, pg_rules.rule[rule].serial), pg_process()),
		       who) |
		1;

	for (unsigned i = 0; i < PROBES; i++) {
		struct counter *c = &counters[(key + i) % COUNTERS];
		uint64_t has = PG_GET(c->key);

		if (has == key || (!has && take_counter(c, 0, key, !other)))
			return &c->count;
	}
	for (unsigned i = 0; i < PROBES; i++) {
		struct counter *c = &counters[(key + i) % COUNTERS];

		if (is_over(c) && take_counter(c, PG_GET(c->key), key, !other))
			return &c->count;
	}
	__atomic_fetch_add(&uncounted, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* The rules with scope=fd count in the story of each object, so they begin and end with it. */
static unsigned fd_slots;
static void *story_counts[PG_STORY_CHUNKS];

/* Words of COUNT_BITS; above them TAG says whose counts they are: a word with another tag counts
 * nothing yet. */
struct pair {
	uint64_t matched, fired;
};
enum { COUNT_BITS = 40 };

/* Of rule N for the object of S, in this process. */
static uint64_t tag_of(unsigned n, const struct pg_story *s)
{
	uint64_t owner = (uint64_t)pg_rules.rule[n].serial << 32 | (uint32_t)pg_process();

	return (pg_mix(owner, PG_GET(s->generation)) | 1) << COUNT_BITS;
}

/* The counts of rule N for the object of S; a null pointer: there is no room. */
static struct pair *object_counts(unsigned n, const struct pg_story *s)
{
	size_t of_story = fd_slots * sizeof(struct pair);
	char *chunk = pg_filled(&story_counts[s->index / PG_STORIES], PG_STORIES * of_story);

	if (chunk)
		return (struct pair *)(void *)(chunk + s->index % PG_STORIES * of_story) +
		       pg_rules.rule[n].fd_slot;
	__atomic_fetch_add(&uncounted, 1, __ATOMIC_RELAXED);
	return NULL;
}

uint64_t pg_match_uncounted(void)
{
	return PG_GET(uncounted);
}

static bool in_ranges(const struct pg_ranges *rs, int64_t v)
{
	for (unsigned i = 0; i < rs->n; i++)
		if (v >= rs->r[i].lo && v <= rs->r[i].hi)
			return !rs->negate;
	return rs->negate;
}

/* A word of the rules as a string. */
static const char *word(struct pg_word w, char buf[128])
{
	size_t n = w.len < 127 ? w.len : 127;

	pg_copy(buf, n + 1, pg_rules.text + w.at);
	return buf;
}

static bool any_glob(const struct pg_words *ws, const char *s)
{
	char buf[128];

	for (unsigned i = 0; i < ws->n; i++)
		if (pg_glob(word(ws->w[i], buf), s))
			return !ws->negate;
	return ws->negate;
}

/* ---- what can be done to what ---- */

static unsigned kinds_of(const struct pg_object *o)
{
	static const unsigned kinds[] = {
		[PG_OTHER] = PG_KINDS_OTHER, [PG_PIPE] = PG_KINDS_PIPE,
		[PG_TCP] = PG_KINDS_TCP4,    [PG_UDP] = PG_KINDS_UDP,
		[PG_UNIX] = PG_KINDS_UNIX,   [PG_SOCKET] = PG_KINDS_OTHER_SOCKET,
		[PG_FILE] = PG_KINDS_FILE,   [PG_TTY] = PG_KINDS_TTY,
	};

	if (o->kind == PG_TCP && o->domain == AF_INET6)
		return PG_KINDS_TCP6;
	return kinds[o->kind];
}

/* Fields that mean nothing to a socket that keeps messages whole; actions that are done once. */
static uint64_t of_streams, for_good;

static bool able_to(unsigned n, const struct pg_object *o)
{
	bool socket = kinds_of(o) & PG_KINDS_SOCKET;

	return pg_rules.rule[n].able & kinds_of(o) &&
	       (!socket || o->stream || !(pg_rules.rule[n].fields & of_streams));
}

/* ---- what is to be known of a descriptor ---- */

#define BIT(f) ((uint64_t)1 << (f))

/* Calls that move several messages, which meet the rules one by one. */
static uint64_t several;

static unsigned wants_of(const struct pg_rule *r)
{
	bool any_socket = (r->able & PG_KINDS_SOCKET) == PG_KINDS_SOCKET;
	unsigned wants = 0;

	if (!any_socket || r->fields & of_streams || (r->able & PG_KINDS_OTHER) != PG_KINDS_OTHER)
		wants |= PG_LOOK_KIND;
	if (r->fields & pg_fields_with(PG_OF_NAMES))
		wants |= PG_LOOK_NAMES;
	return wants;
}

static void add_facts(struct pg_rule_set *set, unsigned n)
{
	struct pg_rule *r = &set->rule[n];
	unsigned wants = wants_of(r);

	set->wants |= wants;
	set->streams |= (r->fields & pg_fields_with(PG_COUNTS_BYTES)) != 0;
	if (!(r->fields & pg_fields_with(PG_OF_CALL)) && r->scope == PG_SCOPE_RULE)
		set->simple |= BIT(n);
	if (!pg_has(r, PG_F_CONN))
		return;
	set->numbering |= BIT(n);
	set->numbering_wants |= wants;
}

void pg_match_prepare(struct pg_rule_set *set)
{
	set->wants = set->numbering_wants = 0;
	set->simple = set->numbering = 0;
	set->streams = false;
	for (unsigned n = 0; n < set->n; n++) {
		set->rule[n].fd_slot = (uint8_t)(set->rule[n].serial % PG_RULE_SLOTS);
		add_facts(set, n);
	}
}

void pg_match_start(void)
{
	of_streams = pg_fields_with(PG_OF_STREAM);
	for_good = pg_fields_with(PG_IS_FOR_GOOD);
	for (int call = 1; call < PG_CALL_COUNT; call++)
		several |= pg_call_has_messages((enum pg_call)call) ? PG_BIT(call) : 0;
	pg_match_prepare(&pg_rules);
	for (unsigned n = 0; n < pg_rules.n; n++)
		if (pg_rules.rule[n].scope == PG_SCOPE_FD)
			pg_rules.rule[n].fd_slot = (uint8_t)fd_slots++;
}

void pg_match_start_live(void)
{
	fd_slots = PG_RULE_SLOTS;
}

/* ---- selectors ---- */

/* A v4 address inside a v6 one (::ffff:1.2.3.4) is that v4 address, too. */
static bool in_net(const struct pg_net *net, const struct pg_addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (net->family == a->family)
		return pg_same_bits(net->ip, a->ip, net->bits);
	return net->family == AF_INET && a->family == AF_INET6 && pg_same_bits(mapped, a->ip, 96) &&
	       pg_same_bits(net->ip, a->ip + 12, net->bits);
}

static bool peer_matches(const struct pg_rule *r, const struct pg_object *o)
{
	char buf[128];

	for (unsigned i = 0; i < r->peer.n; i++) {
		bool hit = r->net[i].family == AF_UNIX
				   ? pg_glob(word(r->peer.w[i], buf), o->peer_path)
				   : in_net(&r->net[i], &o->peer);

		if (hit)
			return !r->peer.negate;
	}
	return r->peer.negate;
}

static int64_t host_port(const struct pg_addr *a)
{
	return a->family ? (a->port & 255) << 8 | a->port >> 8 : -1;
}

/* The remote port if we connected, the one that was listened on if we accepted. */
static int64_t service_port(const struct pg_object *o)
{
	return host_port(o->side == PG_SERVER ? &o->local : &o->peer);
}

/* The longest path there is takes more than a small stack has. */
static PG_COLD bool long_path_matches(const struct pg_rule *r, const char *link)
{
	enum { MOST = 4096 + 16 };
	void *room = NULL;
	char *path = pg_filled(&room, MOST);
	long n = path ? pg_sys4(SYS_readlinkat, AT_FDCWD, link, path, MOST - 1) : 0;
	bool matches;

	if (!path)
		return false;
	path[n > 0 ? n : 0] = 0;
	matches = any_glob(&r->path, path);
	pg_sys2(SYS_munmap, path, MOST);
	return matches;
}

/* proc(5): the link of a path that is longer than a page cannot be read. */
static __attribute__((noinline)) bool path_matches(const struct pg_rule *r, int fd)
{
	static const char none[] = "";
	char link[32], path[512];
	struct pg_text t = {link, 0, sizeof link - 1};
	long n;

	pg_put(&t, "/proc/self/fd/");
	pg_put_i64(&t, fd);
	link[t.len] = 0;
	n = pg_sys4(SYS_readlinkat, AT_FDCWD, link, path, sizeof path);
	if (n == (long)sizeof path)
		return long_path_matches(r, link);
	path[n > 0 ? n : 0] = 0;
	return any_glob(&r->path, n > 0 ? path : none);
}

static bool thread_matches(const struct pg_rule *r, const struct pg_op *op)
{
	char name[16] = "";

	if (op->thread_name)
		return any_glob(&r->thread, op->thread_name);
	pg_sys2(SYS_prctl, PR_GET_NAME, name);
	return any_glob(&r->thread, name);
}

/* MODULE+0xOFF, MODULE or SYMBOL. */
static __attribute__((noinline)) bool frame_is(const char *wanted, uintptr_t addr)
{
	char buf[PG_MODULE_NAME + 24], symbol[PG_SYMBOL_MAX];
	struct pg_text t = {buf, 0, sizeof buf - 1};
	struct pg_module room;
	const struct pg_module *m = pg_module_at(addr, &room);
	uintptr_t offset;

	if (!m)
		return false;
	if (pg_glob(wanted, m->name))
		return true;
	pg_put(&t, m->name);
	pg_put_char(&t, '+');
	pg_put_hex(&t, addr - m->base);
	buf[t.len] = 0;
	if (pg_same(wanted, buf))
		return true;
	return pg_symbol_at(m, addr, symbol, &offset) && pg_glob(wanted, symbol);
}

static bool frames_match(const struct pg_words *ws, const uintptr_t *frames, unsigned n)
{
	char buf[128];

	for (unsigned i = 0; i < ws->n; i++)
		for (unsigned f = 0; f < n; f++)
			if (frame_is(word(ws->w[i], buf), frames[f]))
				return !ws->negate;
	return ws->negate;
}

uint64_t pg_match_site(const uintptr_t *frames, unsigned n)
{
	uint64_t h = 0xcbf29ce484222325u;
	struct pg_module room;

	for (unsigned i = 0; i < n && i < PG_SITE_FRAMES; i++) {
		const struct pg_module *m = pg_module_at(frames[i], &room);

		if (!m)
			continue;
		for (const char *p = m->name; *p; p++)
			h = pg_mix(h, (uint8_t)*p);
		h = pg_mix(h, frames[i] - m->base);
	}
	return h;
}

static bool site_matches(const struct pg_rule *r, const uintptr_t *frames, unsigned n)
{
	uint64_t site = pg_match_site(frames, n);

	for (unsigned i = 0; i < r->sites; i++)
		if (r->site[i] == site)
			return !r->not_site;
	return r->not_site;
}

/* What needs the stack, which is walked for nothing else. */
static bool stack_matches(const struct pg_rule *r, uintptr_t caller)
{
	uintptr_t frames[PG_FRAMES_MAX];
	unsigned n = pg_stack_walk(frames, PG_FRAMES_MAX, NULL);

	if (!n && caller)
		frames[n++] = caller;
	if (pg_has(r, PG_F_CALLER) && !frames_match(&r->caller, frames, n ? 1 : 0))
		return false;
	if (pg_has(r, PG_F_STACK) && !frames_match(&r->stack, frames, n))
		return false;
	return !pg_has(r, PG_F_SITE) || site_matches(r, frames, n);
}

static bool seen_matches(const struct pg_rule *r, const struct pg_op *op)
{
	const struct pg_warning *w = op->object->told;

	return (r->seen & PG_SEEN_EOF && w[PG_EOF].at) ||
	       (r->seen & PG_SEEN_RESET && w[PG_RESET].at) ||
	       (r->seen & PG_SEEN_REFUSED && w[PG_REFUSED].at) ||
	       (r->seen & PG_SEEN_HUP && pg_look_hung_up(pg_op_askable(op)));
}

static bool conn_matches(const struct pg_rule *r, const struct pg_op *op)
{
	const struct pg_story *s = op->object->story;

	uint64_t conn = s ? s->conn[r->conn_slot] : 0;

	return (uint32_t)conn && conn >> 32 == r->serial && in_ranges(&r->conn, (uint32_t)conn);
}

/* Has a rule done to O, for good, what rule N would do? */
static bool is_done(unsigned n, const struct pg_object *o)
{
	enum pg_field what = pg_rules.rule[n].terminal;

	if (o->rule >= 0 && pg_rule_terminal(o->rule) == what)
		return for_good >> what & 1;
	return what == PG_F_LINGER && o->story && o->story->lingers;
}

/* What a connection has from its beginning on. */
static bool connection_matches(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];
	const struct pg_object *o = op->object;

	if (!able_to(n, o))
		return false;
	if (pg_has(r, PG_F_FD) && !in_ranges(&r->fd, op->fd))
		return false;
	if (pg_has(r, PG_F_SIDE) && r->side != (uint8_t)o->side)
		return false;
	if (pg_has(r, PG_F_PEER) && !peer_matches(r, o))
		return false;
	if (pg_has(r, PG_F_PORT) && !in_ranges(&r->port, service_port(o)))
		return false;
	if (pg_has(r, PG_F_LPORT) && !in_ranges(&r->lport, host_port(&o->local)))
		return false;
	return !pg_has(r, PG_F_COMM) || any_glob(&r->comm, pg_program_name());
}

/* What an object keeps for as long as it lives. */
static bool object_matches(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!connection_matches(n, op))
		return false;
	if (is_done(n, op->object) || (pg_has(r, PG_F_CONN) && !conn_matches(r, op)))
		return false;
	return !pg_has(r, PG_F_PATH) || path_matches(r, pg_op_askable(op));
}

uint64_t pg_match_calls(const struct pg_rule *r)
{
	bool follows = (pg_has(r, PG_F_AT) || pg_has(r, PG_F_EOF)) && pg_rule_reads(r);

	return r->calls | (follows ? pg_rule_in_calls() : 0);
}

/* A socket without a name may still be given one. */
bool pg_match_possible(const struct pg_op *op, uint64_t *rules, uint64_t *calls)
{
	const struct pg_object *o = op->object;
	bool socket = kinds_of(o) & PG_KINDS_SOCKET;

	*rules = *calls = 0;
	for (unsigned n = 0; n < pg_rules.n; n++) {
		if (!object_matches(n, op))
			continue;
		*rules |= BIT(n);
		*calls |= pg_match_calls(&pg_rules.rule[n]);
	}
	return !socket || !(pg_rules.wants & PG_LOOK_NAMES) || o->local.port ||
	       o->side != PG_NO_SIDE || o->kind == PG_UNIX;
}

bool pg_match(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!object_matches(n, op))
		return false;
	if (pg_has(r, PG_F_LEN) && (op->bytes < 0 || !in_ranges(&r->len, op->bytes)))
		return false;
	if (pg_has(r, PG_F_SEEN) && !seen_matches(r, op))
		return false;
	if (pg_has(r, PG_F_THREAD) && !thread_matches(r, op))
		return false;
	if (pg_has(r, PG_F_CALLER) || pg_has(r, PG_F_STACK) || pg_has(r, PG_F_SITE))
		return stack_matches(r, op->caller);
	return true;
}

/* ---- triggers ---- */

static uint64_t add_one(uint64_t *at)
{
	return __atomic_add_fetch(at, 1, __ATOMIC_RELAXED);
}

/* Where something is counted; AT a null pointer: there is no room. TAG: 0, the whole word counts;
 * else see struct pair. */
struct place {
	uint64_t *at, tag;
};

static inline uint64_t count_in(uint64_t word, uint64_t tag)
{
	if (!tag)
		return word;
	return word >> COUNT_BITS == tag >> COUNT_BITS ? word - tag : 0;
}

/* The calls, or firings, of rule N in its scope. */
static struct place place_of(unsigned n, const struct pg_op *op, bool fired)
{
	struct pair *p;

	switch (pg_rules.rule[n].scope) {
	case PG_SCOPE_THREAD:
		return (struct place){thread_counter(n, fired, op->thread), 0};
	case PG_SCOPE_FD:
		p = op->object->story ? object_counts(n, op->object->story) : NULL;
		if (!p)
			return (struct place){NULL, 0};
		return (struct place){fired ? &p->fired : &p->matched,
				      tag_of(n, op->object->story)};
	case PG_SCOPE_RULE:
		break;
	}
	return (struct place){fired ? &sum_of(n)->fired : &sum_of(n)->matched, 0};
}

/* One more. Returns how many; 0: it cannot be counted. */
static uint64_t count_scope(unsigned n, const struct pg_op *op, bool fired)
{
	struct place p = place_of(n, op, fired);
	uint64_t word, count;

	if (!p.at || !p.tag)
		return p.at ? add_one(p.at) : 0;
	word = PG_GET(*p.at);
	do
		count = count_in(word, p.tag) + 1;
	while (!__atomic_compare_exchange_n(p.at, &word, p.tag + count, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return count;
}

/* The N-th draw of rule RULE: the same for the same seed, whatever else the program does. */
static bool drawn(const struct pg_rule *r, unsigned rule, uint64_t n)
{
	uint64_t h = pg_mix(pg_mix(pg_mix(0x2545f4914f6cdd1du, pg_config.seed), rule + 1), n);

	return (pg_mix(h, h >> 32) >> 32) < r->prob;
}

uint64_t pg_match_count(unsigned n, const struct pg_op *op)
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
static inline bool count_unless(unsigned n, uint64_t *matched, const uint64_t *fired, uint64_t tag)
{
	uint64_t word = PG_GET(*matched), count;

	do {
		count = count_in(word, tag) + 1;
		if (is_turn(n, count) && count_in(PG_GET(*fired), tag) < pg_rules.rule[n].limit)
			return false;
	} while (!__atomic_compare_exchange_n(matched, &word, tag + count, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

/* The same in N's scope. What cannot be counted does not fire. */
static bool count_idle(unsigned n, const struct pg_op *op)
{
	struct place matched = place_of(n, op, false), fired = place_of(n, op, true);

	return !matched.at || !fired.at || count_unless(n, matched.at, fired.at, matched.tag);
}

static void count_back(unsigned n, const struct pg_op *op)
{
	struct place p = place_of(n, op, false);

	if (p.at)
		__atomic_sub_fetch(p.at, 1, __ATOMIC_RELAXED);
}

bool pg_match_is_inside(unsigned n, const struct pg_op *op)
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

bool pg_match_idle(const struct pg_op *op)
{
	for (unsigned n = 0; n < pg_rules.n; n++) {
		bool cuts = pg_rules.rule[n].calls & op->bits && pg_match_is_inside(n, op) &&
			    pg_match(n, op);

		if (!cuts && (!counts(n, op) || count_idle(n, op)))
			continue;
		unmade(n, op);
		return false;
	}
	return true;
}

void pg_match_unmade(const struct pg_op *op)
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

bool pg_match_asks(int fd, uint64_t bit)
{
	unsigned n = waiting(pg_fd(fd), bit);
	struct sum *s;

	if (pg_confined || n == UNKNOWN)
		return true;
	if (n == NO_RULE)
		return false;
	s = sum_of(n);
	return !count_unless(n, &s->matched, &s->fired, 0);
}

void pg_match_refused(int fd, uint64_t bit, int err)
{
	unsigned n = waiting(pg_fd(fd), bit);
	bool for_its_arguments = err == EFAULT || err == EBADF || err == ENOTSOCK || err == EINVAL;

	if (n < NO_RULE && !pg_confined && for_its_arguments)
		__atomic_sub_fetch(&sum_of(n)->matched, 1, __ATOMIC_RELAXED);
}

bool pg_match_fires(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];
	uint64_t count = pg_match_count(n, op);

	if (!count || !is_turn(n, count))
		return false;
	count = count_scope(n, op, true);
	if (!count || count > r->limit)
		return false;
	pg_page_count(r->serial);
	if (r->scope != PG_SCOPE_RULE)
		add_one(&sum_of(n)->fired);
	return true;
}

uint64_t pg_match_fired(unsigned n)
{
	uint64_t fired = PG_GET(sum_of(n)->fired);

	if (pg_rules.rule[n].scope == PG_SCOPE_RULE && fired > pg_rules.rule[n].limit)
		return pg_rules.rule[n].limit;
	return fired;
}

/* Does a connection to O count for R, at an attempt or when it stands? */
static bool counts_for(const struct pg_rule *r, const struct pg_object *o, bool attempt)
{
	if (o->side == PG_SERVER) /* what only watches connect never meets it */
		return !pg_rule_only_connects(r);
	return attempt == pg_rule_connects(r);
}

/* The connection's number for every rule with conn= that counts at this moment. */
static void count_connection(int fd, const struct pg_object *o, bool attempt)
{
	struct pg_op op = {.object = o, .fd = fd};
	struct pg_story *s = o->story;

	for (uint64_t left = s ? pg_rules.numbering : 0; left; left &= left - 1) {
		unsigned n = (unsigned)__builtin_ctzll(left);
		const struct pg_rule *r = &pg_rules.rule[n];

		if (!counts_for(r, o, attempt))
			continue;
		s->conn[r->conn_slot] = 0;
		if (connection_matches(n, &op))
			s->conn[r->conn_slot] = (uint64_t)r->serial << 32 |
						(uint32_t)add_one(&sum_of(n)->connections);
	}
}

void pg_match_attempt(int fd, const struct pg_object *o)
{
	count_connection(fd, o, true);
}

void pg_match_stands(int fd, const struct pg_object *o)
{
	count_connection(fd, o, false);
}

void pg_match_connection(int fd)
{
	struct pg_object o;

	if (!pg_rules.numbering || !pg_fd(fd))
		return;
	pg_look_for(fd, &o, pg_rules.numbering_wants, true);
	count_connection(fd, &o, false);
}
