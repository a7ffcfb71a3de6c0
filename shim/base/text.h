/* SPDX-License-Identifier: MIT */
/*
 * Bounded text: built without malloc, stdio or locale. All functions are
 * async-signal-safe, leave errno alone, and drop what does not fit.
 */
#ifndef PG_TEXT_H
#define PG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_text {
	char *buf;
	size_t len; /* bytes in use; buf is not terminated */
	size_t cap; /* bytes that fit */
};

void pg_put(struct pg_text *t, const char *s);
void pg_put_bytes(struct pg_text *t, const char *s, size_t n);
void pg_put_char(struct pg_text *t, char c);
void pg_put_u64(struct pg_text *t, uint64_t v);
void pg_put_i64(struct pg_text *t, int64_t v);
void pg_put_hex(struct pg_text *t, uint64_t v);	   /* 0x..., lower case */
void pg_put_digits(struct pg_text *t, uint64_t v); /* the same without 0x */
void pg_put_padded(struct pg_text *t, uint64_t v, unsigned digits);

/* A byte as \xNN. */
void pg_put_byte(struct pg_text *t, unsigned char c);

/* A name from outside, at most MAX bytes of it: control bytes, quotes and bytes over 0x7e are
 * escaped. */
void pg_put_name(struct pg_text *t, const char *s, size_t max);

/* The same as a JSON string with its quotes; a null pointer is null. Bytes over 0x7e become \u00XX.
 */
void pg_put_json(struct pg_text *t, const char *s, size_t max);

/* A duration for people: "38 us", "1.8 ms", "3.2 s", "2 h". */
void pg_put_duration(struct pg_text *t, uint64_t ns);

/* RFC 3339, UTC, microseconds. SEC since 1970, not negative. */
void pg_put_time(struct pg_text *t, int64_t sec, uint32_t nsec);

size_t pg_len(const char *s);
bool pg_same(const char *a, const char *b);

/* True if the N bytes at S, none of which is a NUL, are the string WORD. */
static inline bool pg_is(const char *s, size_t n, const char *word)
{
	size_t i = 0;

	while (i < n && s[i] == word[i])
		i++;
	return i == n && !word[n];
}

bool pg_prefix(const char *s, const char *prefix);
const char *pg_basename(const char *path);

/* Copies as much of SRC as fits into CAP bytes, always terminated. */
void pg_copy(char *dst, size_t cap, const char *src);

/* A decimal number from S to MAX; false if S is empty, has another character, or is greater. */
bool pg_number(const char *s, uint64_t max, uint64_t *out);

/* Shell glob: * ? [a-z] [!x] and \c. Bounded time: at most one * is backtracked. */
bool pg_glob(const char *pattern, const char *s);

/* "Did you mean": the one of the candidates that is nearest to WORD, by letters and whatever their
 * case, if one is near enough to be meant. One that WORD is the beginning of is near. */
struct pg_nearest {
	const char *word, *best;
	unsigned distance; /* the next one must be below */
};
struct pg_nearest pg_nearest_to(const char *word);
void pg_nearest_try(struct pg_nearest *n, const char *candidate);

#endif
