/* SPDX-License-Identifier: MIT */
/*
 * A rule is refused if no call of its SET, on no kind of
 * descriptor, could ever make it fire, or if one of its words contradicts
 * another or could never do a thing. What can fire is never refused.
 */
#include "rules/rule_check.h"

#include "rules/rule_shadow.h"
#include "rules/rule_words.h"

#include <errno.h>
#include <sys/socket.h>

/* The words of fields.def: kinds, and calls. */
enum {
	ANY = PG_KINDS_ANY,
	PIPE = PG_KINDS_PIPE,
	TCP = PG_KINDS_TCP,
	UNIX = PG_KINDS_UNIX,
	SOCKET = PG_KINDS_SOCKET,
	CONNECTED = PG_KINDS_SOCKET & ~PG_KINDS_UDP,
	INTERNET = PG_KINDS_TCP | PG_KINDS_UDP | PG_KINDS_OTHER_SOCKET,
	DISK = PG_KINDS_FILE | PG_KINDS_OTHER,
	WHOLE_STREAMS = PG_KINDS_ALL & ~PG_KINDS_UDP
};
#define EVERY (~(uint64_t)0)
#define OUT pg_group_calls(PG_G_OUT)
#define IN pg_group_calls(PG_G_IN)
#define MOVING (OUT | IN)
#define CONN pg_group_calls(PG_G_CONN)
#define ACCEPT pg_group_calls(PG_G_ACCEPT)

/* The calls, and the kinds of descriptors, that something is possible with. */
struct where {
	uint64_t calls;
	unsigned kinds;
};

/* The value of field F as a word; the field's name if it has none. */
static struct pg_word value_of(const struct pg_parse *p, enum pg_field f)
{
	struct pg_word raw = pg_rule_field(p->out, p->rule, f);
	size_t end = raw.at + raw.len, equal = pg_find(p->text, raw.at, end, '=');

	return equal < end ? pg_word(equal + 1, end) : raw;
}

static bool fail_field(struct pg_parse *p, enum pg_field f, const char *what)
{
	struct pg_word raw = pg_rule_field(p->out, p->rule, f);

	raw.len = (uint16_t)pg_len(pg_field_name(f));
	return pg_parse_fail(p, raw, what);
}

/* ---- selectors and triggers ---- */

/* Can a link of /proc/self/fd that starts with START match the glob W? */
static bool may_start(const char *text, struct pg_word w, const char *start)
{
	for (unsigned i = 0; start[i]; i++) {
		if (i == w.len)
			return false;
		if (text[w.at + i] == '*' || text[w.at + i] == '?' || text[w.at + i] == '[' ||
		    text[w.at + i] == '\\')
			return true;
		if (text[w.at + i] != start[i])
			return false;
	}
	return true;
}

static unsigned kinds_of_paths(const struct pg_rule *r, const struct pg_rule_set *set)
{
	unsigned kinds = PG_KINDS_OTHER;

	for (unsigned i = 0; set && i < r->path.n; i++) {
		struct pg_word w = set->word[r->path.at + i];

		kinds |= may_start(set->text, w, "socket:[") ? PG_KINDS_SOCKET : 0;
		kinds |= may_start(set->text, w, "pipe:[") ? PG_KINDS_PIPE : 0;
		if (may_start(set->text, w, "/")) /* a pipe with a name is one, too */
			kinds |= PG_KINDS_PIPE | PG_KINDS_TTY | PG_KINDS_FILE;
	}
	return kinds;
}

static unsigned kinds_of_peers(const struct pg_rule *r, const struct pg_rule_set *set)
{
	unsigned kinds = 0;

	for (unsigned i = 0; set && i < r->peer.n; i++) {
		unsigned family = set->net[r->net + i].family;

		if (family == AF_UNIX)
			kinds |= PG_KINDS_UNIX;
		else if (family == AF_INET6)
			kinds |= INTERNET & ~(unsigned)PG_KINDS_TCP4;
		else
			kinds |= INTERNET;
	}
	return kinds;
}

