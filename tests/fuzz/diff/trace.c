/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { TEXT_MAX = 1 << 19, USES = 256, NAME_MAX_ = 24 };

/* In memory that all processes share: a death loses nothing, and no descriptor is needed. */
static struct shared {
	size_t used;
	struct use {
		char name[NAME_MAX_];
		unsigned long count;
	} use[USES];
	char text[TEXT_MAX];
} * shared;

void trace_start(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		exit(3);
}

void trace_clear(void)
{
	shared->used = 0;
}

void trace_print(void)
{
	fwrite(shared->text, 1, shared->used, stdout);
}

static void put_line(const char *mark, const char *format, va_list ap)
{
	char line[600];
	int saved = errno, n;

	n = snprintf(line, sizeof line, "%s", mark);
	n += vsnprintf(line + n, sizeof line - 2 - (size_t)n, format, ap);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	if (shared->used + (size_t)n <= TEXT_MAX) {
		memcpy(shared->text + shared->used, line, (size_t)n);
		shared->used += (size_t)n;
	}
	errno = saved;
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_line("", format, ap);
	va_end(ap);
}

void fact(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_line("!", format, ap);
	va_end(ap);
}

uint64_t hash(const void *at, size_t len)
{
	const unsigned char *p = at;
	uint64_t h = 0xcbf29ce484222325u + len, word;

	for (; len >= sizeof word; p += sizeof word, len -= sizeof word) {
		memcpy(&word, p, sizeof word);
		h = (h ^ word) * 0x100000001b3u;
		h ^= h >> 29;
	}
	for (; len; len--)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

const char *error_name(int err)
{
	const char *name = err == ERRNO_BEFORE ? "-" : strerrorname_np(err);

	return name ? name : "?";
}

const char *signal_text(int status)
{
	static char text[40];

	if (WIFEXITED(status))
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "killed by %s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, sizeof text, "status %#x", (unsigned)status);
	return text;
}

void count_use(const char *call)
{
	for (unsigned i = 0; i < USES; i++) {
		struct use *u = &shared->use[i];

		if (!u->name[0])
			snprintf(u->name, sizeof u->name, "%s", call);
		if (!strcmp(u->name, call)) {
			u->count++;
			return;
		}
	}
}

void print_uses(void)
{
	printf("== uses");
	for (unsigned i = 0; i < USES && shared->use[i].name[0]; i++)
		printf(" %s=%lu", shared->use[i].name, shared->use[i].count);
	printf("\n");
}
