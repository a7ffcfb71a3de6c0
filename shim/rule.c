/* SPDX-License-Identifier: MIT */
#include "rule.h"

#include "names.h"

#include <sys/socket.h>

_Static_assert(PG_CALL_accept4 < 63, "a SET is a word of bits, the last one stdio's");

enum { WORD_MAX = 100 };

/* The state of one parse. */
struct parse {
	struct pg_rules *out;
	struct pg_rule_error *error;
	struct pg_rule *rule;
	const char *at;	   /* the rule's text */
	size_t line_start; /* offset of the line the rule stands in */
	unsigned number;
};

/* A piece of the text under work, as a string of its own. */
struct token {
	char s[WORD_MAX + 1];
	size_t at, len; /* in the whole text */
};

typedef bool read_fn(struct parse *p, const struct token *value);

/* ---- errors ---- */

static bool fail_near(struct parse *p, size_t at, const char *what, const char *word,
		      const char *near)
{
	p->error->rule = p->number;
	p->error->column = (unsigned)(at - p->line_start + 1);
	p->error->what = what;
	pg_copy(p->error->word, sizeof p->error->word, word);
	p->error->near = near;
	return false;
}

static bool fail(struct parse *p, const struct token *t, const char *what)
{
	return fail_near(p, t->at, what, t->s, NULL);
}

/* ---- words ---- */

static const char *const field_names[PG_F_COUNT] = {
	"fd",	  "kind",    "side",	"peer",	    "port",  "lport", "path",  "conn",
	"comm",	  "thread",  "len",	"caller",   "stack", "site",  "seen",  "when",
	"scope",  "at",	     "after",	"for",	    "prob",  "limit", "hold",  "delay",
	"short",  "trickle", "garbage", "nosignal", "log",   "stop",  "abort", "reset",
	"refuse", "break",   "fin",	"eof",	    "error", "drop",  "stall", "pass",
};

static const char *const groups[] = {"%out", "%in", "%stdio", "%sock", "%conn", "%accept"};

enum group { NONE, OUT, IN, CONNECT, ACCEPT };

static enum group group_of(enum pg_call call)
{
	static const uint8_t of[PG_CALL_COUNT] = {
#define CALL(name, kernel, group, args) [PG_CALL_##name] = group,
#include "calls.def"
#undef CALL
	};

	return (enum group)of[call];
}

const char *pg_field_name(enum pg_field f)
{
	return f < PG_F_COUNT ? field_names[f] : NULL;
}

const char *pg_group_name(unsigned n)
{
	return n < sizeof groups / sizeof *groups ? groups[n] : NULL;
}

bool pg_rule_connects(const struct pg_rule *r)
{
	return r->calls & (PG_BIT(PG_CALL_connect) | PG_BIT(PG_CALL___connect));
}

bool pg_call_has_rules(enum pg_call call)
{
	return group_of(call) != NONE && pg_call_name(call)[0] != '_';
}

static uint64_t calls_of_groups(unsigned mask)
{
	uint64_t calls = 0;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (mask >> group_of((enum pg_call)call) & 1 &&
		    group_of((enum pg_call)call) != NONE)
			calls |= PG_BIT(call);
	return calls;
}

uint64_t pg_rule_out_calls(void)
{
	return calls_of_groups(1u << OUT) | PG_STDIO_BIT;
}

uint64_t pg_rule_in_calls(void)
{
	return calls_of_groups(1u << IN);
}

bool pg_rule_reads(const struct pg_rule *r)
{
	return r->calls & pg_rule_in_calls();
}

static void consider(const char *word, const char *candidate, const char **best, unsigned *distance)
{
	unsigned d = pg_distance(word, candidate);

	if (d < *distance && d < pg_len(candidate)) {
		*best = candidate;
		*distance = d;
	}
}

static const char *nearest_field(const char *word)
{
	const char *best = NULL;
	unsigned distance = 3;

	for (unsigned f = 0; f < PG_F_COUNT; f++)
		consider(word, field_names[f], &best, &distance);
	return best;
}

static const char *nearest_of(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned distance = 3;

	for (size_t i = 0; i < n; i++)
		consider(word, words[i], &best, &distance);
	return best;
}

static const char *nearest_call(const char *word)
{
	const char *best = NULL;
	unsigned distance = 3;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call))
			consider(word, pg_call_name((enum pg_call)call), &best, &distance);
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		consider(word, groups[i], &best, &distance);
	return best;
}

static const char *nearest_errno(const char *word)
{
	const char *best = NULL;
	unsigned distance = 3;

	for (unsigned i = 0; pg_errno_listed(i); i++)
		consider(word, pg_errno_name(pg_errno_listed(i)), &best, &distance);
	return best;
}

/* ---- pieces ---- */

