/* SPDX-License-Identifier: MIT */
#include "command/places.h"

#include "command/say.h"

#include "command/where.h" /* PG_WHERE_BIN, PG_WHERE_LIB: of make install, as C strings */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static const char library_name[] = "libpipeguard.so";

/* PATH without its last component. */
static const char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	return slash == path ? "/" : pg_text_of("%.*s", (int)(slash - path), path);
}

/* Whatever links it was called by. */
const char *pg_command(void)
{
	static char path[PATH_MAX];
	ssize_t n;

	if (*path)
		return path;
	n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	if (*path != '/' && !realpath((const char *)getauxval(AT_EXECFN), path)) /* no /proc */
		pg_fail(PG_FAILED, "where this program lies cannot be known");
	return path;
}

/* The folder that this program lies in. */
static const char *own_folder(void)
{
	static const char *folder;

	return folder ? folder : (folder = folder_of(pg_command()));
}

/* Where this program's folder says that the library was put: in /stage/usr/bin, of a program that
 * was made for /usr/bin, the root is /stage. A null pointer: it says nothing. */
static const char *moved_folder(void)
{
	const char *here = own_folder();
	size_t n = strlen(here), bin = strlen(PG_WHERE_BIN);

	if (n < bin || strcmp(here + n - bin, PG_WHERE_BIN) != 0)
		return NULL;
	return pg_text_of("%.*s%s", (int)(n - bin), here, PG_WHERE_LIB);
}

static const char *find_library(void)
{
	const char *here = own_folder(), *up = folder_of(here);
	const char *const folders[] = {
		here,
		moved_folder(),
		pg_text_of("%s/lib", up),
		pg_text_of("%s/build", up), /* as scripts/pipeguard of a copied tree */
		PG_WHERE_LIB,
	};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		const char *path = folders[i] ? pg_text_of("%s/%s", folders[i], library_name) : "";

		if (!access(path, R_OK))
			return path;
	}
	pg_fail(PG_FAILED,
		"%s is neither in '%s' nor in '%s/lib' nor in '%s': run make, or make install",
		library_name, here, up, PG_WHERE_LIB);
}

const char *pg_library(void)
{
	static const char *library;

	return library ? library : (library = find_library());
}

const char *pg_script(const char *name)
{
	const char *lib = folder_of(pg_library()), *up = folder_of(own_folder());
	const char *const paths[] = {
		pg_text_of("%s/pipeguard/%s", lib, name),
		pg_text_of("%s/%s", lib, name),
		pg_text_of("%s/%s", own_folder(), name),
		pg_text_of("%s/scripts/%s", up, name),		  /* from build */
		pg_text_of("%s/scripts/%s", folder_of(up), name), /* from build/32 */
	};

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (!access(paths[i], R_OK))
			return paths[i];
	pg_fail(PG_FAILED, "%s is missing beside %s: run make, or make install", name,
		pg_library());
}

/* ---- a path for the loader ---- */

static bool splits(const char *path)
{
	return path[strcspn(path, " \t\n\v\f\r:")]; /* musl splits at all of them */
}

/* A folder in which nobody else can put anything, nor another one in its place. */
static const char *folder_of_ours(void)
{
	const char *folder = pg_text_of("/tmp/pipeguard-%u", (unsigned)geteuid());
	struct stat st;

	if (stat("/tmp", &st) || (st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX)))
		return NULL;
	mkdir(folder, 0755);
	if (lstat(folder, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_mode & (S_IWGRP | S_IWOTH))
		return NULL;
	return folder;
}

static unsigned long hash_of(const char *s)
{
	unsigned long h = 5381;

	for (; *s; s++)
		h = h * 33 + (unsigned char)*s;
	return h;
}

/* A link to TARGET, made whole under another name first: others may be starting as well. */
static bool link_to(const char *target, const char *path)
{
	char there[PATH_MAX];
	ssize_t n = readlink(path, there, sizeof there);
	const char *fresh;

	if (n == (ssize_t)strlen(target) && !memcmp(there, target, (size_t)n))
		return true;
	fresh = pg_text_of("%s.%d", path, (int)getpid());
	unlink(fresh);
	return !symlink(target, fresh) && !rename(fresh, path);
}

const char *pg_library_for_loader(void)
{
	const char *library = pg_library(), *folder, *path;

	if (!splits(library))
		return library;
	folder = folder_of_ours();
	path = folder ? pg_text_of("%s/%lx-%s", folder, hash_of(library), library_name) : NULL;
	if (!path || !link_to(library, path))
		pg_fail(PG_FAILED,
			"the loader splits LD_PRELOAD at blanks and colons, and no link to '%s' "
			"can "
			"be made in /tmp/pipeguard-%u: install into another folder",
			library, (unsigned)geteuid());
	return path;
}

/* ---- programs ---- */

bool pg_can_run(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* Something that is no folder and is called NAME, in the folders of PATH: the first that can be
 * run, else the last one. */
static const char *search(const char *name)
{
	const char *list = getenv("PATH"), *found = NULL, *path;
	struct stat st;

	for (list = list ? list : "/bin:/usr/bin";; list++) {
		size_t n = strcspn(list, ":");

		path = n ? pg_text_of("%.*s/%s", (int)n, list, name) : pg_text_of("./%s", name);
		if (!stat(path, &st) && !S_ISDIR(st.st_mode))
			found = path;
		if (found == path && pg_can_run(path))
			return path;
		list += n;
		if (!*list)
			return found;
	}
}

int pg_find_program(const char *name, const char **path)
{
	*path = strchr(name, '/') ? name : *name ? search(name) : NULL;
	if (!*path || access(*path, F_OK))
		return PG_NOT_FOUND;
	return pg_can_run(*path) ? 0 : PG_CANNOT_RUN;
}

const char *pg_folder(void)
{
	char *folder = get_current_dir_name();

	if (!folder)
		pg_fail(PG_FAILED, "this folder has no name any more: write absolute paths");
	return folder;
}
