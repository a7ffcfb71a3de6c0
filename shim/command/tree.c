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
#include <sys/stat.h>
#include <unistd.h>

/* The process that a file is called by; 0: it is none. */
static pid_t owner_of(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return *end || *name < '1' || *name > '9' || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static void sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		pid_t owner = owner_of(entry->d_name);

		if (owner && (owner == getpid() || (kill(owner, 0) && errno == ESRCH)))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

/* A folder of this user's alone: what others may write to they may exchange. */
static bool is_ours(const char *folder)
{
	struct stat st;

	return !lstat(folder, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

static bool make(const char *folder, const char *path)
{
	if (mkdir(folder, 0700)) {
		if (errno != EEXIST || !is_ours(folder))
			return false;
		sweep(folder);
	}
	return pg_endings_make(path);
}

void pg_tree_start(bool looks)
{
	const char *folder, *path;

	if (pg_variable("PIPEGUARD_CONTROL") || pg_variable("PIPEGUARD_ENDINGS"))
		return;
	folder = pg_control_path("endings");
	path = pg_text_of("%s/%d", folder, (int)getpid());
	/* Once more: another tree may have taken the folder along as it ended. */
	if (!make(folder, path) && !make(folder, path))
		return;
	pg_variable_set("PIPEGUARD_ENDINGS", path);
	if (looks)
		pg_endings_open(path);
}
