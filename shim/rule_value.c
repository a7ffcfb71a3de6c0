/* SPDX-License-Identifier: MIT */
/* One reader for the value of each field. */
#include "names.h"
#include "rule_parts.h"

#include <sys/socket.h>

/* Numbers up to here are told apart; greater ones are too big for every field. */
static const uint64_t number_max = (uint64_t)1 << 53;

enum { NS = 1, US = 1000 * NS, MS = 1000 * US, S = 1000 * MS };
static const uint64_t duration_max = (uint64_t)1000000 * S;

/* What is left of a value. */
struct rest {
	const char *s, *end;
};

typedef bool read_fn(struct pg_parse *p, enum pg_field f, struct pg_word v);
typedef bool one_fn(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n);

static struct rest rest_of(const struct pg_parse *p, struct pg_word w)
{
	return (struct rest){p->text + w.at, p->text + w.at + w.len};
}

static bool done(const struct rest *r)
{
	return r->s == r->end;
}

static bool take(struct rest *r, const char *word)
{
	size_t n = pg_len(word);

	if ((size_t)(r->end - r->s) < n || !pg_prefix(r->s, word))
		return false;
	r->s += n;
	return true;
}

/* Digits; what is beyond number_max is just number_max + 1. */
static bool take_number(struct rest *r, uint64_t *out)
{
	const char *start = r->s;
	uint64_t v = 0;

	for (; !done(r) && *r->s >= '0' && *r->s <= '9'; r->s++)
		if (v <= number_max)
			v = v * 10 + (uint64_t)(*r->s - '0');
	*out = v <= number_max ? v : number_max + 1;
	return r->s != start;
}

/* ".25": 25 of 100. Without a point: 0 of 1. False: no digits, or more than MOST of them. */
static bool take_decimals(struct rest *r, unsigned most, uint64_t *part, uint64_t *of)
{
	*part = 0;
	*of = 1;
	if (!take(r, "."))
		return true;
	for (; !done(r) && *r->s >= '0' && *r->s <= '9' && most; r->s++, most--, *of *= 10)
		*part = *part * 10 + (uint64_t)(*r->s - '0');
	return *of > 1;
}

static bool fits(struct pg_parse *p, struct pg_word w, uint64_t v, uint64_t max)
{
	return v <= max ? true : pg_parse_fail(p, w, "a number that is too big:");
}

/* N, Nk, NM: bytes. */
static bool take_size(struct rest *r, uint64_t *out)
{
	unsigned shift;

	if (!take_number(r, out))
		return false;
	shift = take(r, "k") ? 10 : take(r, "M") ? 20 : 0;
	*out = *out <= number_max >> shift ? *out << shift : number_max + 1;
	return true;
}

static bool read_size(struct pg_parse *p, struct pg_word w, uint64_t *out)
{
	struct rest r = rest_of(p, w);

	if (!take_size(&r, out) || !done(&r))
		return pg_parse_fail(p, w, "not a size (512, 64k, 1M):");
	return fits(p, w, *out, number_max);
}

static bool read_duration(struct pg_parse *p, struct pg_word w, uint64_t *out)
{
	struct rest r = rest_of(p, w);
	uint64_t v, part, of, unit;

	if (!take_number(&r, &v) || !take_decimals(&r, 9, &part, &of))
		return pg_parse_fail(p, w, "not a duration (250us, 1.5ms, 2s):");
	if (done(&r))
		return pg_parse_fail(p, w, "a duration without its unit (us, ms or s):");
	unit = take(&r, "us") ? US : take(&r, "ms") ? MS : take(&r, "s") ? S : 0;
	if (!unit || !done(&r))
		return pg_parse_fail(p, w, "not a duration (250us, 1.5ms, 2s):");
	if (v > duration_max / unit)
		return pg_parse_fail(p, w, "a duration of more than 1000000s:");
	*out = v * unit + part * unit / of;
	return true;
}

/* ---- lists ---- */

