/* SPDX-License-Identifier: MIT */
#include "command/say.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pg_end(int status)
{
	fflush(stdout);
	fflush(stderr);
	_exit(status);
}

static void __attribute__((noreturn)) no_memory(void)
{
	fputs("pipeguard: no memory\n", stderr);
	pg_end(PG_FAILED);
}

void *pg_room(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		no_memory();
	return p;
}

static char *text_of(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		no_memory();
	return text;
}

char *pg_text_of(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = text_of(format, args);
	va_end(args);
	return text;
}

/* Control bytes as \x1b; the rest, UTF-8 too, as it is. */
static void put_line(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			putc(c, f);
	}
}

void pg_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_line(stdout, text_of(format, args));
	putchar('\n');
	va_end(args);
}

static unsigned line_of_input;

void pg_say_line(unsigned n)
{
	line_of_input = n;
}

void pg_fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fflush(stdout);
	fputs("pipeguard: ", stderr);
	if (line_of_input)
		fprintf(stderr, "standard input, line %u: ", line_of_input);
	put_line(stderr, text_of(format, args));
	putc('\n', stderr);
	va_end(args);
	pg_end(status);
}

const char *pg_nearest_text(const struct pg_nearest *n, const char *otherwise)
{
	return n->best ? pg_text_of(" (did you mean '%s'?)", n->best) : otherwise;
}

const char *pg_near(const char *word, const char *const *words, const char *otherwise)
{
	struct pg_nearest n = pg_nearest_to(word);

	for (; *words; words++)
		pg_nearest_try(&n, *words);
	return pg_nearest_text(&n, otherwise);
}

const char *pg_quoted(const char *s)
{
	char *out = pg_room(4 * strlen(s) + 3), *to = out;

	*to++ = '\'';
	for (; *s; s++) {
		*to++ = *s;
		if (*s == '\'')
			to = stpcpy(to, "\\''");
	}
	*to = '\'';
	return out;
}

int pg_flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "pipeguard: standard output: %s\n", strerror(errno));
	return PG_FAILED;
}