/* What the program met before cannot be of a socket that listens, or of one that never connected.
 */
static uint64_t calls_that_saw(const struct pg_rule *r)
{
	return MOVING | (r->seen & (PG_SEEN_REFUSED | PG_SEEN_HUP) ? CONN : 0);
}

static uint64_t calls_of_side(unsigned side)
{
	return side == 1 ? ~ACCEPT : ~CONN;
}

/* ---- actions ---- */

enum on { ON_ALL, ON_OUT, ON_IN, ON_ACCEPT, ON_SOCKETS, ON_ADDRESSES };

/* Which calls can answer with an errno, on what, by the man pages; what is not here, all can, on
 * all. */
static const struct {
	uint16_t on, kinds; /* enum on */
} errors[] = {
	[EPIPE] = {ON_OUT, PG_KINDS_SOCKET | PG_KINDS_PIPE},
	[ENOSPC] = {ON_OUT, DISK},
	[EFBIG] = {ON_OUT, DISK},
	[EDQUOT] = {ON_OUT, DISK},
	[EISDIR] = {ON_IN, DISK},
	[EMSGSIZE] = {ON_OUT, PG_KINDS_SOCKET},
	[EDESTADDRREQ] = {ON_OUT, PG_KINDS_SOCKET},
	[EMFILE] = {ON_ACCEPT, PG_KINDS_SOCKET},
	[ENFILE] = {ON_ACCEPT, PG_KINDS_SOCKET},
	[EALREADY] = {ON_ADDRESSES, PG_KINDS_SOCKET},
	[EINPROGRESS] = {ON_ADDRESSES, PG_KINDS_SOCKET},
	[EADDRINUSE] = {ON_ADDRESSES, PG_KINDS_SOCKET},
	[EADDRNOTAVAIL] = {ON_ADDRESSES, PG_KINDS_SOCKET},
	[EISCONN] = {ON_ADDRESSES, PG_KINDS_SOCKET},
	[ENOTSOCK] = {ON_SOCKETS, PG_KINDS_ANY},
	[ENETDOWN] = {ON_ALL, INTERNET},
	[ENETUNREACH] = {ON_ALL, INTERNET},
	[ENETRESET] = {ON_ALL, INTERNET},
	[EHOSTDOWN] = {ON_ALL, INTERNET | DISK}, /* CIFS */
	[EHOSTUNREACH] = {ON_ALL, INTERNET},
	[ECONNREFUSED] = {ON_ALL, PG_KINDS_SOCKET},
	[ECONNRESET] = {ON_ALL, PG_KINDS_SOCKET},
	[ECONNABORTED] = {ON_ALL, PG_KINDS_SOCKET},
	[ENOTCONN] = {ON_ALL, PG_KINDS_SOCKET},
	[ESHUTDOWN] = {ON_ALL, PG_KINDS_SOCKET},
	[EPROTOTYPE] = {ON_ALL, PG_KINDS_SOCKET},
	[EAFNOSUPPORT] = {ON_ALL, PG_KINDS_SOCKET},
	[ETIMEDOUT] = {ON_ALL, PG_KINDS_ANY & ~PG_KINDS_PIPE},
	[ENOBUFS] = {ON_ALL, PG_KINDS_ANY & ~PG_KINDS_PIPE},
};

static uint64_t calls_on(enum on on)
{
	switch (on) {
	case ON_OUT:
		return OUT;
	case ON_IN:
		return IN;
	case ON_ACCEPT:
		return ACCEPT;
	case ON_SOCKETS:
		return pg_group_calls(PG_G_SOCK);
	case ON_ADDRESSES: /* connect, and sendto with an address */
		return CONN | (pg_group_calls(PG_G_SOCK) & OUT);
	case ON_ALL:
		break;
	}
	return EVERY;
}