/* Where the piece that starts at AT ends: at STOP, or at END. Brackets and backslashes protect. */
static size_t piece_end(const char *text, size_t at, size_t end, char stop)
{
	int depth = 0;

	for (; at < end; at++) {
		if (text[at] == '\\' && at + 1 < end)
			at++;
		else if (text[at] == '[')
			depth++;
		else if (text[at] == ']' && depth)
			depth--;
		else if (text[at] == stop && !depth)
			break;
	}
	return at < end ? at : end;
}

static bool take(struct parse *p, size_t at, size_t end, struct token *t)
{
	t->at = at;
	t->len = end - at;
	t->s[0] = 0;
	if (t->len > WORD_MAX)
		return fail_near(p, at, "a word is longer than 100 bytes", "", NULL);
	pg_copy(t->s, t->len + 1, p->out->text + at);
	return true;
}

/* Calls EACH for every alternative of a comma list; a leading '!' sets NEGATE. */
static bool each(struct parse *p, const struct token *list, bool *negate,
		 bool (*one)(struct parse *, const struct token *, unsigned))
{
	size_t at = list->at, end = list->at + list->len;
	unsigned n = 0;
	struct token t;

	if (p->out->text[at] == '!') {
		*negate = true;
		at++;
	}
	for (;; at++) {
		size_t stop = piece_end(p->out->text, at, end, ',');

		if (stop == at)
			return fail_near(p, at, "an empty value", "", NULL);
		if (n == PG_LIST_MAX)
			return fail_near(p, at, "more than 8 alternatives", "", NULL);
		if (!take(p, at, stop, &t) || !one(p, &t, n++))
			return false;
		at = stop;
		if (at == end)
			return true;
	}
}

/* ---- numbers ---- */

/* Digits from *S on. False if there are none, or too many. */
static bool digits(const char **s, uint64_t *out)
{
	const char *start = *s;
	uint64_t v = 0;

	for (; **s >= '0' && **s <= '9'; (*s)++) {
		if (v > (uint64_t)1 << 55)
			return false;
		v = v * 10 + (uint64_t)(**s - '0');
	}
	*out = v;
	return *s != start;
}

/* N, N-, N-M. */
static bool read_range(const char *s, int64_t max, struct pg_range *r)
{
	uint64_t lo, hi;

	if (!digits(&s, &lo))
		return false;
	hi = lo;
	if (*s == '-') {
		s++;
		hi = (uint64_t)max;
		if (*s && !digits(&s, &hi))
			return false;
	}
	*r = (struct pg_range){(int64_t)lo, (int64_t)hi};
	return !*s && lo <= (uint64_t)max && hi <= (uint64_t)max;
}

static bool one_range(struct parse *p, const struct token *t, struct pg_ranges *out, int64_t max,
		      const char *what)
{
	struct pg_range *r = &out->r[out->n++];

	if (!read_range(t->s, max, r))
		return fail(p, t, what);
	if (r->lo > r->hi)
		return fail(p, t, "a range that is empty");
	return true;
}

/* Bytes: N, Nk, NM. */
static bool bytes(struct parse *p, const struct token *t, uint64_t *out)
{
	const char *s = t->s;

	if (!digits(&s, out))
		return fail(p, t, "not a size (bytes, or with k or M):");
	if (*s == 'k')
		*out <<= 10, s++;
	else if (*s == 'M')
		*out <<= 20, s++;
	return *s ? fail(p, t, "not a size (bytes, or with k or M):") : true;
}

/* A time with its unit, to ns. */
static bool duration(struct parse *p, const struct token *t, uint64_t *out)
{
	static const char what[] = "not a duration (a number with us, ms or s):";
	const char *s = t->s;
	uint64_t v, unit = 0, part = 0, scale = 1;

	if (!digits(&s, &v))
		return fail(p, t, what);
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9' && scale < 1000000; s++, scale *= 10)
			part = part * 10 + (uint64_t)(*s - '0');
		if (scale == 1)
			return fail(p, t, what);
	}
	if (pg_same(s, "us"))
		unit = 1000;
	else if (pg_same(s, "ms"))
		unit = 1000000;
	else if (pg_same(s, "s"))
		unit = 1000000000;
	if (!unit)
		return fail(p, t, *s ? what : "a duration without its unit (us, ms or s):");
	if (v > 1000000)
		return fail(p, t, "a duration of more than 1000000 units:");
	*out = v * unit + part * unit / scale;
	return true;
}

/* ---- selectors ---- */

static bool one_fd(struct parse *p, const struct token *t, unsigned n)
{
	(void)n;
	return one_range(p, t, &p->rule->fd, 0x7fffffff, "not a descriptor or a range of them:");
}

static bool one_port(struct parse *p, const struct token *t, unsigned n)
{
	(void)n;
	return one_range(p, t, &p->rule->port, 65535, "not a port or a range of them:");
}

static bool one_lport(struct parse *p, const struct token *t, unsigned n)
{
	(void)n;
	return one_range(p, t, &p->rule->lport, 65535, "not a port or a range of them:");
}