/* Calls ONE for every alternative of a comma list; a leading '!' sets NEGATE. */
static bool each(struct pg_parse *p, enum pg_field f, struct pg_word list, bool *negate,
		 one_fn *one)
{
	size_t at = list.at, end = list.at + list.len, stop;

	*negate = p->text[at] == '!';
	at += *negate;
	for (unsigned n = 0;; at = stop + 1, n++) {
		struct pg_word w;

		stop = pg_find(p->text, at, end, ',');
		w = pg_word(at, stop);
		if (!w.len)
			return pg_parse_fail_at(p, at, "an empty value in a list");
		if (n == PG_LIST_MAX)
			return pg_parse_fail(p, w, "more than 8 alternatives, from here on:");
		if (w.len > PG_WORD_MAX)
			return pg_parse_fail(p, w, "a word of more than 120 bytes:");
		if (p->text[at] == '!')
			return pg_parse_fail(p, w, "'!' stands once, before the whole list:");
		if (!one(p, f, w, n))
			return false;
		if (stop == end)
			return true;
	}
}

const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f)
{
	switch (f) {
	case PG_F_FD:
		return &r->fd;
	case PG_F_PORT:
		return &r->port;
	case PG_F_LPORT:
		return &r->lport;
	case PG_F_LEN:
		return &r->len;
	case PG_F_CONN:
		return &r->conn;
	default:
		return NULL;
	}
}

const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f)
{
	switch (f) {
	case PG_F_PATH:
		return &r->path;
	case PG_F_COMM:
		return &r->comm;
	case PG_F_THREAD:
		return &r->thread;
	case PG_F_CALLER:
		return &r->caller;
	case PG_F_STACK:
		return &r->stack;
	case PG_F_PEER:
		return &r->peer;
	default:
		return NULL;
	}
}

int64_t pg_range_max(enum pg_field f)
{
	if (f == PG_F_FD)
		return INT32_MAX;
	return f == PG_F_PORT || f == PG_F_LPORT ? UINT16_MAX : (int64_t)number_max;
}

/* N, N-, N-M; of len=, sizes. */
static bool one_range(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	struct pg_ranges *out = (struct pg_ranges *)(uintptr_t)pg_rule_ranges(p->rule, f);
	bool (*number)(struct rest *, uint64_t *) = f == PG_F_LEN ? take_size : take_number;
	uint64_t lo, hi, max = (uint64_t)pg_range_max(f);
	struct rest r = rest_of(p, w);
	bool ok = number(&r, &lo);

	hi = lo;
	if (ok && take(&r, "-")) {
		hi = max;
		ok = done(&r) || number(&r, &hi);
	}
	if (!ok || !done(&r))
		return pg_parse_fail(p, w, "not a number or a range (3, 3-7, 10-):");
	if (!fits(p, w, lo, max) || !fits(p, w, hi, max))
		return false;
	if (lo > hi)
		return pg_parse_fail(p, w, "a range that is empty:");
	if (f == PG_F_CONN && !lo)
		return pg_parse_fail(p, w, "connections count from 1:");
	out->r[n] = (struct pg_range){(int64_t)lo, (int64_t)hi};
	out->n = (uint8_t)(n + 1);
	return true;
}

/* Do the ranges leave nothing out? */
static bool covers_all(const struct pg_ranges *rs, int64_t next, int64_t max)
{
	for (unsigned i = 0; i < rs->n && next <= max; i++) {
		if (rs->r[i].lo > next || rs->r[i].hi < next)
			continue;
		next = rs->r[i].hi + 1;
		i = UINT32_MAX; /* again from the first */
	}
	return next > max;
}

static bool read_ranges(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_ranges *out = (struct pg_ranges *)(uintptr_t)pg_rule_ranges(p->rule, f);

	if (!each(p, f, v, &out->negate, one_range))
		return false;
	if (out->negate && covers_all(out, f == PG_F_CONN, pg_range_max(f)))
		return pg_parse_fail(p, v, "can never fire, no number is left by");
	return true;
}

