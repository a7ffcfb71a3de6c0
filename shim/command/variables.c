/* SPDX-License-Identifier: MIT */
#include "command/variables.h"

#include "command/say.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MORE = 32 }; /* entries that may be added: one for each option at most */

static char **entries;
static size_t count, room;

char **pg_variables(void)
{
	static char *none[] = {NULL};
	char **given = environ ? environ : none;

	if (entries)
		return entries;
	while (given[count])
		count++;
	room = count + MORE;
	entries = pg_room((room + 1) * sizeof *entries);
	for (size_t i = 0; i < count; i++)
		entries[i] = given[i];
	return entries;
}

/* The value of ENTRY if it is called NAME. */
static char *value_of(char *entry, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(entry, name, n) && entry[n] == '=' ? entry + n + 1 : NULL;
}

static void add(char *entry)
{
	if (count < room)
		entries[count++] = entry;
}

void pg_variable_set(const char *name, const char *value)
{
	char *entry = pg_text_of("%s=%s", name, value);
	bool found = false;

	for (char **e = pg_variables(); *e; e++) {
		if (!value_of(*e, name))
			continue;
		*e = entry;
		found = true;
	}
	if (!found)
		add(entry);
}

const char *pg_variable(const char *name)
{
	const char *found = NULL;

	for (char **e = pg_variables(); *e; e++)
		if (value_of(*e, name))
			found = value_of(*e, name);
	return found;
}

/* ---- LD_PRELOAD ---- */

static const char *base_name(const char *path, size_t n)
{
	const char *slash = memrchr(path, '/', n);

	return slash ? slash + 1 : path;
}

bool pg_sanitizer_name(const char *path)
{
	static const char *const names[] = {"libasan.so", "liblsan.so", "libclang_rt.asan"};
	const char *name = base_name(path, strcspn(path, " :"));

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Is LIBRARY the first word of LIST? */
static bool starts_with(const char *list, const char *library)
{
	size_t n = strlen(library);

	return !strncmp(list, library, n) && (!list[n] || list[n] == ':' || list[n] == ' ');
}

static const char *preload(const char *library, const char *old)
{
	size_t first = strcspn(old, " :");

	if (!*old)
		return library;
	if (starts_with(old, library))
		return old;
	if (!pg_sanitizer_name(old))
		return pg_text_of("%s:%s", library, old);
	if (old[first] && starts_with(old + first + 1, library))
		return old;
	return pg_text_of("%.*s:%s%s", (int)first, old, library, old + first);
}

const char *pg_variable_preloaded(const char *library)
{
	const char *old = pg_variable("LD_PRELOAD");

	return preload(library, old ? old : "");
}

void pg_variable_preload(const char *library)
{
	bool found = false;

	for (char **e = pg_variables(); *e; e++) {
		const char *old = value_of(*e, "LD_PRELOAD");

		if (!old)
			continue;
		*e = pg_text_of("LD_PRELOAD=%s", preload(library, old));
		found = true;
	}
	if (!found)
		add(pg_text_of("LD_PRELOAD=%s", library));
}

/* ---- names ---- */

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How long the name of ENTRY is, if the library would read it and a shell can set it; else 0. */
static size_t name_length(const char *entry)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t n = strspn(entry, letters);

	return !strncmp(entry, "PIPEGUARD_", 10) && entry[n] == '=' ? n : 0;
}

const char **pg_variable_names(void)
{
	char **e = pg_variables();
	const char **names = pg_room((count + 1) * sizeof *names);
	size_t n = 0, kept = 0;

	for (; *e; e++)
		if (name_length(*e))
			names[n++] = pg_text_of("%.*s", (int)name_length(*e), *e);
	qsort(names, n, sizeof *names, compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	names[kept] = NULL;
	return names;
}
