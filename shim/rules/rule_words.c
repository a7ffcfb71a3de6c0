/* SPDX-License-Identifier: MIT */
/* The words of the grammar, and the nearest right one to a wrong one. */
#include "rules/rule_words.h"

#include "base/names.h"

#include <errno.h>

static const char field_names[PG_F_COUNT][12] = {
#define FIELD(id, name, ...) name,
#define ACTION(id, name, ...) name,
#include "fields.def"
#undef FIELD
#undef ACTION
};

/* C takes a string without its end for such a row. */
#define FIELD(id, name, ...) _Static_assert(sizeof name <= sizeof *field_names, name);
#define ACTION FIELD
#include "fields.def"
#undef FIELD
#undef ACTION

static const char *const group_names[PG_G_COUNT] = {
	[PG_G_OUT] = "%out",   [PG_G_IN] = "%in",     [PG_G_STDIO] = "%stdio",
	[PG_G_SOCK] = "%sock", [PG_G_CONN] = "%conn", [PG_G_ACCEPT] = "%accept",
};

const struct pg_named pg_kind_words[] = {
	{"pipe", PG_KINDS_PIPE}, {"socket", PG_KINDS_SOCKET},
	{"tcp", PG_KINDS_TCP},	 {"tcp4", PG_KINDS_TCP4},
	{"tcp6", PG_KINDS_TCP6}, {"unix", PG_KINDS_UNIX},
	{"udp", PG_KINDS_UDP},	 {"tty", PG_KINDS_TTY},
	{"file", PG_KINDS_FILE}, {NULL, 0},
};
const struct pg_named pg_side_words[] = {{"client", 1}, {"server", 2}, {NULL, 0}};
const struct pg_named pg_seen_words[] = {
	{"eof", PG_SEEN_EOF},
	{"reset", PG_SEEN_RESET},
	{"hup", PG_SEEN_HUP},
	{"refused", PG_SEEN_REFUSED},
	{NULL, 0},
};
const struct pg_named pg_scope_words[] = {
	{"fd", PG_SCOPE_FD}, {"thread", PG_SCOPE_THREAD}, {NULL, 0}};

const char *pg_field_name(enum pg_field f)
{
	return f < PG_F_COUNT ? field_names[f] : NULL;
}

const char *pg_group_name(unsigned n)
{
	return n < PG_G_COUNT ? group_names[n] : NULL;
}

const char *pg_value_word(enum pg_field f, unsigned n)
{
	const struct pg_named *words = f == PG_F_KIND	 ? pg_kind_words
				       : f == PG_F_SIDE	 ? pg_side_words
				       : f == PG_F_SEEN	 ? pg_seen_words
				       : f == PG_F_SCOPE ? pg_scope_words
							 : NULL;

	if (f == PG_F_ERROR)
		return pg_errno_listed(n) ? pg_errno_name(pg_errno_listed(n)) : NULL;
	while (words && words->name && n--)
		words++;
	return words ? words->name : NULL;
}

bool pg_word_is(const struct pg_parse *p, struct pg_word w, const char *s)
{
	return pg_is(p->text + w.at, w.len, s);
}

const char *pg_word_text(const struct pg_parse *p, struct pg_word w, char buf[PG_WORD_MAX + 1])
{
	pg_copy(buf, (w.len < PG_WORD_MAX ? w.len : PG_WORD_MAX) + 1u, p->text + w.at);
	return buf;
}

/* ---- the nearest word ---- */

