/* SPDX-License-Identifier: MIT */
#include "rules/match.h"

#include "base/ip.h"
#include "who/stack.h"
#include "who/symbol.h"

#include <sys/prctl.h>

static bool in_ranges(const struct pg_ranges *rs, int64_t v)
{
	const struct pg_range *r = &pg_rules.range[rs->at];

	for (unsigned i = 0; i < rs->n; i++)
		if (v >= r[i].lo && v <= r[i].hi)
			return !rs->negate;
	return rs->negate;
}

/* Word I of WS as a string. */
static const char *word(const struct pg_words *ws, unsigned i, char buf[128])
{
	struct pg_word w = pg_rules.word[ws->at + i];
	size_t n = w.len < 127 ? w.len : 127;

	pg_copy(buf, n + 1, pg_rules.text + w.at);
	return buf;
}

static bool any_glob(const struct pg_words *ws, const char *s)
{
	char buf[128];

	for (unsigned i = 0; i < ws->n; i++)
		if (pg_glob(word(ws, i, buf), s))
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

static bool able_to(unsigned n, const struct pg_object *o)
{
	bool socket = kinds_of(o) & PG_KINDS_SOCKET;

	return pg_rules.rule[n].able & kinds_of(o) &&
	       (!socket || o->stream || !(pg_rules.rule[n].fields & pg_fields_with(PG_OF_STREAM)));
}

/* ---- what is to be known of a descriptor ---- */

#define BIT(f) ((uint64_t)1 << (f))

static unsigned wants_of(const struct pg_rule *r)
{
	bool any_socket = (r->able & PG_KINDS_SOCKET) == PG_KINDS_SOCKET;
	unsigned wants = 0;

	if (!any_socket || r->fields & pg_fields_with(PG_OF_STREAM) ||
	    (r->able & PG_KINDS_OTHER) != PG_KINDS_OTHER)
		wants |= PG_LOOK_KIND;
	if (r->fields & pg_fields_with(PG_OF_NAMES))
		wants |= PG_LOOK_NAMES;
	return wants;
}

static void add_streams(struct pg_rule_set *set, const struct pg_rule *r)
{
	if (!(r->fields & pg_fields_with(PG_COUNTS_BYTES)))
		return;
	set->streams[false] |= (r->calls & (pg_calls_in(PG_ROLE_OUT) | PG_STDIO_BIT)) != 0;
	set->streams[true] |= (r->calls & pg_calls_in(PG_ROLE_IN)) != 0;
}

static void add_facts(struct pg_rule_set *set, unsigned n)
{
	struct pg_rule *r = &set->rule[n];
	unsigned wants = wants_of(r);

	set->wants |= wants;
	add_streams(set, r);
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
	set->streams[false] = set->streams[true] = false;
	for (unsigned n = 0; n < set->n; n++) {
		set->rule[n].fd_slot = (uint8_t)(set->rule[n].serial % PG_RULE_SLOTS);
		add_facts(set, n);
	}
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
		const struct pg_net *net = &pg_rules.net[r->net + i];
		bool hit = net->family == AF_UNIX ? pg_glob(word(&r->peer, i, buf), o->peer_path)
						  : in_net(net, &o->peer);

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
static PG_COLD bool long_path_matches(const struct pg_rule *r, int fd)
{
	enum { MOST = 4096 + 16 };
	void *room = NULL;
	char *path = pg_map_once(&room, MOST);
	bool matches;

	if (!path)
		return false;
	pg_fd_name(fd, path, MOST);
	matches = any_glob(&r->path, path);
	pg_sys2(SYS_munmap, path, MOST);
	return matches;
}

/* proc(5): the link of a path that is longer than a page cannot be read. */
static __attribute__((noinline)) bool path_matches(const struct pg_rule *r, int fd)
{
	char path[512];

	if (pg_fd_name(fd, path, sizeof path) == (long)sizeof path - 1)
		return long_path_matches(r, fd);
	return any_glob(&r->path, path);
}

static bool thread_matches(const struct pg_rule *r, const struct pg_op *op)
{
	char name[16] = "";

	if (op->thread_name)
		return any_glob(&r->thread, op->thread_name);
	pg_sys2(SYS_prctl, PR_GET_NAME, name);
	return any_glob(&r->thread, name);
}

/* Is WANTED a MODULE+0xOFF without a sign that stands for others? Then OFFSET. */
static bool is_offset(const char *wanted, uintptr_t *offset)
{
	const char *digits = NULL;

	for (const char *p = wanted; *p; p++) {
		if (*p == '*' || *p == '?' || *p == '[' || *p == '\\')
			return false;
		if (pg_prefix(p, "+0x"))
			digits = p + 3;
	}
	*offset = 0;
	for (const char *p = digits; p && *p; p++) {
		bool decimal = *p >= '0' && *p <= '9';

		if ((!decimal && (*p < 'a' || *p > 'f')) || p - digits >= 2 * (long)sizeof *offset)
			return false;
		*offset = *offset << 4 | (uintptr_t)(*p - (decimal ? '0' : 'a' - 10));
	}
	return digits && *digits;
}

/* Is it M's, OFFSET into it? */
static bool is_at(const char *wanted, const struct pg_module *m, uintptr_t offset)
{
	char buf[PG_MODULE_NAME + 24];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_put(&t, m->name);
	pg_put_char(&t, '+');
	pg_put_hex(&t, offset);
	buf[t.len] = 0;
	return pg_same(wanted, buf);
}

/* MODULE+0xOFF, MODULE or SYMBOL. The first is told by its offset from most others. */
static __attribute__((noinline)) bool frame_is(const char *wanted, uintptr_t addr)
{
	char symbol[PG_SYMBOL_MAX];
	struct pg_module room;
	const struct pg_module *m = pg_module_at(addr, &room);
	uintptr_t offset;

	if (!m)
		return false;
	if (pg_glob(wanted, m->name))
		return true;
	if (is_offset(wanted, &offset))
		return offset == addr - m->base && is_at(wanted, m, offset);
	if (is_at(wanted, m, addr - m->base))
		return true;
	return pg_symbol_at(m, addr, symbol, sizeof symbol, &offset) && pg_glob(wanted, symbol);
}

static bool frames_match(const struct pg_words *ws, const uintptr_t *frames, unsigned n)
{
	char buf[128];

	for (unsigned i = 0; i < ws->n; i++)
		for (unsigned f = 0; f < n; f++)
			if (frame_is(word(ws, i, buf), frames[f]))
				return !ws->negate;
	return ws->negate;
}

static bool site_matches(const struct pg_rule *r, struct pg_module *room, const uintptr_t *frames,
			 unsigned n)
{
	uint64_t site = pg_stack_site(room, frames, n);

	for (unsigned i = 0; i < r->site.n; i++)
		if (pg_rules.site[r->site.at + i] == site)
			return !r->site.negate;
	return r->site.negate;
}

bool pg_match_asks_stack(const struct pg_rule *r)
{
	return r->fields & (BIT(PG_F_CALLER) | BIT(PG_F_STACK) | BIT(PG_F_SITE));
}

/* The first frame, where it is told without the others; else 0. */
static uintptr_t first_frame(struct pg_cursor *c, uintptr_t caller)
{
	uintptr_t first;

	if (pg_stack_begins_at(&c->room, caller))
		return caller;
	if (!pg_stack_walk(c, &first, 1, NULL) || !pg_module_at(first, &c->room))
		return 0;
	return first;
}

/* The whole stack is walked only where the first frame does not decide. */
static bool stack_matches(const struct pg_rule *r, uintptr_t caller)
{
	uintptr_t frames[PG_FRAMES_MAX];
	struct pg_cursor c;
	unsigned most = pg_has(r, PG_F_STACK) ? PG_FRAMES_MAX : PG_SITE_FRAMES;
	unsigned n;

	if (pg_has(r, PG_F_CALLER) && (frames[0] = first_frame(&c, caller)) &&
	    !frames_match(&r->caller, frames, 1))
		return false;
	n = pg_stack_walk(&c, frames, most, NULL);
	if (!n && caller) {
		frames[n++] = caller;
		c.proved = 1;
	}
	if (pg_has(r, PG_F_CALLER) && !frames_match(&r->caller, frames, n ? 1 : 0))
		return false;
	if (pg_has(r, PG_F_STACK) && !frames_match(&r->stack, frames, n))
		return false;
	return !pg_has(r, PG_F_SITE) || site_matches(r, &c.room, frames, c.proved);
}

bool pg_match_is_elsewhere(const struct pg_op *op)
{
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];

		if (r->calls & op->bits &&
		    (!pg_match_asks_stack(r) || stack_matches(r, op->caller)))
			return false;
	}
	return true;
}

static bool seen_matches(const struct pg_rule *r, const struct pg_op *op)
{
	const struct pg_warning *w = op->object->warned;

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
		return pg_fields_with(PG_IS_FOR_GOOD) >> what & 1;
	return what == PG_F_LINGER && o->story && o->story->lingers;
}

bool pg_match_connection(unsigned n, const struct pg_op *op)
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

	if (!pg_match_connection(n, op))
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

bool pg_match_but_stack(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!object_matches(n, op))
		return false;
	if (pg_has(r, PG_F_LEN) && (op->bytes < 0 || !in_ranges(&r->len, op->bytes)))
		return false;
	if (pg_has(r, PG_F_SEEN) && !seen_matches(r, op))
		return false;
	return !pg_has(r, PG_F_THREAD) || thread_matches(r, op);
}

bool pg_match(unsigned n, const struct pg_op *op)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	return pg_match_but_stack(n, op) &&
	       (!pg_match_asks_stack(r) || stack_matches(r, op->caller));
}