static bool one_len(struct parse *p, const struct token *t, unsigned n)
{
	(void)n;
	return one_range(p, t, &p->rule->len, INT64_MAX / 2, "not a length or a range of them:");
}

static bool one_conn(struct parse *p, const struct token *t, unsigned n)
{
	(void)n;
	if (!one_range(p, t, &p->rule->conn, 1000000000, "not the number of a connection:"))
		return false;
	return p->rule->conn.r[p->rule->conn.n - 1].hi ? true
						       : fail(p, t, "connections count from 1:");
}

static bool read_fd(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->fd.negate, one_fd);
}

static bool read_port(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->port.negate, one_port);
}

static bool read_lport(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->lport.negate, one_lport);
}

static bool read_len(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->len.negate, one_len);
}

static bool read_conn(struct parse *p, const struct token *v)
{
	for (unsigned i = 0; i < p->out->n; i++)
		p->rule->conn_slot =
			(uint8_t)(p->rule->conn_slot + pg_has(&p->out->rule[i], PG_F_CONN));
	if (p->rule->conn_slot == PG_CONN_RULES)
		return fail(p, v, "more than 4 rules with conn=:");
	return each(p, v, &p->rule->conn.negate, one_conn);
}

static const struct {
	const char *name;
	uint8_t kinds;
} kinds[] = {
	{"pipe", PG_KINDS_PIPE},
	{"tcp", PG_KINDS_TCP4 | PG_KINDS_TCP6},
	{"tcp4", PG_KINDS_TCP4},
	{"tcp6", PG_KINDS_TCP6},
	{"unix", PG_KINDS_UNIX},
	{"udp", PG_KINDS_UDP},
	{"tty", PG_KINDS_TTY},
	{"file", PG_KINDS_FILE},
	{"socket",
	 PG_KINDS_TCP4 | PG_KINDS_TCP6 | PG_KINDS_UNIX | PG_KINDS_UDP | PG_KINDS_OTHER_SOCKET},
};

static bool one_kind(struct parse *p, const struct token *t, unsigned n)
{
	const char *names[sizeof kinds / sizeof *kinds];

	(void)n;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		names[i] = kinds[i].name;
		if (!pg_same(t->s, kinds[i].name))
			continue;
		p->rule->kinds |= kinds[i].kinds;
		return true;
	}
	return fail_near(p, t->at, "unknown kind", t->s,
			 nearest_of(t->s, names, sizeof kinds / sizeof *kinds));
}

static bool read_kind(struct parse *p, const struct token *v)
{
	bool negate = false;

	if (!each(p, v, &negate, one_kind))
		return false;
	if (negate)
		p->rule->kinds = (uint8_t)~p->rule->kinds;
	return true;
}

static bool read_side(struct parse *p, const struct token *v)
{
	static const char *const words[] = {"client", "server"};

	for (unsigned i = 0; i < 2; i++) {
		if (!pg_same(v->s, words[i]))
			continue;
		p->rule->side = (uint8_t)(i + 1);
		return true;
	}
	return fail_near(p, v->at, "unknown side", v->s, nearest_of(v->s, words, 2));
}

static bool one_seen(struct parse *p, const struct token *t, unsigned n)
{
	static const char *const words[] = {"eof", "reset", "hup", "refused"};

	(void)n;
	for (unsigned i = 0; i < 4; i++) {
		if (!pg_same(t->s, words[i]))
			continue;
		p->rule->seen |= (uint8_t)(1u << i);
		return true;
	}
	return fail_near(p, t->at, "unknown state", t->s, nearest_of(t->s, words, 4));
}

static bool read_seen(struct parse *p, const struct token *v)
{
	bool negate = false;

	if (!each(p, v, &negate, one_seen))
		return false;
	return negate ? fail(p, v, "'!' has no meaning in") : true;
}

static bool keep(struct parse *p, const struct token *t, struct pg_words *words)
{
	(void)p;
	words->w[words->n++] = (struct pg_word){(uint16_t)t->at, (uint16_t)t->len};
	return true;
}

#define WORD_LIST(field)                                                                           \
	static bool one_##field(struct parse *p, const struct token *t, unsigned n)                \
	{                                                                                          \
		(void)n;                                                                           \
		return keep(p, t, &p->rule->field);                                                \
	}                                                                                          \
	static bool read_##field(struct parse *p, const struct token *v)                           \
	{                                                                                          \
		return each(p, v, &p->rule->field.negate, one_##field);                            \
	}
WORD_LIST(path)
WORD_LIST(comm)
WORD_LIST(thread)
WORD_LIST(caller)
WORD_LIST(stack)

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool one_site(struct parse *p, const struct token *t, unsigned n)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; t->s[i] && i < 17 && hex_value(t->s[i]) >= 0; i++)
		v = v << 4 | (uint64_t)hex_value(t->s[i]);
	if (t->s[i] || i > 16)
		return fail(p, t, "not a site (hexadecimal digits, 16 at the most):");
	p->rule->site[n] = v;
	p->rule->sites = (uint8_t)(n + 1);
	return true;
}

