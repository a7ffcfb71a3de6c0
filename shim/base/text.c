/* SPDX-License-Identifier: MIT */
#include "base/text.h"

void pg_put_char(struct pg_text *t, char c)
{
	if (t->len < t->cap)
		t->buf[t->len++] = c;
}

void pg_put_bytes(struct pg_text *t, const char *s, size_t n)
{
	if (n > t->cap - t->len)
		n = t->cap - t->len;
	__builtin_memcpy(t->buf + t->len, s, n);
	t->len += n;
}

void pg_put(struct pg_text *t, const char *s)
{
	pg_put_bytes(t, s, pg_len(s));
}

void pg_put_u64(struct pg_text *t, uint64_t v)
{
	char digits[20];
	size_t n = sizeof digits;

	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	pg_put_bytes(t, digits + n, sizeof digits - n);
}

void pg_put_i64(struct pg_text *t, int64_t v)
{
	if (v < 0)
		pg_put_char(t, '-');
	pg_put_u64(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static char hex_digit(unsigned v)
{
	return "0123456789abcdef"[v & 15];
}

void pg_put_digits(struct pg_text *t, uint64_t v)
{
	char digits[16];
	size_t n = sizeof digits;

	do
		digits[--n] = hex_digit((unsigned)v);
	while (v >>= 4);
	pg_put_bytes(t, digits + n, sizeof digits - n);
}

void pg_put_hex(struct pg_text *t, uint64_t v)
{
	pg_put_bytes(t, "0x", 2);
	pg_put_digits(t, v);
}

void pg_put_padded(struct pg_text *t, uint64_t v, unsigned digits)
{
	uint64_t unit = 1;

	while (--digits)
		unit *= 10;
	for (; unit; unit /= 10)
		pg_put_char(t, (char)('0' + v / unit % 10));
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\' && c != '"';
}

void pg_put_byte(struct pg_text *t, unsigned char c)
{
	pg_put(t, "\\x");
	pg_put_char(t, hex_digit(c >> 4));
	pg_put_char(t, hex_digit(c));
}

void pg_put_name(struct pg_text *t, const char *s, size_t max)
{
	for (size_t i = 0, n = 0; i < max && s[i]; i += n ? n : 1) {
		for (n = 0; i + n < max && plain((unsigned char)s[i + n]); n++)
			;
		pg_put_bytes(t, s + i, n);
		if (!n)
			pg_put_byte(t, (unsigned char)s[i]);
	}
}

void pg_put_json(struct pg_text *t, const char *s, size_t max)
{
	if (!s) {
		pg_put(t, "null");
		return;
	}
	pg_put_char(t, '"');
	for (size_t i = 0; i < max && s[i]; i++) {
		unsigned char c = (unsigned char)s[i];

		if (plain(c)) {
			pg_put_char(t, (char)c);
			continue;
		}
		if (c == '\\') {
			pg_put(t, "\\\\");
			continue;
		}
		pg_put(t, "\\u00");
		pg_put_char(t, hex_digit(c >> 4));
		pg_put_char(t, hex_digit(c));
	}
	pg_put_char(t, '"');
}

/* V tenths, as "3.2". */
static void put_tenths(struct pg_text *t, uint64_t v, const char *unit)
{
	pg_put_u64(t, v / 10);
	pg_put_char(t, '.');
	pg_put_u64(t, v % 10);
	pg_put(t, unit);
}

void pg_put_duration(struct pg_text *t, uint64_t ns)
{
	const uint64_t ms = 1000 * 1000, s = 1000 * ms;

	if (ns < ms / 10) {
		pg_put_u64(t, ns / 1000);
		pg_put(t, " us");
	} else if (ns < s) {
		put_tenths(t, ns / (ms / 10), " ms");
	} else if (ns < 600 * s) {
		put_tenths(t, ns / (s / 10), " s");
	} else if (ns < 7200 * s) {
		pg_put_u64(t, ns / (60 * s));
		pg_put(t, " min");
	} else {
		pg_put_u64(t, ns / (3600 * s));
		pg_put(t, " h");
	}
}

/* Days since 1970 to a date: the civil calendar in years that start in March, so a leap day comes
 * last. */
static void put_date(struct pg_text *t, int64_t days)
{
	int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;

	pg_put_padded(t, (uint64_t)(yoe + era * 400 + (month <= 2)), 4);
	pg_put_char(t, '-');
	pg_put_padded(t, (uint64_t)month, 2);
	pg_put_char(t, '-');
	pg_put_padded(t, (uint64_t)day, 2);
}

void pg_put_time(struct pg_text *t, int64_t sec, uint32_t nsec)
{
	uint64_t in_day = (uint64_t)(sec % 86400);

	put_date(t, sec / 86400);
	pg_put_char(t, 'T');
	pg_put_padded(t, in_day / 3600, 2);
	pg_put_char(t, ':');
	pg_put_padded(t, in_day / 60 % 60, 2);
	pg_put_char(t, ':');
	pg_put_padded(t, in_day % 60, 2);
	pg_put_char(t, '.');
	pg_put_padded(t, nsec / 1000, 6);
	pg_put_char(t, 'Z');
}

size_t pg_len(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool pg_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

bool pg_prefix(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix)
		s++, prefix++;
	return !*prefix;
}

const char *pg_basename(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/' && path[1])
			base = path + 1;
	return base;
}

void pg_copy(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	for (; n + 1 < cap && src[n]; n++)
		dst[n] = src[n];
	dst[n] = 0;
}

bool pg_number(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned digit = (unsigned)(unsigned char)*s - '0';

		if (digit > 9 || digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

/* One [class] at *P against C; *P moves past it. An unclosed one matches '[' itself. */
static bool glob_class(const char **p, char c)
{
	const char *q = *p + 1;
	bool negate = *q == '!' || *q == '^', found = false;

	q += negate;
	for (const char *first = q; *q && (*q != ']' || q == first); q++) {
		char lo = *q;

		if (q[1] == '-' && q[2] && q[2] != ']')
			q += 2;
		found |= lo <= c && c <= *q;
	}
	if (!*q)
		return *(*p)++ == c;
	*p = q + 1;
	return found != negate;
}

static bool glob_one(const char **p, char c)
{
	if (**p == '[')
		return glob_class(p, c);
	if (**p == '?')
		return (*p)++, true;
	if (**p == '\\' && (*p)[1])
		(*p)++;
	return *(*p)++ == c;
}

bool pg_glob(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
			continue;
		}
		if (*pattern && glob_one(&pattern, *s)) {
			s++;
			continue;
		}
		if (!star)
			return false;
		pattern = star;
		s = ++retry;
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Edit distance of two words under 32 letters; 99 if longer. */
static unsigned distance(const char *a, const char *b)
{
	unsigned char row[33];
	size_t n = pg_len(b);

	if (n > 31 || pg_len(a) > 31)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned char)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned char diagonal = row[0];

		row[0] = (unsigned char)(i + 1);
		for (size_t j = 0; j < n; j++) {
			unsigned best = diagonal + (lower(a[i]) == lower(b[j]) ? 0u : 1u);

			diagonal = row[j + 1];
			if (row[j] + 1u < best)
				best = row[j] + 1u;
			if (diagonal + 1u < best)
				best = diagonal + 1u;
			row[j + 1] = (unsigned char)best;
		}
	}
	return row[n];
}

struct pg_nearest pg_nearest_to(const char *word)
{
	const char *letters = word;
	size_t n;

	while (*letters == '-')
		letters++;
	n = pg_len(letters);
	return (struct pg_nearest){word, NULL, n < 3 ? 2 : n < 6 ? 3 : 4};
}

void pg_nearest_try(struct pg_nearest *n, const char *candidate)
{
	unsigned d = distance(n->word, candidate);

	if (d && pg_len(n->word) > 2 && pg_prefix(candidate, n->word))
		d = 1; /* cut short */
	if (d >= n->distance || d >= pg_len(candidate))
		return;
	n->best = candidate;
	n->distance = d;
}
