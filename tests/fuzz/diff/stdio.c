/* SPDX-License-Identifier: MIT */
/* FILEs: what stays in their buffers, and when it goes. */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

enum { FILES = 4 };
static FILE *files[FILES];
static char room[FILES][8192];

static void opens(unsigned i)
{
	static const char *const modes[] = {"r", "w", "r+", "a", "a+", "w+"};
	const char *mode = ONE_OF(modes);
	bool by_name = on(C_file) && percent(20);
	char name[8];
	int fd = good_fd(percent(70) ? OUT : IN);
	unsigned roles = slot_roles(fd);

	if (by_name) {
		snprintf(name, sizeof name, "f%u", below(NAMES));
		files[i] = fopen(name, mode);
	} else {
		fd = fcntl(fd, F_DUPFD, 20);
		if (fd < 0)
			return;
		slot_add(fd, roles, new_pair(), 0);
		files[i] = fdopen(fd, mode);
	}
	say("file %u: %s, %s", i, mode, files[i] ? "open" : error_name(errno));
}

static struct call call_on(const char *name, unsigned i, enum way way)
{
	struct call c = {.name = name, .way = way, .fd = fileno(files[i]), .len = -1};

	ready_out(c.fd, SIZE_MAX);
	ready_in(c.fd, true);
	return c;
}

static const char *some_text(size_t len)
{
	char *text = block(len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(i % 40 == 39 ? '\n' : 'a' + i % 26);
	text[len] = 0;
	return text;
}

static void puts_wide(struct call *c, FILE *f)
{
	c->name = "fputws";
	MAKE(c, fputws(L"wide text\n", f));
}

static void puts_some(unsigned i)
{
	struct call c = call_on("fputs", i, WRITES);
	FILE *f = files[i];
	size_t len = percent(70) ? below(300) : some_length(true);
	const char *text;

	if (slot_roles(c.fd) & (TCP | TTY) && len > 500)
		len = 500;
	text = some_text(len);
	detail(&c, ", %zu", len);
	switch (below(6)) {
	case 0:
		c.name = "fprintf";
		MAKE(&c, fprintf(f, "%s", text));
		return;
	case 1:
		c.name = "fwrite";
		MAKE(&c, fwrite(text, 1, len, f));
		return;
	case 2:
		c.name = "putc";
		MAKE(&c, putc('x', f));
		return;
	case 3:
		if (percent(30)) {
			puts_wide(&c, f);
			return;
		}
		/* fall through */
	default:
		MAKE(&c, fputs(text, f));
	}
}

static void gets_some(unsigned i)
{
	struct call c = call_on("fread", i, READS);
	size_t len = some_length(false);
	struct buf b = buffer_in(len + 1);

	detail(&c, ", %zu", len);
	if (percent(60)) {
		MAKE(&c, fread(b.at, 1, len, files[i]));
	} else {
		c.name = "fgets";
		MAKE(&c, fgets(b.at, (int)len + 1, files[i]) != NULL);
	}
	say("  hash %llx", (unsigned long long)hash(b.at, len));
}

static void flushes(unsigned i)
{
	struct call c = call_on("fflush", i, WRITES);
	bool all = percent(15);

	if (all)
		c.name = "fflush-all";
	MAKE(&c, fflush(all ? NULL : files[i]));
}

static void closes(unsigned i)
{
	struct call c = call_on("fclose", i, WRITES);
	FILE *f = files[i];

	files[i] = NULL;
	MAKE(&c, fclose(f));
}

static void opens_again(unsigned i)
{
	struct call c = call_on("freopen", i, WRITES);
	char name[8];

	snprintf(name, sizeof name, "f%u", below(NAMES));
	files[i] = (MAKE(&c, (files[i] = freopen(percent(50) ? "/dev/null" : name,
						 percent(50) ? "w" : "r", files[i])) != NULL),
		    files[i]);
}

static void sets_buffer(unsigned i)
{
	static const int modes[] = {_IONBF, _IOLBF, _IOFBF};
	struct call c = call_on("setvbuf", i, WRITES);
	int mode = ONE_OF(modes);
	size_t size = percent(30) ? 1 : percent(50) ? 100 : sizeof room[i];
	char *own = percent(50) ? room[i] : NULL;

	detail(&c, ", %d, %zu", mode, size);
	MAKE(&c, setvbuf(files[i], own, mode, size));
}

static void others(unsigned i)
{
	struct call c = call_on("fseek", i, WRITES);

	if (percent(50)) {
		MAKE(&c, fseek(files[i], (long)below(300), SEEK_SET));
	} else {
		clearerr(files[i]);
		say("clearerr %u", i);
	}
}

static void on_one(unsigned i)
{
	unsigned what = below(20);

	if (what < 8)
		puts_some(i);
	else if (what < 12)
		flushes(i);
	else if (what < 14)
		gets_some(i);
	else if (what < 15)
		closes(i);
	else if (what < 16)
		opens_again(i);
	else if (what < 18)
		sets_buffer(i);
	else
		others(i);
}

void op_stdio(void)
{
	unsigned i = below(FILES);

	if (!files[i])
		opens(i);
	if (!files[i])
		return;
	on_one(i);
	if (files[i])
		say("  file %u: error %d, end %d, number %d", i, ferror(files[i]) != 0,
		    feof(files[i]) != 0, fileno(files[i]));
}

/* The judge is told what exit() will have to write. */
void files_at_exit(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		struct call c = {.name = "exit-flush", .way = WRITES, .len = -1};

		if (!files[i] || !__fpending(files[i]))
			continue;
		c.fd = fileno(files[i]);
		ready_out(c.fd, SIZE_MAX);
		call_begin(&c);
	}
}

/* ---- popen ---- */

static void to_one_that_left(void)
{
	FILE *f = popen("exit 3", "w");
	struct pollfd p = {.events = 0};
	struct call c = {.name = "fputs", .way = WRITES, .len = -1};

	if (!f)
		return;
	c.fd = p.fd = fileno(f);
	poll(&p, 1, 5000);
	say("popen: %d, events %#x", p.fd, (unsigned)p.revents);
	setvbuf(f, NULL, _IONBF, 0);
	MAKE(&c, fputs("to nobody\n", f));
	say("pclose: %s", signal_text(pclose(f)));
}

static void from_one(void)
{
	char line[100];
	FILE *f = popen("echo one; echo two; exit 5", "r");

	if (!f)
		return;
	say("popen: %d", fileno(f));
	for (int left = 3; left--;) { /* two lines, and the end */
		struct call c = {.name = "fgets", .way = READS, .fd = fileno(f), .len = -1};

		MAKE(&c, fgets(line, sizeof line, f) != NULL);
	}
	say("pclose: %s", signal_text(pclose(f)));
}

void op_popen(void)
{
	if (percent(50))
		to_one_that_left();
	else
		from_one();
}