static bool read_site(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->not_site, one_site);
}

/* a.b.c.d at *S. */
static bool read_ip4(const char **s, uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;

		if ((i && *(*s)++ != '.') || !digits(s, &v) || v > 255)
			return false;
		ip[i] = (uint8_t)v;
	}
	return true;
}

/* Groups of hexadecimal digits at *S into IP, from group I on; "::" at *GAP. Returns the groups
 * read, or -1. */
static int read_groups(const char **s, uint8_t *ip, int *gap)
{
	int n = 0;

	*gap = -1;
	if ((*s)[0] == ':' && (*s)[1] == ':')
		*gap = 0, *s += 2;
	while (n < 8 && hex_value(**s) >= 0) {
		unsigned v = 0;

		for (int i = 0; i < 4 && hex_value(**s) >= 0; i++)
			v = v << 4 | (unsigned)hex_value(*(*s)++);
		ip[2 * n] = (uint8_t)(v >> 8);
		ip[2 * n + 1] = (uint8_t)v;
		n++;
		if ((*s)[0] == ':' && (*s)[1] == ':' && *gap < 0)
			*gap = n, *s += 2;
		else if (**s == ':')
			(*s)++;
		else
			break;
	}
	return n;
}

static bool read_ip6(const char **s, uint8_t *ip)
{
	int gap, n = read_groups(s, ip, &gap);

	if (gap < 0)
		return n == 8;
	for (int i = n - 1; i >= gap; i--) { /* what stands behind "::" belongs to the end */
		int to = 8 - (n - i);

		ip[2 * to] = ip[2 * i];
		ip[2 * to + 1] = ip[2 * i + 1];
	}
	for (int i = gap; i < 8 - (n - gap); i++)
		ip[2 * i] = ip[2 * i + 1] = 0;
	return n < 8;
}

/* An IP address, a network, [v6], or the glob of a path. */
static bool one_peer(struct parse *p, const struct token *t, unsigned n)
{
	struct pg_net *net = &p->rule->net[n];
	const char *s = t->s;
	uint64_t bits;
	bool ok;

	keep(p, t, &p->rule->peer);
	if (*s == '/' || *s == '@' || *s == '*') {
		net->family = AF_UNIX;
		return true;
	}
	net->family = *s == '[' ? AF_INET6 : AF_INET;
	ok = *s == '[' ? (s++, read_ip6(&s, net->ip) && *s++ == ']') : read_ip4(&s, net->ip);
	bits = net->family == AF_INET ? 32 : 128;
	if (ok && *s == '/') {
		s++;
		ok = digits(&s, &bits) && bits <= (net->family == AF_INET ? 32 : 128);
	}
	net->bits = (uint8_t)bits;
	if (!ok || *s)
		return fail(p, t,
			    "not an address (1.2.3.4, 10.0.0.0/8, [::1], or the glob of a path):");
	return true;
}

static bool read_peer(struct parse *p, const struct token *v)
{
	return each(p, v, &p->rule->peer.negate, one_peer);
}

/* ---- triggers ---- */

/* FIRST[..LAST][+[STEP]], strace's. */
static bool read_when(struct parse *p, const struct token *v)
{
	static const char what[] = "not FIRST[..LAST][+[STEP]]:";
	struct pg_rule *r = p->rule;
	const char *s = v->s;

	if (!digits(&s, &r->first))
		return fail(p, v, what);
	r->last = r->first;
	if (s[0] == '.' && s[1] == '.') {
		s += 2;
		if (!digits(&s, &r->last))
			return fail(p, v, what);
	} else if (*s == '+') {
		r->last = UINT64_MAX;
	}
	r->step = 1;
	if (*s == '+' && *++s && !digits(&s, &r->step))
		return fail(p, v, what);
	if (*s)
		return fail(p, v, what);
	if (!r->first)
		return fail(p, v, "calls count from 1:");
	if (r->last < r->first)
		return fail(p, v, "can never fire, its last call is before its first:");
	return r->step ? true : fail(p, v, "a step of 0:");
}

static bool read_scope(struct parse *p, const struct token *v)
{
	static const char *const words[] = {"fd", "thread"};

	if (pg_same(v->s, "fd"))
		p->rule->scope = PG_SCOPE_FD;
	else if (pg_same(v->s, "thread"))
		p->rule->scope = PG_SCOPE_THREAD;
	else
		return fail_near(p, v->at, "unknown scope", v->s, nearest_of(v->s, words, 2));
	return true;
}

static bool read_at(struct parse *p, const struct token *v)
{
	return bytes(p, v, &p->rule->at);
}

static bool read_after(struct parse *p, const struct token *v)
{
	return duration(p, v, &p->rule->after);
}

static bool read_for(struct parse *p, const struct token *v)
{
	if (!duration(p, v, &p->rule->during))
		return false;
	return p->rule->during ? true : fail(p, v, "can never fire:");
}