/* What other tools, or habit, call it. */
static const struct {
	char word[16], ours[16];
} synonyms[] = {
	{"rst", "reset"},
	{"close", "fin"},
	{"shutdown", "fin"},
	{"epipe", "break"},
	{"sigpipe", "break"},
	{"retval", "error"},
	{"errno", "error"},
	{"probability", "prob"},
	{"count", "limit"},
	{"times", "limit"},
	{"signal", "nosignal"},
	{"delay_enter", "delay"},
	{"delay_exit", "delay"},
	{"sleep", "delay"},
	{"sigstop", "stop"},
	{"core", "abort"},
	{"size", "len"},
	{"program", "comm"},
	{"nth", "when"},
	{"offset", "at"},
	{"fifo", "pipe"},
	{"inet", "tcp4"},
	{"inet6", "tcp6"},
	{"pty", "tty"},
	{"local", "unix"},
	{"%network", "%sock"},
	{"%net", "%sock"},
	{"%socket", "%sock"},
	{"%write", "%out"},
	{"%read", "%in"},
	{"%connect", "%conn"},
	{"printf", "%stdio"},
	{"fprintf", "%stdio"},
	{"puts", "%stdio"},
	{"fputs", "%stdio"},
	{"fwrite", "%stdio"},
	{"putc", "%stdio"},
	{"fputc", "%stdio"},
	{"putchar", "%stdio"},
	{"fflush", "%stdio"},
	{"fclose", "%stdio"},
	{"EWOULDBLOCK", "EAGAIN"},
	{"ENOTSUP", "EOPNOTSUPP"},
	{"host", "peer"},
	{"addr", "peer"},
	{"address", "peer"},
	{"ip", "peer"},
	{"dport", "port"},
	{"dst", "peer"},
	{"sport", "lport"},
	{"latency", "delay"},
	{"timeout", "stall"},
	{"hang", "stall"},
	{"so_linger", "linger"},
	{"file", "path"},
	{"process", "comm"},
	{"truncate", "short"},
	{"end", "eof"},
	{"slow", "delay"},
	{"lag", "delay"},
	{"jitter", "delay"},
	{"wait", "delay"},
	{"bandwidth", "trickle"},
	{"rate", "trickle"},
	{"throttle", "trickle"},
	{"slicer", "trickle"},
	{"limit_data", "at"},
	{"reset_peer", "reset"},
	{"disconnect", "reset"},
	{"cut", "reset"},
	{"down", "refuse"},
	{"blackhole", "stall"},
	{"freeze", "stall"},
	{"kill", "abort"},
	{"crash", "abort"},
	{"fail", "error"},
	{"every", "when"},
	{"skip", "when"},
	{"first", "when"},
	{"prog", "comm"},
	{"name", "comm"},
	{"exe", "comm"},
	{"cmd", "comm"},
	{"pid", "comm"},
	{"tid", "thread"},
	{"corrupt", "garbage"},
	{"noise", "garbage"},
	{"%all", "%out"},
	{"all", "%out"},
	{"stdout", "%out"},
	{"stderr", "%out"},
};

/* And what else is meant by the same word. */
struct near {
	char word[PG_WORD_MAX + 1];
	const char *synonym;
	struct pg_nearest to;
};

static void start_near(struct near *near, const struct pg_parse *p, struct pg_word w)
{
	pg_word_text(p, w, near->word);
	near->synonym = NULL;
	near->to = pg_nearest_to(near->word);
	for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
		if (pg_same(near->word, synonyms[i].word))
			near->synonym = synonyms[i].ours;
}

static void try_near(struct near *near, const char *candidate)
{
	if (near->synonym && pg_same(near->synonym, candidate))
		near->to = (struct pg_nearest){near->word, candidate, 0};
	else
		pg_nearest_try(&near->to, candidate);
}

/* An errno where an action stands. */
static const char *errno_meant(const char *word)
{
	for (unsigned i = 0; pg_errno_listed(i); i++) {
		int err = pg_errno_listed(i);

		if (!pg_same(word, pg_errno_name(err)))
			continue;
		return err == EPIPE	   ? "error=EPIPE' or 'break"
		       : err == ECONNRESET ? "error=ECONNRESET' or 'reset"
					   : pg_errno_action(err);
	}
	return NULL;
}

const char *pg_nearest_field(const struct pg_parse *p, struct pg_word w)
{
	struct near near;

	start_near(&near, p, w);
	if (errno_meant(near.word))
		return errno_meant(near.word);
	for (unsigned f = 0; f < PG_F_COUNT; f++)
		try_near(&near, field_names[f]);
	return near.to.best;
}

/* A number is meant as an errno, too. */
const char *pg_nearest_errno(const struct pg_parse *p, struct pg_word w)
{
	struct near near;
	uint64_t number;

	start_near(&near, p, w);
	if (pg_number(near.word, 255, &number))
		return pg_errno_name((int)number);
	for (unsigned i = 0; pg_errno_listed(i); i++)
		try_near(&near, pg_errno_name(pg_errno_listed(i)));
	return near.to.best;
}

static const char *nearest_call(const struct pg_parse *p, struct pg_word w)
{
	struct near near;

	start_near(&near, p, w);
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call))
			try_near(&near, pg_call_name((enum pg_call)call));
	for (unsigned g = 0; g < PG_G_COUNT; g++)
		try_near(&near, group_names[g]);
	return near.to.best;
}

bool pg_named_read(struct pg_parse *p, struct pg_word w, const struct pg_named *list,
		   const char *what, unsigned *value)
{
	struct near near;

	for (const struct pg_named *n = list; n->name; n++) {
		if (!pg_word_is(p, w, n->name))
			continue;
		*value = n->value;
		return true;
	}
	start_near(&near, p, w);
	for (; list->name; list++)
		try_near(&near, list->name);
	return pg_parse_fail_near(p, w, what, near.to.best);
}

/* The fields whose first letter has bit number BIT, as C has or has not. */
static inline uint64_t fields_like(char c, unsigned bit)
{
	uint64_t with = 0
#define FIELD(id, name, ...) | (uint64_t)(name[0] >> bit & 1) << PG_F_##id
#define ACTION(id, name, ...) | (uint64_t)(name[0] >> bit & 1) << PG_F_##id
#include "fields.def"
#undef FIELD
#undef ACTION
		;

	return c >> bit & 1 ? with : ~with;
}

