/* SPDX-License-Identifier: MIT */
#include "command/fold.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the keys of a line ---- */

enum {
	ALL = 1,
	WRITES = 2,
	ON_INJECT = 4,
	ON_CALL = 8,
	IF_LIMITED = 16,
	ON_KILLED = 32,
	ON_DISPOSITION = 64
};
enum {
	ON_EPIPE = 128,
	ON_RESET = 128,
	ON_LOAD = 128,
	ON_EXIT = 128,
	ON_MODULE = 128,
	ON_UNREACHED = 128,
	IF_CONFINED = 128,
	IF_SOURCED = 128
};
enum { OURS = ALL | WRITES | ON_INJECT | ON_CALL | IF_LIMITED };

typedef const char *take_fn(const char *p, const char **from);

#define TAKERS(X)                                                                                  \
	X(count)                                                                                   \
	X(number)                                                                                  \
	X(seconds)                                                                                 \
	X(time)                                                                                    \
	X(word)                                                                                    \
	X(name)                                                                                    \
	X(bool)                                                                                    \
	X(seed)                                                                                    \
	X(rule)                                                                                    \
	X(again)                                                                                   \
	X(hash)                                                                                    \
	X(frames)                                                                                  \
	X(disposition)                                                                             \
	X(ended)                                                                                   \
	X(history)                                                                                 \
	X(counts)                                                                                  \
	X(sites)                                                                                   \
	X(frame)
#define X(type) static take_fn take_##type;
TAKERS(X)
#undef X

