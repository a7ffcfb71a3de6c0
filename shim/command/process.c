/* SPDX-License-Identifier: MIT */
#include "command/process.h"

#include "command/say.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *open_of(unsigned pid, const char *name)
{
	return fopen(pg_text_of("/proc/%u/%s", pid, name), "re");
}

/* What SIGPIPE does in it, by the masks of /proc/PID/status. */
static const char *sigpipe_of(FILE *status)
{
	static const struct {
		const char *field, *word;
	} states[] = {{"SigBlk:", "blocked"}, {"SigIgn:", "ignored"}, {"SigCgt:", "caught"}};
	const char *word = "default";
	char line[256];

	while (fgets(line, sizeof line, status))
		for (size_t i = 0; i < sizeof states / sizeof *states; i++)
			if (!strncmp(line, states[i].field, strlen(states[i].field)) &&
			    strtoull(line + strlen(states[i].field), NULL, 16) >> (SIGPIPE - 1) & 1)
				word = states[i].word;
	return word;
}

static void read_status(struct pg_process_view *p)
{
	FILE *f = open_of(p->pid, "status");

	if (!f)
		return;
	p->sigpipe = sigpipe_of(f);
	fclose(f);
}

static bool read_name(struct pg_process_view *p)
{
	FILE *f = open_of(p->pid, "comm");
	char line[64];

	if (!f)
		return false;
	if (fgets(line, sizeof line, f))
		p->name = pg_text_of("%.*s", (int)strcspn(line, "\n"), line);
	fclose(f);
	return p->name;
}

static void read_maps(struct pg_process_view *p)
{
	FILE *f = open_of(p->pid, "maps");
	char *line = NULL;
	size_t room = 0;

	if (!f)
		return;
	while (getline(&line, &room, f) > 0) {
		p->mapped = true;
		p->guarded |= strstr(line, "/libpipeguard.so") != NULL;
	}
	free(line);
	fclose(f);
}

static bool same_file(const char *a, const char *b)
{
	struct stat one, other;

	return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

bool pg_process_look(struct pg_process_view *p, unsigned pid)
{
	char path[PATH_MAX];
	ssize_t n;

	*p = (struct pg_process_view){.pid = pid};
	if (!read_name(p))
		return false;
	p->file = pg_text_of("/proc/%u/exe", pid);
	n = readlink(p->file, path, sizeof path);
	if (n > 0)
		p->path = pg_text_of("%.*s", (int)n, path);
	if (p->path && same_file(p->path, p->file)) /* not in a container, nor replaced meanwhile */
		p->file = p->path;
	read_status(p);
	read_maps(p);
	if (p->guarded && p->sigpipe && !strcmp(p->sigpipe, "caught"))
		p->sigpipe = NULL; /* by the library, whatever the program did */
	return true;
}