static bool read_conn(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	unsigned before = 0;

	for (unsigned i = 0; i < p->out->n; i++)
		before += pg_has(&p->out->rule[i], f);
	if (before == PG_CONN_RULES)
		return pg_parse_fail(p, p->rule->raw[f], "more than 4 rules with conn=:");
	p->rule->conn_slot = (uint8_t)before;
	return read_ranges(p, f, v);
}

static bool one_word(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	struct pg_words *out = (struct pg_words *)(uintptr_t)pg_rule_words(p->rule, f);

	out->w[n] = w;
	out->n = (uint8_t)(n + 1);
	return true;
}

/* A link of /proc/self/fd: a path, or "socket:[1]" and the like. */
static bool one_path(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	const char *text = p->text;
	size_t end = w.at + w.len;

	if (text[w.at] == '/')
		return one_word(p, f, w, n);
	for (size_t at = w.at; at < end; at++)
		if (text[at] == '*' || text[at] == '?' || text[at] == '[' || text[at] == ':')
			return one_word(p, f, w, n);
	return pg_parse_fail(p, w, "can never fire, a path starts with '/':");
}

static bool read_path(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	return each(p, f, v, &p->rule->path.negate, one_path);
}

static bool has_folder(const struct pg_parse *p, struct pg_word w)
{
	return pg_find(p->text, w.at, w.at + w.len, '/') < w.at + w.len;
}

static bool one_comm(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	if (has_folder(p, w))
		return pg_parse_fail(p, w, "can never fire, a program's name has no '/':");
	return one_word(p, f, w, n);
}

static bool read_comm(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	return each(p, f, v, &p->rule->comm.negate, one_comm);
}

/* The kernel keeps 15 bytes of a thread's name. */
static bool one_thread(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	size_t end = w.at + w.len, bytes = 0;

	for (size_t at = w.at; at < end; at = pg_step(p->text, at, end))
		bytes += p->text[at] != '*';
	if (bytes > 15)
		return pg_parse_fail(p, w, "can never fire, a thread's name has 15 bytes at most:");
	return one_word(p, f, w, n);
}

static bool read_thread(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	return each(p, f, v, &p->rule->thread.negate, one_thread);
}

/* 1c01: lower case, no leading zero, as logs print it. */
static bool plain_hex(const struct rest *r)
{
	for (const char *s = r->s; s < r->end; s++)
		if (!(*s >= '0' && *s <= '9') && !(*s >= 'a' && *s <= 'f'))
			return false;
	return r->end - r->s == 1 || (!done(r) && *r->s != '0');
}

/* SYMBOL, MODULE, or MODULE+0xOFFSET, which is compared byte by byte. */
static bool one_frame(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	struct rest r = rest_of(p, w);

	if (has_folder(p, w))
		return pg_parse_fail(p, w, "can never fire, a module's name has no '/':");
	for (; !done(&r); r.s++)
		if (take(&r, "+0x"))
			return plain_hex(&r) ? one_word(p, f, w, n)
					     : pg_parse_fail(p, w,
							     "not MODULE+0xOFFSET as in logs "
							     "(app+0x1c01):");
	return one_word(p, f, w, n);
}

static bool read_frames(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_words *out = (struct pg_words *)(uintptr_t)pg_rule_words(p->rule, f);

	return each(p, f, v, &out->negate, one_frame);
}

/* ---- selectors ---- */

static bool one_kind(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	unsigned kinds = 0;

	(void)f, (void)n;
	if (!pg_named_read(p, w, pg_kind_words, "unknown kind", &kinds))
		return false;
	p->rule->kinds |= (uint8_t)kinds;
	return true;
}

static bool read_kind(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	bool negate;

	if (!each(p, f, v, &negate, one_kind))
		return false;
	if (negate)
		p->rule->kinds = (uint8_t)~p->rule->kinds;
	return p->rule->kinds ? true : pg_parse_fail(p, v, "can never fire, no kind is left by");
}

