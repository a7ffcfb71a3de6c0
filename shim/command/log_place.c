/* SPDX-License-Identifier: MIT */
/* The option that says where the log goes. What cannot be a log is refused here, before the start.
 */
#include "command/options.h"
#include "command/places.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include "base/text.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char all[] = "stderr, stdout, off, journal, fd:N, unix:/path or a path";

/* PATH from this folder on, in which a % means itself. */
static const char *absolute(const char *path)
{
	const char *folder = pg_folder();
	char *out = pg_room(2 * strlen(folder) + strlen(path) + 2), *to = out;

	if (*path == '/')
		return path;
	for (; *folder; folder++) {
		*to++ = *folder;
		if (*folder == '%')
			*to++ = '%';
	}
	*to++ = '/';
	memcpy(to, path, strlen(path) + 1);
	return out;
}

/* PATH as it will be opened; a null pointer if that differs from process to process. */
static const char *opened(const char *path)
{
	char *out = pg_room(strlen(path) + 1), *to = out;
	const char *whole = path;

	for (; *path; path++) {
		if (*path == '%' && (path[1] == 'p' || path[1] == 'n'))
			return NULL;
		if (*path == '%' && path[1] != '%')
			pg_fail(PG_FAILED,
				"-o: unknown %% word in '%s' (%%p is the pid, %%n the program, "
				"%%%% a %%)",
				whole);
		path += *path == '%';
		*to++ = *path;
	}
	return out;
}

static bool device(const char *path, const struct stat *st)
{
	return S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && strcmp(path, "/dev/null") != 0 &&
					strcmp(path, "/dev/tty") != 0);
}

/* Can a log be at PATH? For a socket only its folder is looked at. */
static void check_path(const char *path, bool socket)
{
	const char *slash = strrchr(path, '/');
	const char *folder = pg_text_of("%.*s/", (int)(slash - path), path);
	struct stat st;

	if (stat(folder, &st) || !S_ISDIR(st.st_mode))
		pg_fail(PG_FAILED, "-o: there is no folder '%.*s'", (int)(slash - path), path);
	if (socket)
		return;
	if (stat(path, &st)) {
		if (access(folder, W_OK | X_OK))
			pg_fail(PG_FAILED, "-o: no file can be made in '%s'", folder);
		return;
	}
	if (S_ISDIR(st.st_mode))
		pg_fail(PG_FAILED, "-o: '%s' is a folder", path);
	if (device(path, &st))
		pg_fail(PG_FAILED, "-o: '%s' is a device", path);
	if (access(path, W_OK))
		pg_fail(PG_FAILED, "-o: '%s' cannot be written to", path);
}

static void take_path(const struct pg_request *r, const char *scheme, const char *path)
{
	const char *whole, *plain;

	if (!*path)
		pg_fail(PG_FAILED, "-o: a path is missing behind '%s'", scheme);
	whole = absolute(path);
	plain = opened(whole);
	if (plain && r->verb != PG_V_ENV) /* that is for another place */
		check_path(plain, *scheme);
	pg_variable_set("PIPEGUARD_LOG", pg_text_of("%s%s", scheme, whole));
}

/* The descriptor is the program's as well: this one leaves all of them as they are. */
static void take_descriptor(const struct pg_request *r, const char *number)
{
	uint64_t fd;
	int flags;

	if (!pg_number(number, 0x7fffffff, &fd))
		pg_fail(PG_FAILED, "-o: not a descriptor number: '%s'", number);
	pg_variable_set("PIPEGUARD_LOG", pg_text_of("fd:%s", number));
	if (r->verb == PG_V_ENV)
		return;
	flags = fcntl((int)fd, F_GETFL);
	if (flags < 0)
		pg_fail(PG_FAILED, "-o: descriptor %s is not open", number);
	if ((flags & O_ACCMODE) == O_RDONLY)
		pg_fail(PG_FAILED, "-o: descriptor %s is not open for writing", number);
}

/* The number in the last part of /dev/fd/N and its like; a null pointer: PATH is none. */
static const char *descriptor_of(const char *path)
{
	static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};

	if (!strcmp(path, "stdout") || !strcmp(path, "-") || !strcmp(path, "/dev/stdout"))
		return "1";
	if (!strcmp(path, "/dev/stderr"))
		return "2";
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (pg_prefix(path, folders[i]))
			return path + strlen(folders[i]);
	return pg_prefix(path, "fd:") ? path + 3 : NULL;
}

static void take_name(const struct pg_request *r, const char *value)
{
	static const char *const words[] = {"stderr", "stdout", "off", "journal", NULL};
	struct pg_nearest n = {value, NULL, strlen(value) < 5 ? 2 : 3}; /* or it is a file */
	size_t colon = strcspn(value, ":/");
	uint64_t number;

	if (pg_number(value, 0x7fffffff, &number))
		pg_fail(PG_FAILED,
			"-o: unknown log '%s' (did you mean 'fd:%s'?): write ./%s for such a file",
			value, value, value);
	if (value[colon] == ':')
		pg_fail(PG_FAILED, "-o: unknown log '%s' (%s; write ./%s for such a file)", value,
			all, value);
	if (!strcmp(value, "syslog"))
		pg_fail(PG_FAILED,
			"-o: no log goes to 'syslog': write journal, or ./%s for such a file",
			value);
	for (size_t i = 0; words[i] && !value[colon]; i++)
		if (strlen(value) + 1 >= strlen(words[i])) /* a file may be called std */
			pg_nearest_try(&n, words[i]);
	if (n.best)
		pg_fail(PG_FAILED, "-o: unknown log '%s'%s: write ./%s for such a file", value,
			pg_nearest_text(&n, ""), value);
	take_path(r, "", value);
}

static void take_journal(const struct pg_request *r)
{
	if (r->verb != PG_V_ENV && access("/run/systemd/journal/socket", W_OK))
		pg_fail(PG_FAILED, "-o: no journal receives here (/run/systemd/journal/socket)");
	pg_variable_set("PIPEGUARD_LOG", "journal");
}

void pg_take_log(struct pg_request *r, const char *value)
{
	if (!strcmp(value, "journal"))
		take_journal(r);
	else if (!strcmp(value, "stderr") || !strcmp(value, "off"))
		pg_variable_set("PIPEGUARD_LOG", value);
	else if (descriptor_of(value))
		take_descriptor(r, descriptor_of(value));
	else if (pg_prefix(value, "unix:"))
		take_path(r, "unix:", value + 5);
	else
		take_name(r, value);
}
