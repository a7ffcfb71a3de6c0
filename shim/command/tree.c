/* SPDX-License-Identifier: MIT */
#include "command/tree.h"

#include "command/control.h"
#include "command/say.h"
#include "command/variables.h"

#include "object/ending.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process is more than a number, which another one may have later, or elsewhere. A file is called
 * by the one that it is for: number, beginning, and the space that its number is of. */
struct owner {
	long pid;
	unsigned long long began, space; /* ticks after the boot; 0: not known */
};

static unsigned long long space_of(const char *process)
{
	struct stat st;

	return stat(pg_text_of("/proc/%s/ns/pid", process), &st) ? 0 : st.st_ino;
}

/* Field 22 of /proc/PID/stat; the name before it may hold anything. */
static unsigned long long began(const char *process)
{
	char buf[800];
	FILE *f = fopen(pg_text_of("/proc/%s/stat", process), "re");
	size_t n = f ? fread(buf, 1, sizeof buf - 1, f) : 0;
	unsigned long long ticks = 0;
	const char *p;

	if (f)
		fclose(f);
	buf[n] = 0;
	p = strrchr(buf, ')');
	for (unsigned field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %llu", &ticks) == 1 ? ticks : 0;
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* Is process NAME, one of ours, of SPACE, or may it be? */
static bool is_in(const char *name, unsigned long long space)
{
	struct stat st;
	unsigned long long its = space_of(name);

	return its == space ||
	       (!its && !stat(pg_text_of("/proc/%s", name), &st) && st.st_uid == geteuid());
}

/* Has nobody that number space any more? Where not all processes can be seen, that is not known. */
static bool space_is_gone(unsigned long long space, unsigned long long mine)
{
	enum { FIRST = 0xeffffffcu }; /* the kernel's PROC_PID_INIT_INO */
	DIR *dir = mine == FIRST ? opendir("/proc") : NULL;
	const struct dirent *entry;
	bool gone = dir;

	while (gone && (entry = readdir(dir)))
		gone = !is_number(entry->d_name) || !is_in(entry->d_name, space);
	if (dir)
		closedir(dir);
	return gone;
}

static bool is_gone(const struct owner *o)
{
	const char *process = pg_text_of("%ld", o->pid);
	unsigned long long mine = space_of("self"), now;

	if (o->space != mine)
		return space_is_gone(o->space, mine);
	if (o->pid == getpid() || (kill((pid_t)o->pid, 0) && errno == ESRCH))
		return true;
	if (space_of(process) != mine)
		return false; /* this /proc is of another space */
	now = began(process);
	return now && o->began && now != o->began;
}

static void sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	struct owner o;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "%ld.%llu.%llu", &o.pid, &o.began, &o.space) == 3 &&
		    o.pid > 0 && o.pid <= INT32_MAX && is_gone(&o))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* A folder of this user's alone: what others may write to they may exchange. */
static bool is_ours(const char *folder)
{
	struct stat st;

	return !lstat(folder, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

/* The folder of what trees share; those of trees that were killed go. */
static bool make_folder(const char *folder)
{
	if (!mkdir(folder, 0700))
		return true;
	if (errno != EEXIST || !is_ours(folder))
		return false;
	sweep(folder);
	return true;
}

static const char *name_in(const char *folder, const char *more)
{
	return pg_text_of("%s/%d.%llu.%llu%s", folder, (int)getpid(), began("self"),
			  space_of("self"), more);
}

const char *pg_tree_page(void)
{
	const char *folder = pg_control_path("endings");

	return make_folder(folder) ? name_in(folder, ".page") : pg_control_path("page");
}

void pg_tree_page_ends(const char *path)
{
	unlink(path);
	rmdir(pg_control_path("endings")); /* with the last one in it */
}

void pg_tree_start(bool looks)
{
	enum { TRIES = 20 }; /* another tree may take the folder along as it ends */
	const char *folder, *path;
	bool made = false;

	if (pg_variable("PIPEGUARD_CONTROL") || pg_variable("PIPEGUARD_ENDINGS"))
		return;
	folder = pg_control_path("endings");
	path = name_in(folder, "");
	for (int i = 0; i < TRIES && !made; i++)
		made = make_folder(folder) && pg_endings_make(path);
	if (!made)
		return;
	pg_variable_set("PIPEGUARD_ENDINGS", path);
	if (looks)
		pg_endings_open(path);
}
