/* SPDX-License-Identifier: MIT */
#include "command/tree.h"

#include "command/control.h"
#include "command/say.h"
#include "command/variables.h"

#include "object/ending.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The process in the name of such a file; 0: it is none. PREFIX: without the process. */
static pid_t owner_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	char *end;
	long pid;

	if (strncmp(name, prefix, n) != 0 || name[n] < '1' || name[n] > '9')
		return 0;
	pid = strtol(name + n, &end, 10);
	return *end || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static void sweep(const char *folder, const char *prefix)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		pid_t owner = owner_of(entry->d_name, prefix);

		if (owner && kill(owner, 0) && errno == ESRCH)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

void pg_tree_start(void)
{
	const char *path;
	char *folder, *name;

	if (pg_variable("PIPEGUARD_CONTROL") || pg_variable("PIPEGUARD_ENDINGS"))
		return;
	path = pg_control_path(pg_text_of("endings-%d", (int)getpid()));
	folder = pg_text_of("%s", path);
	name = strrchr(folder, '/');
	*name++ = 0;
	*(strrchr(name, '-') + 1) = 0;
	sweep(folder, name);
	unlink(path);
	if (pg_endings_open(path, getpid()))
		pg_variable_set("PIPEGUARD_ENDINGS", path);
}