#define ON(event) ON_##event
#define IF(condition) IF_##condition
static const struct key {
	const char *name;
	size_t len;
	unsigned events;
	take_fn *take;
} keys[] = {
#define KEY(key, type, events, value, meaning)                                                     \
	{",\"" #key "\":", sizeof #key + 3, events, take_##type},
#include "keys.def"
#undef KEY
};
enum { KEYS = sizeof keys / sizeof *keys };
enum {
#define KEY(key, type, events, value, meaning) AT_##key,
#include "keys.def"
#undef KEY
};

/* What tells one kind of event from another, in the order in which it is written. */
static const unsigned char kind[] = {AT_ev,	AT_comm,    AT_via,	 AT_call, AT_kind,
				     AT_stack,	AT_site,    AT_side,	 AT_peer, AT_errno,
				     AT_signal, AT_history, AT_injected, AT_rule, AT_again};
enum { KINDS = sizeof kind };

/* What a value takes; NULL for what is null, or not there. */
static struct span {
	const char *from;
	size_t len;
} value[KEYS];

/* ---- values: each takes what the library writes, and nothing else ---- */

enum { DIGIT = 1, WORD = 2, TEXT = 4, RULE = 8, AGAIN = 16, HEX = 32 };
static unsigned char classes[256];

static void learn(const char *set, unsigned char class)
{
	for (; *set; set++)
		classes[(unsigned char)*set] |= class;
}

static void learn_classes(void)
{
	static const char small[] = "abcdefghijklmnopqrstuvwxyz", digits[] = "0123456789";

	for (unsigned c = ' '; c <= '~'; c++) /* what a string holds without an escape */
		if (c != '"' && c != '\\')
			classes[c] = (unsigned char)(classes[c] | TEXT | (c == ' ' ? 0 : RULE));
	learn(digits, DIGIT | WORD | AGAIN | HEX);
	learn(small, WORD | AGAIN);
	learn("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", WORD | AGAIN);
	learn("abcdef", HEX);
	learn("%:=.,+?*-", AGAIN);
}

static bool is_digit(char c)
{
	return classes[(unsigned char)c] & DIGIT;
}

/* The buffer goes on behind a line, so that a word may be looked for at its very end. */
static inline const char *literal(const char *p, const char *text)
{
	size_t n = strlen(text);

	return *p != *text || memcmp(p, text, n) != 0 ? NULL : p + n;
}

static const char *null(const char *p, const char **from)
{
	*from = NULL;
	return literal(p, "null");
}

/* From LEAST to MOST characters of a class; a null pointer: there are others. */
static const char *some(const char *p, unsigned char class, size_t least, size_t most)
{
	size_t n = 0;

	while (classes[(unsigned char)p[n]] & class)
		n++;
	return n < least || n > most ? NULL : p + n;
}

static const char *take_digits(const char *p, const char **from, size_t most)
{
	const char *end = some(p, DIGIT, 1, most);

	*from = p;
	return end ? end : null(p, from);
}

static const char *take_count(const char *p, const char **from)
{
	return take_digits(p, from, 18);
}

static const char *take_seed(const char *p, const char **from)
{
	return take_digits(p, from, 20);
}

static const char *take_number(const char *p, const char **from)
{
	const char *end = take_digits(p + (*p == '-'), from, 18);

	if (*p == '-' && !*from)
		return NULL;
	if (*from)
		*from = p;
	return end;
}

static const char *take_seconds(const char *p, const char **from)
{
	*from = p;
	p = some(p, DIGIT, 1, 18);
	return p && *p == '.' ? some(p + 1, DIGIT, 6, 6) : NULL;
}

static const char *take_time(const char *p, const char **from)
{
	static const char form[] = "\"0000-00-00T00:00:00.000000Z\"";

	*from = p + 1;
	for (const char *f = form; *f; f++, p++)
		if (*f == '0' ? !is_digit(*p) : *f != *p)
			return NULL;
	return p;
}

/* A string of one class. */
static const char *quoted(const char *p, const char **from, unsigned char class, size_t least,
			  size_t most)
{
	if (*p != '"')
		return null(p, from);
	*from = p + 1;
	p = some(p + 1, class, least, most);
	return p && *p == '"' ? p + 1 : NULL;
}

static const char *take_word(const char *p, const char **from)
{
	return quoted(p, from, WORD, 1, 64);
}

static const char *take_name(const char *p, const char **from)
{
	return quoted(p, from, TEXT, 0, SIZE_MAX - 1);
}

static const char *take_rule(const char *p, const char **from)
{
	return quoted(p, from, RULE, 1, SIZE_MAX - 1);
}

static const char *take_again(const char *p, const char **from)
{
	return quoted(p, from, AGAIN, 1, SIZE_MAX - 1);
}

static const char *take_hash(const char *p, const char **from)
{
	p = quoted(p, from, HEX, 1, 16);
	return *from ? p : NULL;
}

static const char *take_bool(const char *p, const char **from)
{
	const char *end = literal(p, "true");

	*from = p;
	return end ? end : literal(p, "false");
}

static const char *take_frames(const char *p, const char **from)
{
	const char *inner;

	if (*p++ != '[')
		return NULL;
	*from = p;
	while (*p == '"') {
		p = quoted(p, &inner, TEXT, 1, SIZE_MAX - 1);
		if (!p)
			return NULL;
		if (*p == ',' && *++p != '"')
			return NULL;
	}
	return *p == ']' ? p + 1 : NULL;
}

static const char *take_disposition(const char *p, const char **from)
{
	*from = p;
	if (*p != '{')
		return null(p, from);
	while (*p && *p != '}' && *p != '\\')
		p++;
	return *p == '}' ? p + 1 : NULL;
}

static const char *take_ended(const char *p, const char **from)
{
	return take_disposition(p, from);
}

/* ---- history, without its times: they tell no kind of event from another ---- */

static char history[1 << 16];
static char *history_end;

static void keep(const char *from, const char *to)
{
	memcpy(history_end, from, (size_t)(to - from));
	history_end += to - from;
}

/* NAME and a value, which is kept if KEEPS or null. */
static const char *part(const char *p, const char *name, take_fn *take, bool keeps, bool nulls)
{
	const char *start = p, *from;

	p = p ? literal(p, name) : NULL;
	p = p ? take(p, &from) : NULL;
	if (!p || (!nulls && !from))
		return NULL;
	if (keeps || !from)
		keep(start, p);
	return p;
}

static const char *text_1(const char *p, const char **from)
{
	return quoted(p, from, TEXT, 1, SIZE_MAX - 1);
}

static const char *words_of(const char *p, const char **from)
{
	return quoted(p, from, WORD, 1, SIZE_MAX - 1);
}

static const char *take_history(const char *p, const char **from)
{
	history_end = history;
	*from = history;
	if (*p++ != '[')
		return NULL;
	while (*p == '{') {
		p = part(p, "{\"what\":", words_of, true, false);
		p = part(p, ",\"call\":", words_of, true, false);
		p = part(p, ",\"ago_ms\":", take_count, false, false);
		p = part(p, ",\"errno\":", words_of, true, true);
		p = part(p, ",\"sent_since\":", take_count, false, true);
		p = part(p, ",\"caller\":", text_1, true, false);
		if (!p || *p != '}')
			return NULL;
		keep(p, p + 1);
		if (*++p == ',' && *++p != '{')
			return NULL;
		if (*p == '{')
			*history_end++ = ',';
	}
	return *p == ']' ? p + 1 : NULL;
}

/* Of events that are none of a write. */
static const char *take_counts(const char *p, const char **from)
{
	(void)p, (void)from;
	return NULL;
}

static const char *take_sites(const char *p, const char **from)
{
	return take_counts(p, from);
}

static const char *take_frame(const char *p, const char **from)
{
	return take_counts(p, from);
}

/* ---- a line ---- */

static bool is_needed(unsigned k)
{
	unsigned events = keys[k].events;

	if (events & (ON_KILLED | ON_DISPOSITION))
		return true;
	return (events == ALL || events == WRITES) && k != AT_site &&
	       k != AT_engine; /* these came later */
}

static struct span span_of(const char *from, const char *end)
{
	if (!from)
		return (struct span){NULL, 0};
	if (from == history)
		return (struct span){history, (size_t)(history_end - history)};
	return (struct span){from, (size_t)(end - from) - (end[-1] == '"' || end[-1] == ']')};
}

/* The rest of a value whose key was found; a null pointer: it is another one. */
static const char *take_value(unsigned k, const char *p)
{
	const char *from;
	const char *end = keys[k].take(p, &from);

	if (end)
		value[k] = span_of(from, end);
	return end;
}

/* Is the line from P to END a write's, as the library lays it out? Then VALUE has what is in it. */
static bool take_line(const char *p, const char *end)
{
	bool first = true;

	if (*p++ != '{')
		return false;
	for (unsigned k = 0; k < KEYS; k++) {
		if (!(keys[k].events & OURS))
			continue;
		value[k].from = NULL;
		if (memcmp(p, keys[k].name + first, keys[k].len - first) != 0) {
			if (is_needed(k))
				return false;
			continue;
		}
		p = take_value(k, p + keys[k].len - first);
		if (!p)
			return false;
		first = false;
	}
	if (*p++ != '}')
		return false;
	while (p < end && strchr(" \t\r\v\f", *p) && *p)
		p++;
	return p == end;
}

static bool says(unsigned k, const char *word)
{
	return value[k].from && value[k].len == strlen(word) &&
	       !memcmp(value[k].from, word, value[k].len);
}

/* ---- sums ---- */

static const char *const events[] = {"epipe",  "reset", "refused", "doomed",
				     "inject", "eof",	"call"};
enum {
	EVENTS = sizeof events / sizeof *events,
	UNWRITTEN = 5
}; /* of those from UNWRITTEN on only sums are wanted */
enum { TIME = 27, SECOND = 19 };

static struct sum {
	uint64_t hash, n, lines, last_seen;
	char *key;
	size_t len;
	char first[TIME], last[TIME];
	bool repeated, many;
} * sums, **order;
enum { SUMS = 1 << 16, MOST = 1 << 15, ARENA = 1 << 25 };
static unsigned used;
static char *arena;
static size_t arena_used;
static uint64_t counted, unwritten[EVENTS];

static struct second {
	uint64_t n[EVENTS];
	char at[SECOND];
	bool used;
} seconds[1024];

static void put_second(struct second *s)
{
	for (unsigned e = 0; e < EVENTS; e++)
		if (s->n[e])
			printf("\001T\t%.*s\t%s\t%llu\n", SECOND, s->at, events[e],
			       (unsigned long long)s->n[e]);
	memset(s, 0, sizeof *s);
}

static uint64_t hash_of(const char *p, size_t n)
{
	uint64_t h = n, w;

	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(&w, p, sizeof w);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, p, n);
	h = (h ^ w) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static void add_second(unsigned event, uint64_t n)
{
	const char *t = value[AT_t].from;
	struct second *s;

	if (!t)
		return;
	s = &seconds[hash_of(t, SECOND) % (sizeof seconds / sizeof *seconds)];
	if (s->used && memcmp(s->at, t, SECOND) != 0)
		put_second(s);
	memcpy(s->at, t, SECOND);
	s->used = true;
	s->n[event] += n;
}

static int by_last(const void *a, const void *b)
{
	const struct sum *x = *(struct sum *const *)a, *y = *(struct sum *const *)b;

	return x->last_seen < y->last_seen ? -1 : x->last_seen > y->last_seen;
}

static void put_sums(void)
{
	qsort(order, used, sizeof *order, by_last); // NOLINT: pointers are what it holds
	for (unsigned i = 0; i < used; i++) {
		struct sum *s = order[i];

		printf("\001K\t%llu\t%llu\t%.*s\t%.*s\t%d\t%d\t%.*s\n", (unsigned long long)s->n,
		       (unsigned long long)s->lines, TIME, s->first, TIME, s->last, s->repeated,
		       s->many, (int)s->len, s->key);
		s->hash = 0;
	}
	used = 0;
	arena_used = 0;
}

static void put_all(void)
{
	put_sums();
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
		if (seconds[i].used)
			put_second(&seconds[i]);
	for (unsigned e = UNWRITTEN; e < EVENTS; e++)
		if (unwritten[e])
			printf("\001E\t%s\t%llu\n", events[e], (unsigned long long)unwritten[e]);
	memset(unwritten, 0, sizeof unwritten);
	if (counted)
		printf("\001L\t%llu\n", (unsigned long long)counted);
	counted = 0;
}

static size_t put_span(char *to, struct span v)
{
	if (!v.from)
		v = (struct span){"\\N", 2};
	memcpy(to, v.from, v.len);
	return v.len;
}

/* The process, and KIND, in words. */
static size_t key_of(char *to)
{
	size_t n = put_span(to, value[AT_pid]);

	for (unsigned i = 0; i < KINDS; i++) {
		to[n++] = '\t';
		n += put_span(to + n, value[kind[i]]);
	}
	return n;
}

/* The sum that KEY's events go to; a new one has n of 0. */
static struct sum *find(const char *key, size_t len)
{
	uint64_t hash = hash_of(key, len) | 1;
	struct sum *s = &sums[hash % SUMS];

	while (s->hash && (s->hash != hash || s->len != len || memcmp(s->key, key, len) != 0))
		s = s + 1 < sums + SUMS ? s + 1 : sums;
	if (s->hash)
		return s;
	if (used == MOST || arena_used + len > ARENA) {
		put_sums();
		return find(key, len);
	}
	*s = (struct sum){.hash = hash, .key = arena + arena_used, .len = len};
	memcpy(s->key, key, len);
	arena_used += len;
	order[used++] = s;
	return s;
}

static void add_time(struct sum *s)
{
	const char *t = value[AT_t].from;

	if (!s->n || memcmp(t, s->first, TIME) < 0)
		memcpy(s->first, t, TIME);
	if (!s->n || memcmp(t, s->last, TIME) > 0)
		memcpy(s->last, t, TIME);
}

static void add(unsigned event, uint64_t again)
{
	static char key[1 << 18];
	static uint64_t seen;
	/* The first ten are logged, then the 20th for ten, the 40th for twenty: what kills is
	 * logged always. */
	uint64_t n = again <= 10 || says(AT_signal, "fatal") ? 1 : again / 2;
	struct sum *s = find(key, key_of(key));

	add_time(s);
	add_second(event, n);
	s->n += n;
	s->lines++;
	s->repeated |= again > 1;
	s->many |= again >= 10;
	s->last_seen = ++seen;
}

/* Counts the line from P to END; false: it is to go through. */
static bool fold(const char *p, const char *end)
{
	unsigned e = 0;

	if (!take_line(p, end) || !value[AT_repeated].from ||
	    (value[AT_limited].from && !says(AT_limited, "0")) ||
	    (value[AT_dropped].from && !says(AT_dropped, "0")))
		return false;
	while (e < EVENTS && !says(AT_ev, events[e]))
		e++;
	if (e == EVENTS)
		return false;
	counted++;
	if (e >= UNWRITTEN)
		unwritten[e]++;
	else
		add(e, strtoull(value[AT_repeated].from, NULL, 10));
	return true;
}

/* ---- the whole ---- */

enum { LINE = 1 << 16, BUFFER = 1 << 20 };

/* As it is; but nothing of ours can be forged. */
static void pass(const char *p, size_t n, bool starts, bool ends)
{
	if (starts && *p == '{')
		put_all();
	if (starts && n && *p == '\001')
		putchar('?');
	fwrite(p, 1, n, stdout);
	if (ends)
		putchar('\n');
}

static void take(char *p, char *end)
{
	char was = *end;

	*end = 0;
	if (end - p > LINE || !fold(p, end))
		pass(p, (size_t)(end - p), true, true);
	*end = was;
}

static char buffer[BUFFER + 64]; /* literal() may look behind the end */
static bool inside;		 /* a line that is longer than the buffer */

/* The lines in N bytes of the buffer; what is left of the last one is at its beginning then, and as
 * long as is returned. */
static size_t take_lines(size_t n)
{
	char *p = buffer, *end = buffer + n, *line;

	while ((line = memchr(p, '\n', (size_t)(end - p)))) {
		if (inside)
			pass(p, (size_t)(line - p), false, true);
		else
			take(p, line);
		inside = false;
		p = line + 1;
	}
	n = (size_t)(end - p);
	if (n == BUFFER) {
		pass(p, n, !inside, false);
		inside = true;
		return 0;
	}
	memmove(buffer, p, n);
	return n;
}

int pg_fold(void)
{
	size_t have = 0, n;

	arena = malloc(ARENA);
	sums = calloc(SUMS, sizeof *sums);
	order = calloc(MOST, sizeof *order); // NOLINT: pointers
	if (!arena || !sums || !order)
		return 125;
	learn_classes();
	setvbuf(stdout, NULL, _IOFBF, 1 << 17);
	puts("\001F\t1");
	while ((n = fread(buffer + have, 1, BUFFER - have, stdin)) > 0)
		have = take_lines(have + n);
	if (have && !inside)
		take(buffer, buffer + have);
	else if (have)
		pass(buffer, have, false, true);
	put_all();
	return fflush(stdout) || ferror(stdout) || ferror(stdin) ? 125 : 0;
}