static bool read_side(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	unsigned side = 0;

	(void)f;
	if (!pg_named_read(p, v, pg_side_words, "unknown side", &side))
		return false;
	p->rule->side = (uint8_t)side;
	return true;
}

static bool one_seen(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	unsigned seen = 0;

	(void)f, (void)n;
	if (!pg_named_read(p, w, pg_seen_words, "unknown warning", &seen))
		return false;
	p->rule->seen |= (uint8_t)seen;
	return true;
}

static bool read_seen(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	bool negate;

	if (p->text[v.at] == '!')
		return pg_parse_fail(p, v, "seen= cannot be negated:");
	return each(p, f, v, &negate, one_seen);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, MOST of them at the most. */
static bool take_hex(struct rest *r, unsigned most, uint64_t *out)
{
	const char *start = r->s;

	for (*out = 0; !done(r) && most && hex_value(*r->s) >= 0; r->s++, most--)
		*out = *out << 4 | (uint64_t)hex_value(*r->s);
	return r->s != start;
}

static bool one_site(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	struct rest r = rest_of(p, w);

	(void)f;
	take(&r, "0x");
	if (!take_hex(&r, 16, &p->rule->site[n]) || !done(&r))
		return pg_parse_fail(p, w, "not a site (16 hexadecimal digits at most):");
	p->rule->sites = (uint8_t)(n + 1);
	return true;
}

static bool read_site(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	return each(p, f, v, &p->rule->not_site, one_site);
}

/* ---- peer ---- */

/* a.b.c.d; a leading zero is refused, since some would read an octal number. */
static bool take_ip4(struct rest *r, uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;
		const char *digits;

		if (i && !take(r, "."))
			return false;
		digits = r->s;
		if (!take_number(r, &v) || v > 255 || (*digits == '0' && r->s > digits + 1))
			return false;
		ip[i] = (uint8_t)v;
	}
	return true;
}

/* One group of an IPv6 address at IP, or the a.b.c.d that ends one. Returns the bytes, 0: neither.
 */
static unsigned take_group(struct rest *r, uint8_t *ip, unsigned room)
{
	struct rest dotted = *r;
	uint64_t v;

	if (room >= 4 && take_ip4(&dotted, ip)) {
		*r = dotted;
		return 4;
	}
	if (room < 2 || !take_hex(r, 4, &v))
		return 0;
	ip[0] = (uint8_t)(v >> 8);
	ip[1] = (uint8_t)v;
	return 2;
}

/* What stands behind "::", at GAP in the N bytes of IP, belongs to the end. */
static void spread(uint8_t ip[16], unsigned gap, unsigned n)
{
	unsigned behind = n - gap;

	for (unsigned i = 1; i <= behind; i++)
		ip[16 - i] = ip[n - i];
	for (unsigned i = gap; i < 16 - behind; i++)
		ip[i] = 0;
}

static bool take_ip6(struct rest *r, uint8_t ip[16])
{
	unsigned n = 0, got;
	int gap = take(r, "::") ? 0 : -1;

	while ((got = take_group(r, ip + n, 16 - n))) {
		n += got;
		if (got == 4)
			break;
		if (gap < 0 && take(r, "::"))
			gap = (int)n;
		else if (n == 16 || !take(r, ":"))
			break;
	}
	if (gap < 0)
		return n == 16;
	if (n == 16 || r->s[-1] == ':')
		return n < 16 && gap == (int)n;
	spread(ip, (unsigned)gap, n);
	return true;
}

static void clear_host(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i<16; i++, bits = bits> 8 ? bits - 8 : 0)
		ip[i] &= (uint8_t)(0xff00 >> (bits < 8 ? bits : 8));
}

