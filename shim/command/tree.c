/* SPDX-License-Identifier: MIT */
#include "command/tree.h"

#include "command/places.h"
#include "command/say.h"
#include "command/variables.h"

#include "object/ending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
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

/* What /proc/PID/stat says of PROCESS from its state on, field 3; the name before it may hold
 * anything. "": nothing. */
static const char *stat_of(const char *process)
{
	static char buf[800];
	FILE *f = fopen(pg_text_of("/proc/%s/stat", process), "re");
	size_t n = f ? fread(buf, 1, sizeof buf - 1, f) : 0;
	const char *name;

	if (f)
		fclose(f);
	buf[n] = 0;
	name = strrchr(buf, ')');
	return name && name[1] == ' ' ? name + 2 : "";
}

/* Field 22. */
static unsigned long long began(const char *process)
{
	const char *p = stat_of(process);
	unsigned long long ticks = 0;

	for (unsigned field = 3; p && field < 22; field++)
		p = strchr(p + (field > 3), ' ');
	return p && sscanf(p, " %llu", &ticks) == 1 ? ticks : 0;
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* Is process NAME, one of ours, of SPACE, or may it be? What has ended and waits for its parent
 * uses nothing. */
static bool is_in(const char *name, unsigned long long space)
{
	struct stat st;
	unsigned long long its = space_of(name);

	return its == space || (!its && !stat(pg_text_of("/proc/%s", name), &st) &&
				st.st_uid == geteuid() && *stat_of(name) != 'Z');
}

/* Has nobody that number space any more? Where not all processes can be seen, that is not known. */
static bool space_is_gone(unsigned long long space, unsigned long long mine)
{
	enum { FIRST = 0xeffffffcu }; /* the kernel's PROC_PID_INIT_INO */
	DIR *dir = mine == FIRST ? opendir("/proc") : NULL;
	const struct dirent *entry;
	bool gone = dir;

	while (gone && (entry = readdir(dir))) /* 1 is of the first space, whatever it hides */
		gone = !is_number(entry->d_name) || !strcmp(entry->d_name, "1") ||
		       !is_in(entry->d_name, space);
	if (dir)
		closedir(dir);
	return gone;
}

enum answer { NO, YES, NOT_KNOWN };
static const struct sigaction ignored = {.sa_handler = SIG_IGN};

static enum answer is_gone(const struct owner *o)
{
	const char *process = pg_text_of("%ld", o->pid);
	unsigned long long mine = space_of("self"), now;

	if (!o->pid || o->space != mine)
		return NOT_KNOWN;
	if (o->pid == getpid() || (kill((pid_t)o->pid, 0) && errno == ESRCH))
		return YES;
	now = began(process);
	if (space_of(process) != mine || !now || !o->began)
		return NOT_KNOWN; /* this /proc is of another space, or it is not for us to see */
	return now != o->began ? YES : NO;
}

/* What is mapped there is a file of the layer below, and of that nothing is known by FD. */
static bool is_layered(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* Does another process have the file FD open, or mapped? The kernel gives a lease to nobody else
 * than the only one who has it. Whoever opens it meanwhile is told to come again, and this process
 * gets a SIGIO. */
static enum answer is_used(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK))
		return errno == EAGAIN ? YES : NOT_KNOWN;
	return is_layered(fd) ? NOT_KNOWN : NO;
}

static bool is_older(int fd, long seconds)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && time(NULL) - st.st_mtime > seconds;
}

/* May FD's file go? Whom it was for has GONE; those that he started may still use it. Of what is
 * not known, what is young may be about to be opened. */
static bool may_go(int fd, const struct owner *o, enum answer gone)
{
	enum { MINUTE = 60, DAY = 24 * 60 * MINUTE };
	enum answer used;

	if (gone != YES && !is_older(fd, MINUTE))
		return false;
	used = is_used(fd);
	if (used == YES)
		return false;
	if (gone == YES || (o->space && space_is_gone(o->space, space_of("self"))))
		return true;
	return used == NO && is_older(fd, DAY);
}

static void remove_unused(int folder, const char *name)
{
	enum { FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
	struct owner o = {0, 0, 0};
	bool known = sscanf(name, "%ld.%llu.%llu", &o.pid, &o.began, &o.space) == 3 && o.pid > 0 &&
		     o.pid <= INT32_MAX;
	enum answer gone;
	int fd;

	if (!known) /* another version's */
		o = (struct owner){0, 0, 0};
	gone = is_gone(&o);
	fd = gone == NO ? -1 : openat(folder, name, FLAGS);
	if (fd < 0)
		return;
	if (may_go(fd, &o, gone))
		unlinkat(folder, name, 0);
	close(fd);
}

bool pg_tree_left(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct sigaction before;
	bool left;

	if (fd < 0)
		return false;
	sigaction(SIGIO, &ignored, &before);
	left = is_used(fd) == NO;
	close(fd);
	sigaction(SIGIO, &before, NULL);
	return left;
}

static void sweep(const char *folder)
{
	struct sigaction before;
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return;
	sigaction(SIGIO, &ignored, &before);
	while ((entry = readdir(dir)))
		if (*entry->d_name >= '1' && *entry->d_name <= '9')
			remove_unused(dirfd(dir), entry->d_name);
	sigaction(SIGIO, &before, NULL);
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
	const char *folder = pg_place_shared("endings");

	return make_folder(folder) ? name_in(folder, ".page") : pg_place_shared("page");
}

void pg_tree_page_ends(const char *path)
{
	unlink(path);
	rmdir(pg_place_shared("endings")); /* with the last one in it */
}

void pg_tree_start(bool looks)
{
	enum { TRIES = 20 }; /* another tree may take the folder along as it ends */
	const char *folder, *path;
	bool made = false;

	if (pg_variable("PIPEGUARD_CONTROL") || pg_variable("PIPEGUARD_ENDINGS"))
		return;
	folder = pg_place_shared("endings");
	path = name_in(folder, "");
	for (int i = 0; i < TRIES && !made; i++)
		made = make_folder(folder) && pg_endings_make(path);
	if (!made)
		return;
	pg_variable_set("PIPEGUARD_ENDINGS", path);
	if (looks)
		pg_endings_open(path);
}