/* N% with up to six decimals. */
static bool read_prob(struct parse *p, const struct token *v)
{
	const char *s = v->s;
	uint64_t whole, part = 0, scale = 1;

	if (!digits(&s, &whole))
		return fail(p, v, "not a probability (1%, 0.5%):");
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9' && scale < 1000000; s++, scale *= 10)
			part = part * 10 + (uint64_t)(*s - '0');
	if (!pg_same(s, "%"))
		return fail(p, v, "not a probability (1%, 0.5%):");
	if (whole > 100 || (whole == 100 && part))
		return fail(p, v, "more than 100%:");
	if (!whole && !part)
		return fail(p, v, "can never fire:");
	p->rule->prob = ((whole * scale + part) << 32) / (100 * scale);
	return true;
}

static bool read_limit(struct parse *p, const struct token *v)
{
	const char *s = v->s;

	if (!digits(&s, &p->rule->limit) || *s)
		return fail(p, v, "not a number:");
	return p->rule->limit ? true : fail(p, v, "can never fire:");
}

/* ---- actions ---- */

static bool read_hold(struct parse *p, const struct token *v)
{
	p->rule->hold = (uint64_t)5 * 1000000000;
	return !v->len || duration(p, v, &p->rule->hold);
}

static bool read_delay(struct parse *p, const struct token *v)
{
	return duration(p, v, &p->rule->delay);
}

static bool read_short(struct parse *p, const struct token *v)
{
	if (!bytes(p, v, &p->rule->shorten))
		return false;
	return p->rule->shorten ? true : fail(p, v, "a short call of no bytes:");
}

/* N/DUR */
static bool read_trickle(struct parse *p, const struct token *v)
{
	size_t slash = piece_end(p->out->text, v->at, v->at + v->len, '/');
	struct token n, every;

	if (slash == v->at + v->len)
		return fail(p, v, "not N/DURATION:");
	if (!take(p, v->at, slash, &n) || !bytes(p, &n, &p->rule->trickle))
		return false;
	if (!p->rule->trickle)
		return fail(p, &n, "a trickle of no bytes:");
	return take(p, slash + 1, v->at + v->len, &every) &&
	       duration(p, &every, &p->rule->trickle_every);
}

static bool read_garbage(struct parse *p, const struct token *v)
{
	p->rule->garbage = UINT64_MAX;
	if (!v->len)
		return true;
	if (!bytes(p, v, &p->rule->garbage))
		return false;
	return p->rule->garbage ? true : fail(p, v, "garbage of no bytes:");
}

static bool read_error(struct parse *p, const struct token *v)
{
	for (unsigned i = 0; pg_errno_listed(i); i++) {
		if (!pg_same(v->s, pg_errno_name(pg_errno_listed(i))))
			continue;
		p->rule->error = pg_errno_listed(i);
		return true;
	}
	return fail_near(p, v->at, "unknown errno", v->s, nearest_errno(v->s));
}

/* How a field's value is read; a null pointer: it takes none. */
static read_fn *const readers[PG_F_COUNT] = {
	[PG_F_FD] = read_fd,	     [PG_F_KIND] = read_kind,	    [PG_F_SIDE] = read_side,
	[PG_F_PEER] = read_peer,     [PG_F_PORT] = read_port,	    [PG_F_LPORT] = read_lport,
	[PG_F_PATH] = read_path,     [PG_F_CONN] = read_conn,	    [PG_F_COMM] = read_comm,
	[PG_F_THREAD] = read_thread, [PG_F_LEN] = read_len,	    [PG_F_CALLER] = read_caller,
	[PG_F_STACK] = read_stack,   [PG_F_SITE] = read_site,	    [PG_F_SEEN] = read_seen,
	[PG_F_WHEN] = read_when,     [PG_F_SCOPE] = read_scope,	    [PG_F_AT] = read_at,
	[PG_F_AFTER] = read_after,   [PG_F_FOR] = read_for,	    [PG_F_PROB] = read_prob,
	[PG_F_LIMIT] = read_limit,   [PG_F_HOLD] = read_hold,	    [PG_F_DELAY] = read_delay,
	[PG_F_SHORT] = read_short,   [PG_F_TRICKLE] = read_trickle, [PG_F_GARBAGE] = read_garbage,
	[PG_F_ERROR] = read_error,
};

static bool value_optional(enum pg_field f)
{
	return f == PG_F_HOLD || f == PG_F_GARBAGE;
}

/* ---- the set ---- */

static bool stdio_call(enum pg_call call)
{
	return call >= PG_CALL_dprintf && call <= PG_CALL___vdprintf_chk;
}