/* An IP address, a network, [v6], or the glob of a path. */
static bool one_peer(struct pg_parse *p, enum pg_field f, struct pg_word w, unsigned n)
{
	struct pg_net *net = &p->rule->net[n];
	struct rest r = rest_of(p, w);
	uint64_t bits;
	bool ok, v6 = take(&r, "[");

	one_word(p, f, w, n);
	if (!v6 && (*r.s == '/' || *r.s == '@' || *r.s == '*')) {
		net->family = AF_UNIX;
		return true;
	}
	net->family = v6 ? AF_INET6 : AF_INET;
	bits = v6 ? 128 : 32;
	ok = v6 ? take_ip6(&r, net->ip) && take(&r, "]") : take_ip4(&r, net->ip);
	if (ok && take(&r, "/"))
		ok = take_number(&r, &bits) && bits <= (v6 ? 128 : 32);
	if (!ok || !done(&r))
		return pg_parse_fail_near(
			p, w,
			"not an address (10.0.0.9, 10.0.0.0/8, [::1], [fd00::]/8) "
			"or the glob of a path (/run/*):",
			pg_word_is(p, w, "localhost") ? "127.0.0.1" : NULL);
	net->bits = (uint8_t)bits;
	clear_host(net->ip, net->bits);
	return true;
}

static bool read_peer(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	return each(p, f, v, &p->rule->peer.negate, one_peer);
}

/* ---- triggers ---- */

/* FIRST[..LAST][+[STEP]], strace's. */
static bool read_when(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *rule = p->rule;
	struct rest r = rest_of(p, v);
	bool ok = take_number(&r, &rule->first);

	(void)f;
	rule->last = rule->first;
	if (ok && take(&r, ".."))
		ok = take_number(&r, &rule->last);
	else if (ok && !done(&r) && *r.s == '+')
		rule->last = UINT64_MAX;
	if (ok && take(&r, "+") && !done(&r))
		ok = take_number(&r, &rule->step);
	if (!ok || !done(&r))
		return pg_parse_fail(p, v, "not FIRST[..LAST][+[STEP]] (3, 2..5, 2+, 1..9+2):");
	if (rule->first > number_max || rule->step > number_max ||
	    (rule->last > number_max && rule->last != UINT64_MAX))
		return fits(p, v, 1, 0);
	if (!rule->first)
		return pg_parse_fail(p, v, "calls count from 1:");
	if (rule->last < rule->first)
		return pg_parse_fail(p, v, "can never fire, its last call is before its first:");
	if (!rule->step)
		return pg_parse_fail(p, v, "a step of 0:");
	if (rule->last == rule->first)
		rule->step = 1;
	return true;
}

static bool read_scope(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	unsigned scope = 0;

	(void)f;
	if (!pg_named_read(p, v, pg_scope_words, "unknown scope", &scope))
		return false;
	p->rule->scope = (enum pg_scope)scope;
	return true;
}

/* N% with up to six decimals. */
static bool read_prob(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct rest r = rest_of(p, v);
	uint64_t whole, part, of;

	(void)f;
	if (!take_number(&r, &whole) || !take_decimals(&r, 6, &part, &of))
		return pg_parse_fail(p, v, "not a probability (1%, 0.5%):");
	if (done(&r))
		return pg_parse_fail(p, v, "a probability without its '%':");
	if (!take(&r, "%") || !done(&r))
		return pg_parse_fail(p, v, "not a probability (1%, 0.5%, six decimals at most):");
	if (whole > 100 || (whole == 100 && part))
		return pg_parse_fail(p, v, "more than 100%:");
	if (!whole && !part)
		return pg_parse_fail(p, v, "can never fire:");
	p->rule->prob = (whole * of + part) * PG_PROB_ALWAYS / (100 * of);
	return true;
}

static bool read_limit(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct rest r = rest_of(p, v);

	(void)f;
	if (!take_number(&r, &p->rule->limit) || !done(&r))
		return pg_parse_fail(p, v, "not a number:");
	if (!p->rule->limit)
		return pg_parse_fail(p, v, "can never fire:");
	return fits(p, v, p->rule->limit, number_max);
}