static struct where where_error(int err)
{
	if (err < 0 || (size_t)err >= sizeof errors / sizeof *errors || !errors[err].kinds)
		return (struct where){EVERY, PG_KINDS_ANY};
	return (struct where){calls_on((enum on)errors[err].on), errors[err].kinds};
}

/* Those that write what is in the program's memory, stdio too. */
static uint64_t calls_of_memory(void)
{
	uint64_t calls = OUT;

	for (uint64_t left = calls & ~PG_STDIO_BIT; left; left &= left - 1) {
		enum pg_call call = (enum pg_call)__builtin_ctzll(left);

		if (pg_call_layout(call)->shape == PG_NOTHING && !pg_call_formats(call))
			calls &= ~PG_BIT(call);
	}
	return calls;
}

/* A negated selector is true of what has no such thing at all. SET: R's; a null pointer will do for
 * an action. */
static struct where where(const struct pg_rule *r, const struct pg_rule_set *set, enum pg_field f)
{
	struct where at = {0, 0};

	switch (f) {
#define FIELD(id, name, class, reader, printer, member, bound, its_calls, its_kinds, flags, help)  \
	case PG_F_##id:                                                                            \
		at.calls = its_calls;                                                              \
		at.kinds = its_kinds;                                                              \
		break;
#define ACTION(id, name, class, its_calls, its_kinds, flags, help)                                 \
	case PG_F_##id:                                                                            \
		at.calls = its_calls;                                                              \
		at.kinds = its_kinds;                                                              \
		break;
#include "fields.def"
#undef FIELD
#undef ACTION
	case PG_F_COUNT:
		break;
	}
	return at;
}

/* ---- both together ---- */

/* The kinds that these calls work on. */
static unsigned kinds_of_calls(uint64_t calls)
{
	uint64_t sockets = pg_group_calls(PG_G_SOCK), accept = ACCEPT;
	uint64_t pipes = pg_calls_that_are(PG_CALL_IS_PIPES);
	uint64_t files = pg_calls_that_are(PG_CALL_IS_FILES);
	unsigned kinds = 0;

	kinds |= calls & accept ? CONNECTED : 0;
	kinds |= calls & sockets & ~accept ? PG_KINDS_SOCKET : 0;
	kinds |= calls & pipes ? PG_KINDS_PIPE : 0;
	kinds |= calls & files ? DISK : 0;
	return calls & ~(sockets | pipes | files) ? PG_KINDS_ANY : kinds;
}

/* Are some of LEFT's calls possible with W, on a kind that both have? */
static bool meets(struct where left, struct where w)
{
	return kinds_of_calls(left.calls & w.calls) & left.kinds & w.kinds;
}

/* Another action is wanted where F stands: those of its class that are possible. pass does
 * nothing. */
static bool fail_action(struct pg_parse *p, enum pg_field f, struct where left, const char *what)
{
	uint64_t others =
		pg_fields_with(pg_field_is(f, PG_IS_FINAL) ? PG_IS_FINAL : PG_IS_MODIFIER);
	uint64_t possible = 0;

	for (others &= ~((uint64_t)1 << PG_F_PASS); others; others &= others - 1)
		if (meets(left, where(p->rule, p->out, (enum pg_field)__builtin_ctzll(others))))
			possible |= others & -others;
	fail_field(p, f, what);
	p->error->possible = possible;
	return false;
}

static bool fail_calls(struct pg_parse *p, enum pg_field f, struct where left)
{
	if (f == PG_F_ERROR)
		return pg_parse_fail(p, value_of(p, f), "an errno that these calls never give:");
	if (!pg_field_is(f, PG_IS_ACTION))
		return fail_field(p, f, "can never fire with these calls:");
	return fail_action(p, f, left, "impossible for these calls:");
}