static uint64_t group_calls(const char *word)
{
	uint64_t calls = 0;

	if (pg_same(word, "%out"))
		return calls_of_groups(1u << OUT) | PG_STDIO_BIT;
	if (pg_same(word, "%in"))
		return calls_of_groups(1u << IN);
	if (pg_same(word, "%conn"))
		return calls_of_groups(1u << CONNECT);
	if (pg_same(word, "%accept"))
		return calls_of_groups(1u << ACCEPT);
	if (pg_same(word, "%sock"))
		return calls_of_groups(1u << OUT | 1u << IN | 1u << CONNECT | 1u << ACCEPT) |
		       PG_STDIO_BIT;
	if (!pg_same(word, "%stdio"))
		return 0;
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (stdio_call((enum pg_call)call))
			calls |= PG_BIT(call);
	return calls | PG_STDIO_BIT;
}

/* A name stands for its twins too: __write, __read_chk, accept4. */
static bool name_matches(const char *glob, const char *name)
{
	char plain[40];
	size_t n;

	if (pg_glob(glob, name))
		return true;
	if (pg_same(name, "accept4"))
		return pg_glob(glob, "accept");
	if (!pg_prefix(name, "__"))
		return false;
	pg_copy(plain, sizeof plain, name + 2);
	n = pg_len(plain);
	if (n > 4 && pg_same(plain + n - 4, "_chk"))
		plain[n - 4] = 0;
	return pg_glob(glob, plain);
}

static uint64_t named_calls(const char *word)
{
	uint64_t calls = 0;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (group_of((enum pg_call)call) != NONE &&
		    name_matches(word, pg_call_name((enum pg_call)call)))
			calls |= PG_BIT(call);
	return calls;
}

static bool read_set(struct parse *p, const struct token *set)
{
	size_t at = set->at, end = set->at + set->len;
	uint64_t without = 0;
	bool some = false;
	struct token t;

	for (;; at++) {
		size_t stop = piece_end(p->out->text, at, end, ',');
		bool negate = p->out->text[at] == '!';
		uint64_t calls;

		if (!take(p, at + negate, stop, &t))
			return false;
		if (!t.len)
			return fail_near(p, at, "the name of a call is missing", "", NULL);
		calls = t.s[0] == '%' ? group_calls(t.s) : named_calls(t.s);
		if (!calls)
			return fail_near(p, t.at, t.s[0] == '%' ? "unknown group" : "unknown call",
					 t.s, nearest_call(t.s));
		if (negate)
			without |= calls;
		else
			p->rule->calls |= calls, some = true;
		at = stop;
		if (at == end)
			break;
	}
	if (!some)
		p->rule->calls = group_calls("%sock");
	p->rule->calls &= ~without;
	return p->rule->calls ? true : fail(p, set, "no call is left in");
}

/* ---- what cannot be ---- */

static uint64_t calls_where(enum pg_field action)
{
	uint64_t out = calls_of_groups(1u << OUT) | PG_STDIO_BIT, in = calls_of_groups(1u << IN);

	switch (action) {
	case PG_F_REFUSE:
		return calls_of_groups(1u << CONNECT);
	case PG_F_BREAK:
	case PG_F_DROP:
	case PG_F_NOSIGNAL:
	case PG_F_HOLD:
		return out;
	case PG_F_EOF:
	case PG_F_GARBAGE:
		return in;
	case PG_F_RESET:
	case PG_F_FIN:
	case PG_F_SHORT:
	case PG_F_TRICKLE:
	case PG_F_AT:
	case PG_F_LEN:
		return out | in;
	default:
		return ~(uint64_t)0;
	}
}

/* errno values that a group of calls can answer with, by the man pages. */
static bool error_possible(int err, uint64_t calls)
{
	switch (err) {
	case EPIPE:
	case ENOSPC:
	case EFBIG:
	case EDQUOT:
	case EMSGSIZE:
	case EDESTADDRREQ:
		return calls & calls_where(PG_F_BREAK);
	case EALREADY:
	case EINPROGRESS:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EISCONN:
		return calls & calls_where(PG_F_REFUSE);
	case ECONNABORTED:
		return calls & calls_of_groups(1u << ACCEPT);
	default:
		return true;
	}
}

static struct token field_token(struct parse *p, enum pg_field f)
{
	struct token t;
	struct pg_word w = p->rule->raw[f];

	t.at = w.at;
	t.len = pg_len(field_names[f]);
	pg_copy(t.s, sizeof t.s, field_names[f]);
	return t;
}

/* Selectors that only sockets answer to, on what cannot be one. */
static bool check_kinds(struct parse *p)
{
	static const enum pg_field of_sockets[] = {PG_F_SIDE, PG_F_PEER,  PG_F_PORT,   PG_F_LPORT,
						   PG_F_CONN, PG_F_RESET, PG_F_REFUSE, PG_F_FIN};
	const struct pg_rule *r = p->rule;
	uint8_t sockets = PG_KINDS_TCP4 | PG_KINDS_TCP6 | PG_KINDS_UNIX | PG_KINDS_UDP |
			  PG_KINDS_OTHER_SOCKET;
	struct token t;

	if (!pg_has(r, PG_F_KIND) || r->kinds & sockets)
		return true;
	for (size_t i = 0; i < sizeof of_sockets / sizeof *of_sockets; i++) {
		if (!pg_has(r, of_sockets[i]))
			continue;
		t = field_token(p, of_sockets[i]);
		return fail(p, &t, "can never fire, only sockets have");
	}
	t = field_token(p, PG_F_ERROR);
	if (pg_has(r, PG_F_ERROR) && pg_errno_of_sockets(r->error))
		return fail(p, &t, "impossible on what is no socket:");
	return true;
}