enum pg_field pg_field_of(const struct pg_parse *p, struct pg_word w)
{
	const char *s = p->text + w.at;
	uint64_t left = fields_like(*s, 0) & fields_like(*s, 1) & fields_like(*s, 2) &
			fields_like(*s, 3) & fields_like(*s, 4) & (PG_BIT(PG_F_COUNT) - 1);

	while (left && !pg_is(s, w.len, field_names[__builtin_ctzll(left)]))
		left &= left - 1;
	return left ? (enum pg_field)__builtin_ctzll(left) : PG_F_COUNT;
}

/* ---- the set ---- */

bool pg_call_has_rules(enum pg_call call)
{
	return pg_call_role(call) != PG_ROLE_NONE && !pg_call_is(call, PG_CALL_IS_UNSAID);
}

/* A name stands for its twins too: write for __write, sendfile for sendfile64, accept for accept4.
 */
static bool name_matches(const char *glob, enum pg_call call)
{
	return pg_glob(glob, pg_call_name(call)) || pg_glob(glob, pg_call_name(pg_call_twin(call)));
}

/* CALLS, and the functions that some of them are one with. */
static uint64_t with_aliases(uint64_t calls)
{
	uint64_t left = calls & pg_calls_that_are(PG_CALL_IS_ALIAS);

	for (; left; left &= left - 1)
		calls |= PG_BIT(pg_call_twin((enum pg_call)__builtin_ctzll(left)));
	return calls;
}

/* The calls whose names GLOB matches. */
static uint64_t matched(const char *glob)
{
	uint64_t calls = 0;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_role((enum pg_call)call) != PG_ROLE_NONE &&
		    name_matches(glob, (enum pg_call)call))
			calls |= PG_BIT(call);
	return calls;
}

/* The call NAME, and its twins. */
static uint64_t named(enum pg_call name)
{
	uint64_t calls = 0;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_role((enum pg_call)call) != PG_ROLE_NONE &&
		    ((enum pg_call)call == name || pg_call_twin((enum pg_call)call) == name))
			calls |= PG_BIT(call);
	return calls;
}

/* The calls of one word of a SET; 0: none. */
static uint64_t word_calls(const struct pg_parse *p, struct pg_word w)
{
	char buf[PG_WORD_MAX + 1];
	enum pg_call name;

	for (unsigned g = 0; p->text[w.at] == '%' && g < PG_G_COUNT; g++)
		if (pg_word_is(p, w, group_names[g]))
			return pg_group_calls((enum pg_group)g);
	name = pg_call_named(p->text + w.at, w.len);
	return name == PG_NO_CALL ? matched(pg_word_text(p, w, buf)) : named(name);
}

static bool unknown_call(struct pg_parse *p, struct pg_word w)
{
	const char *near = nearest_call(p, w), *what = "unknown call";

	if (p->text[w.at] == '%')
		what = "unknown group";
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_word_is(p, w, pg_call_name((enum pg_call)call)))
			what = "a call that rules do not reach:", near = NULL;
	return pg_parse_fail_near(p, w, what, near);
}

bool pg_set_read(struct pg_parse *p, struct pg_word set)
{
	size_t at = set.at, end = set.at + set.len, stop;
	uint64_t with = 0, without = 0;

	for (;; at = stop + 1) {
		bool negate = at < end && p->text[at] == '!';
		struct pg_word w;
		uint64_t calls;

		stop = pg_find(p->text, at, end, ',');
		w = pg_word(at + negate, stop);
		if (!w.len)
			return pg_parse_fail_at(p, w.at, "the name of a call is missing");
		if (w.len > PG_WORD_MAX)
			return pg_parse_fail(p, w, "a word of more than 120 bytes:");
		calls = word_calls(p, w);
		if (!calls)
			return unknown_call(p, w);
		*(negate ? &without : &with) |= calls;
		if (stop == end)
			break;
	}
	p->rule->calls = with_aliases((with ? with : pg_group_calls(PG_G_COUNT)) & ~without);
	return p->rule->calls ? true : pg_parse_fail(p, set, "no call is left in");
}

bool pg_rule_connects(const struct pg_rule *r)
{
	return r->calls & pg_group_calls(PG_G_CONN);
}

bool pg_rule_only_connects(const struct pg_rule *r)
{
	return !(r->calls & ~pg_group_calls(PG_G_CONN));
}

uint64_t pg_rule_out_calls(void)
{
	return pg_group_calls(PG_G_OUT);
}

uint64_t pg_rule_in_calls(void)
{
	return pg_group_calls(PG_G_IN);
}

bool pg_rule_reads(const struct pg_rule *r)
{
	return r->calls & pg_group_calls(PG_G_IN);
}