static bool fail_kinds(struct pg_parse *p, enum pg_field f, struct where left)
{
	if (f == PG_F_KIND)
		return pg_parse_fail(p, value_of(p, f),
				     "can never fire, these calls do not work on");
	if (f == PG_F_ERROR)
		return pg_parse_fail(p, value_of(p, f),
				     "an errno that is never given on this kind:");
	if (!pg_field_is(f, PG_IS_ACTION))
		return fail_field(p, f, "can never fire on this kind of descriptor:");
	return fail_action(p, f, left, "impossible on this kind of descriptor:");
}

/* The selectors must all hold at once; each action must be possible where they do. With a call of
 * the SET that none is possible with, the rule has nothing to do. */
static bool check_possible(struct pg_parse *p)
{
	struct where left = {p->rule->calls, PG_KINDS_ANY};
	unsigned able = PG_KINDS_ANY;
	uint64_t useful = 0;

	for (uint64_t fields = p->rule->fields; fields; fields &= fields - 1) {
		enum pg_field f = (enum pg_field)__builtin_ctzll(fields);
		struct where w = where(p->rule, p->out, f);

		if (!(left.calls & w.calls))
			return fail_calls(p, f, left);
		if (!meets(left, w))
			return fail_kinds(p, f, left);
		if (pg_field_is(f, PG_IS_ACTION | PG_DECIDES_KIND))
			able &= w.kinds;
		if (pg_field_is(f, PG_IS_ACTION)) {
			useful |= w.calls;
			continue;
		}
		left.calls &= w.calls;
		left.kinds &= w.kinds;
	}
	p->rule->able = (uint16_t)able;
	p->rule->calls &= useful;
	return true;
}

bool pg_rule_can(const struct pg_rule *r, enum pg_field action, uint64_t calls)
{
	return pg_has(r, action) && where(r, NULL, action).calls & calls;
}

uint64_t pg_rule_actions(const struct pg_rule *r, uint64_t calls)
{
	uint64_t can = 0;

	for (uint64_t left = r->fields & pg_fields_with(PG_IS_ACTION); left; left &= left - 1)
		if (pg_rule_can(r, (enum pg_field)__builtin_ctzll(left), calls))
			can |= left & -left;
	return can;
}

/* Words that contradict each other, or that mean nothing alone. */
static bool check_words(struct pg_parse *p, struct pg_word whole)
{
	const struct pg_rule *r = p->rule;

	if (!(r->fields & pg_fields_with(PG_IS_ACTION)))
		return pg_parse_fail_at(p, whole.at, "a rule without an action");
	if (pg_has(r, PG_F_SCOPE) && !pg_has(r, PG_F_WHEN) && !pg_has(r, PG_F_LIMIT))
		return fail_field(p, PG_F_SCOPE, "counts nothing without when= or limit=:");
	if (pg_has(r, PG_F_CONN) && !(r->calls & ~ACCEPT))
		return fail_field(p, PG_F_CONN, "can never fire with accept, use when= instead of");
	if (pg_has(r, PG_F_SHORT) && pg_has(r, PG_F_TRICKLE))
		return fail_field(p, PG_F_TRICKLE, "short= says how many bytes as well as");
	if (pg_has(r, PG_F_NOSIGNAL) &&
	    (pg_has(r, PG_F_DROP) || (pg_has(r, PG_F_ERROR) && r->error != EPIPE)))
		return fail_field(p, PG_F_NOSIGNAL,
				  "no signal comes with this rule's final action:");
	if (r->side == 2 && !(r->calls & ~CONN))
		return pg_parse_fail(p, value_of(p, PG_F_SIDE),
				     "can never fire, connect makes a client:");
	if (r->side == 1 && !(r->calls & ~ACCEPT))
		return pg_parse_fail(p, value_of(p, PG_F_SIDE),
				     "can never fire, accept makes a server:");
	return true;
}

bool pg_rule_check(struct pg_parse *p, struct pg_word whole)
{
	return check_words(p, whole) && check_possible(p) && pg_shadow_check(p, whole);
}