static bool check_calls(struct parse *p)
{
	const struct pg_rule *r = p->rule;
	struct token t;

	for (unsigned f = 0; f < PG_F_COUNT; f++) {
		if (!pg_has(r, (enum pg_field)f) || r->calls & calls_where((enum pg_field)f))
			continue;
		t = field_token(p, (enum pg_field)f);
		return fail(p, &t, "impossible for these calls:");
	}
	t = field_token(p, PG_F_ERROR);
	if (pg_has(r, PG_F_ERROR) && !error_possible(r->error, r->calls))
		return fail(p, &t, "an errno that these calls never give:");
	t = field_token(p, PG_F_SIDE);
	if (r->side == 2 && !(r->calls & ~calls_where(PG_F_REFUSE)))
		return fail(p, &t, "can never fire, connect makes a client:");
	t = field_token(p, PG_F_WHEN);
	if (pg_has(r, PG_F_WHEN) && pg_has(r, PG_F_LIMIT) && r->last == r->first && r->limit > 1)
		return fail(p, &t, "fires once: limit has no meaning beside");
	return true;
}

static bool check_actions(struct parse *p, const struct token *whole)
{
	const struct pg_rule *r = p->rule;
	struct token t;
	unsigned terminals = 0;

	for (unsigned f = PG_F_RESET; f < PG_F_COUNT; f++)
		terminals += pg_has(r, (enum pg_field)f);
	if (!(r->fields >> PG_F_HOLD))
		return fail_near(p, whole->at, "a rule without an action", "", NULL);
	if (terminals > 1) {
		t = field_token(p, r->terminal);
		return fail(p, &t, "a second final action:");
	}
	if (pg_has(r, PG_F_SCOPE) && !pg_has(r, PG_F_WHEN)) {
		t = field_token(p, PG_F_SCOPE);
		return fail(p, &t, "counts nothing without when=:");
	}
	return true;
}

/* Does rule A, with no condition of its own, take all that B could? */
static bool shadows(const struct pg_rule *a, const struct pg_rule *b)
{
	uint64_t conditions = ((uint64_t)1 << PG_F_HOLD) - 1;

	return a->terminal != PG_F_COUNT && !(a->fields & conditions) && !(b->calls & ~a->calls);
}

static bool check_shadow(struct parse *p, const struct token *whole)
{
	for (unsigned i = 0; i + 1 < p->number && i < p->out->n; i++)
		if (p->rule->terminal != PG_F_COUNT && shadows(&p->out->rule[i], p->rule))
			return fail_near(p, whole->at,
					 "can never fire, an earlier rule takes all its calls:",
					 p->out->rule[i].id, NULL);
	return true;
}

/* ---- one rule ---- */

static bool read_field(struct parse *p, size_t at, size_t end)
{
	size_t equal = piece_end(p->out->text, at, end, '=');
	struct token name, value;
	unsigned f = 0;

	if (at == end)
		return fail_near(p, at, "an empty field", "", NULL);
	if (!take(p, at, equal, &name) || !take(p, equal < end ? equal + 1 : end, end, &value))
		return false;
	while (f < PG_F_COUNT && !pg_same(name.s, field_names[f]))
		f++;
	if (f == PG_F_COUNT)
		return fail_near(p, at, equal < end ? "unknown field" : "unknown action", name.s,
				 nearest_field(name.s));
	if (pg_has(p->rule, (enum pg_field)f))
		return fail(p, &name, "given twice:");
	if (equal < end && !readers[f])
		return fail(p, &name, "takes no value:");
	if (equal < end && !value.len)
		return fail(p, &name, "an empty value for");
	if (equal == end && readers[f] && !value_optional((enum pg_field)f))
		return fail(p, &name, "needs a value:");
	p->rule->fields |= (uint64_t)1 << f;
	p->rule->raw[f] = (struct pg_word){(uint16_t)at, (uint16_t)(end - at)};
	if (f >= PG_F_RESET)
		p->rule->terminal = (enum pg_field)f;
	return !readers[f] || readers[f](p, &value);
}