/* after= and for=, hold= and delay=. */
static bool read_time(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *r = p->rule;
	uint64_t *out = f == PG_F_AFTER	 ? &r->after
			: f == PG_F_FOR	 ? &r->during
			: f == PG_F_HOLD ? &r->hold
					 : &r->delay;

	*out = (uint64_t)PG_HOLD_SECONDS * S;
	if (v.len && !read_duration(p, v, out))
		return false;
	return f != PG_F_FOR || *out ? true : pg_parse_fail(p, v, "can never fire:");
}

/* ---- actions ---- */

/* at=, short= and garbage=. */
static bool read_bytes(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	struct pg_rule *r = p->rule;
	uint64_t *out = f == PG_F_AT ? &r->at : f == PG_F_SHORT ? &r->shorten : &r->garbage;

	*out = UINT64_MAX;
	if (v.len && !read_size(p, v, out))
		return false;
	return *out || f == PG_F_AT ? true : pg_parse_fail(p, v, "no bytes:");
}

/* SIZE/DURATION */
static bool read_trickle(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	size_t end = v.at + v.len, slash = pg_find(p->text, v.at, end, '/');
	struct pg_word size = pg_word(v.at, slash);

	(void)f;
	if (slash == end || slash == v.at || slash + 1 == end)
		return pg_parse_fail(p, v, "not SIZE/DURATION (1/10ms, 4k/1s):");
	if (!read_size(p, size, &p->rule->trickle))
		return false;
	if (!p->rule->trickle)
		return pg_parse_fail(p, size, "no bytes:");
	return read_duration(p, pg_word(slash + 1, end), &p->rule->trickle_every);
}

static bool read_error(struct pg_parse *p, enum pg_field f, struct pg_word v)
{
	(void)f;
	for (unsigned i = 0; pg_errno_listed(i); i++) {
		if (!pg_word_is(p, v, pg_errno_name(pg_errno_listed(i))))
			continue;
		p->rule->error = pg_errno_listed(i);
		return true;
	}
	return pg_parse_fail_near(p, v, "unknown errno", pg_nearest_errno(p, v));
}

/* A null pointer: the field takes no value. */
static read_fn *const readers[PG_F_COUNT] = {
	[PG_F_FD] = read_ranges,     [PG_F_KIND] = read_kind,	    [PG_F_SIDE] = read_side,
	[PG_F_PEER] = read_peer,     [PG_F_PORT] = read_ranges,	    [PG_F_LPORT] = read_ranges,
	[PG_F_PATH] = read_path,     [PG_F_CONN] = read_conn,	    [PG_F_COMM] = read_comm,
	[PG_F_THREAD] = read_thread, [PG_F_LEN] = read_ranges,	    [PG_F_CALLER] = read_frames,
	[PG_F_STACK] = read_frames,  [PG_F_SITE] = read_site,	    [PG_F_SEEN] = read_seen,
	[PG_F_WHEN] = read_when,     [PG_F_SCOPE] = read_scope,	    [PG_F_AT] = read_bytes,
	[PG_F_AFTER] = read_time,    [PG_F_FOR] = read_time,	    [PG_F_PROB] = read_prob,
	[PG_F_LIMIT] = read_limit,   [PG_F_HOLD] = read_time,	    [PG_F_DELAY] = read_time,
	[PG_F_SHORT] = read_bytes,   [PG_F_TRICKLE] = read_trickle, [PG_F_GARBAGE] = read_bytes,
	[PG_F_ERROR] = read_error,
};

bool pg_value_taken(enum pg_field f)
{
	return readers[f] != NULL;
}

bool pg_value_optional(enum pg_field f)
{
	return f == PG_F_HOLD || f == PG_F_GARBAGE;
}

bool pg_value_read(struct pg_parse *p, enum pg_field f, struct pg_word value)
{
	return readers[f](p, f, value);
}