static bool id_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* "ID=" before the set; the set's start is left in *AT. */
static bool read_id(struct parse *p, size_t *at, size_t end)
{
	size_t n = 0;

	while (*at + n < end && id_char(p->out->text[*at + n]))
		n++;
	if (*at + n == end || p->out->text[*at + n] != '=') {
		struct pg_text t = {p->rule->id, 0, sizeof p->rule->id - 1};

		pg_put_char(&t, 'r');
		pg_put_u64(&t, p->number);
		return true;
	}
	if (!n || n >= sizeof p->rule->id)
		return fail_near(p, *at, "an id of 1 to 15 letters is needed before '='", "", NULL);
	pg_copy(p->rule->id, n + 1, p->out->text + *at);
	for (unsigned i = 0; i < p->out->n; i++)
		if (pg_same(p->out->rule[i].id, p->rule->id))
			return fail_near(p, *at, "an id that is given twice:", p->rule->id, NULL);
	*at += n + 1;
	return true;
}

static bool read_rule(struct parse *p, size_t at, size_t end)
{
	size_t stop;
	struct token set, whole = {.at = at};

	*p->rule = (struct pg_rule){.terminal = PG_F_COUNT,
				    .first = 1,
				    .last = UINT64_MAX,
				    .step = 1,
				    .limit = UINT64_MAX};
	for (size_t i = at; i < end; i++)
		if (p->out->text[i] == ' ' || p->out->text[i] == '\t')
			return fail_near(p, i, "a blank inside a rule", "", NULL);
	if (!read_id(p, &at, end))
		return false;
	stop = piece_end(p->out->text, at, end, ':');
	if (!take(p, at, stop, &set) || !read_set(p, &set))
		return false;
	p->rule->set = (struct pg_word){(uint16_t)set.at, (uint16_t)set.len};
	while (stop < end) {
		at = stop + 1;
		stop = piece_end(p->out->text, at, end, ':');
		if (!read_field(p, at, stop))
			return false;
	}
	return check_actions(p, &whole) && check_calls(p) && check_kinds(p) &&
	       check_shadow(p, &whole);
}

/* The end of the rule that starts at AT: ';' or the line's end; in a file, '#' starts a comment. */
static size_t rule_end(const char *text, size_t at, size_t len)
{
	size_t semicolon = piece_end(text, at, len, ';'), newline = at;

	while (newline < len && text[newline] != '\n')
		newline++;
	return semicolon < newline ? semicolon : newline;
}

/* Leaves blanks around a rule out. */
static void trim(const char *text, size_t *at, size_t *end)
{
	while (*at < *end && (text[*at] == ' ' || text[*at] == '\t' || text[*at] == '\r'))
		++*at;
	while (*end > *at &&
	       (text[*end - 1] == ' ' || text[*end - 1] == '\t' || text[*end - 1] == '\r'))
		--*end;
}

bool pg_rules_parse(struct pg_rules *rules, const char *text, struct pg_rule_error *error)
{
	struct parse p = {.out = rules, .error = error};
	size_t len = pg_len(text), at = 0;

	rules->n = 0;
	rules->calls = 0;
	if (len >= PG_RULE_TEXT)
		return fail_near(&p, 0, "the rules are longer than 16383 bytes", "", NULL);
	pg_copy(rules->text, len + 1, text);
	while (at < len) {
		size_t end = rule_end(rules->text, at, len), from = at, to = end;

		trim(rules->text, &from, &to);
		if (from < to && rules->text[from] == '#') {
			for (end = from; end < len && rules->text[end] != '\n';)
				end++;
		} else if (from < to) {
			p.number = rules->n + 1;
			if (rules->n == PG_RULES_MAX)
				return fail_near(&p, from, "more than 64 rules", "", NULL);
			p.rule = &rules->rule[rules->n];
			if (!read_rule(&p, from, to))
				return false;
			rules->calls |= p.rule->calls;
			rules->n++;
		}
		if (end < len && rules->text[end] == '\n')
			p.line_start = end + 1;
		at = end + 1;
	}
	if (!rules->n)
		p.number = 1;
	return rules->n ? true : fail_near(&p, p.line_start, "there is no rule", "", NULL);
}

/* ---- printing ---- */

void pg_rule_put(struct pg_text *t, const struct pg_rules *rules, unsigned n)
{
	const struct pg_rule *r = &rules->rule[n];

	pg_put(t, r->id);
	pg_put_char(t, '=');
	pg_put_bytes(t, rules->text + r->set.at, r->set.len);
	for (unsigned f = 0; f < PG_F_COUNT; f++) {
		if (!pg_has(r, (enum pg_field)f))
			continue;
		pg_put_char(t, ':');
		pg_put_bytes(t, rules->text + r->raw[f].at, r->raw[f].len);
	}
}

void pg_rule_put_error(struct pg_text *t, const struct pg_rule_error *error)
{
	pg_put(t, "rule ");
	pg_put_u64(t, error->rule);
	pg_put(t, ", column ");
	pg_put_u64(t, error->column);
	pg_put(t, ": ");
	pg_put(t, error->what);
	if (error->word[0]) {
		pg_put(t, " '");
		pg_put_name(t, error->word, sizeof error->word);
		pg_put_char(t, '\'');
	}
	if (error->near) {
		pg_put(t, " (did you mean '");
		pg_put(t, error->near);
		pg_put(t, "'?)");
	}
}
