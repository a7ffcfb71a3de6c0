/* SPDX-License-Identifier: MIT */
/* run: what is wrong is said first, then this process becomes the program. */
#include "command/acts.h"
#include "command/control.h"
#include "command/examine.h"
#include "command/given.h"
#include "command/parse.h"
#include "command/places.h"
#include "command/print.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/tree.h"
#include "command/variables.h"
#include "command/watch.h"

#include "outside/filter.h"
#include "outside/registers.h"
#include "outside/silent.h"
#include "outside/start.h"
#include "outside/tracee.h"
#include "rules/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Is NAME done by shells themselves? Some systems have programs of a few of these, too. */
static bool is_shells(const char *name)
{
	static const char *const words[] = {
		"cd",	 "eval", "exec",  "exit",    "export", "set",  "unset", "ulimit",
		"umask", "trap", "wait",  "alias",   "read",   "type", "if",	"for",
		"while", "case", "until", "command", "jobs",   "fg",   "bg",
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(name, words[i]))
			return true;
	return false;
}

/* What a person may have meant by a program that is not there. */
static const char *meant(const char *name)
{
	size_t letters =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	if (letters && name[letters] == '=')
		return pg_text_of(" (to set a variable for a program: pipeguard run env %s ...)",
				  pg_quoted(name));
	if (name[strcspn(name, " \t\n|&;<>()$`*?~")])
		return pg_text_of(" (for a line of the shell: pipeguard sh -c %s)",
				  pg_quoted(name));
	if (is_shells(name))
		return pg_text_of(" (it is a word of the shell: pipeguard sh -c '%s ...')", name);
	return pg_near_verb(name, "");
}

/* The path of the program; ends this one if there is none that can be run. */
static const char *need_program(const char *name)
{
	const char *path;

	switch (pg_find_program(name, &path)) {
	case PG_CANNOT_RUN:
		pg_fail(PG_CANNOT_RUN, "'%s' cannot be run", path);
	case PG_NOT_FOUND:
		pg_fail(PG_NOT_FOUND, "'%s' was not found%s", name, meant(name));
	default:
		return path;
	}
}

/* The engines that reach the program. */
struct engines {
	bool inside, outside;
};

static bool asked_for(const struct pg_request *r, const char *engine)
{
	return r->engine && !strcmp(r->engine, engine);
}

/* Inside where the loader lets the library in, outside where it does not; or as R wants it. Ends
 * this process if that cannot be. */
static struct engines choose(const struct pg_request *r, const char *name, const char *path)
{
	struct pg_examined x;
	const char *script = "", *outside;
	struct engines e = {.inside = !asked_for(r, "outside")};

	pg_examine(&x, path, pg_library());
	if (strcmp(x.path, path) != 0)
		script = pg_text_of("'%s' is a script; ", name);
	if (x.reach == PG_R_MISSING)
		pg_fail(PG_NOT_FOUND, "%s%s", script, x.why);
	outside = asked_for(r, "inside") ? NULL : pg_from_outside(&x);
	e.outside = !e.inside || outside || asked_for(r, "both");
	if (outside && !asked_for(r, "both"))
		e.inside = false;
	if (x.reach == PG_R_NO && !outside)
		pg_fail(PG_CANNOT_RUN, "%s%s", script, x.why);
	return e;
}

/* What may be run and not read is root's to look into. */
static bool is_closed(const char *path)
{
	return geteuid() && access(path, R_OK);
}

static void start_engine(const struct engines *e, const char *path)
{
	const char *why;

	if (is_closed(path) && !e->outside)
		fprintf(stderr,
			"pipeguard: '%s' may not be read: where the library does not come into it, "
			"nothing is seen (sudo pipeguard)\n",
			path);
	if (!e->outside)
		return;
	if (!PG_REGISTERS_KNOWN)
		pg_fail(PG_CANNOT_RUN, PG_NO_OUTSIDE);
	pg_config_read(pg_variables());
	pg_tracee_pick(pg_variable("PIPEGUARD_ONLY"), pg_variable("PIPEGUARD_SKIP"));
	if (is_closed(path) && pg_rules.n && !e->inside)
		pg_fail(PG_CANNOT_RUN,
			"'%s' may not be read: then nobody but root may look into it, and no "
			"rule reaches it",
			path);
	why = pg_filter_refuses();
	if (why)
		pg_fail(PG_FAILED, "%s", why);
	why = pg_start_engine();
	if (why)
		pg_fail(PG_CANNOT_RUN, "%s", why);
}

/* A file that the kernel does not know is a shell's, as execvp(3) has it. */
static void run_by_shell(const char *path, char **words, unsigned count)
{
	char **more = pg_room((count + 2) * sizeof *more);

	more[0] = words[0];
	more[1] = pg_text_of("%s", path);
	memcpy(more + 2, words + 1, count * sizeof *more); /* the null pointer, too */
	execve("/bin/sh", more, pg_variables());
}

static void __attribute__((noreturn)) become(const char *path, char **words, unsigned count)
{
	execve(path, words, pg_variables());
	if (errno == ENOEXEC)
		run_by_shell(path, words, count);
	pg_fail(errno == ENOENT ? PG_NOT_FOUND : PG_CANNOT_RUN, "'%s' cannot be run: %s", path,
		strerror(errno));
}

/* The page is there before the program is, so that ctl finds it. */
static void start_page(struct pg_request *r, const struct engines *e)
{
	const char *rules = pg_given_any() ? pg_variable("PIPEGUARD_RULES") : NULL;

	if (r->require_fired && !r->control) {
		if (!pg_variable("PIPEGUARD_RULES"))
			pg_fail(PG_FAILED, "--require-fired: which rules? (see --help)");
		rules = pg_variable("PIPEGUARD_RULES");
		r->own_page = true;
		pg_take_control(r, pg_tree_page());
	}

	if (!r->control) {
		pg_tree_start(e->outside);
		return;
	}
	pg_control_start(r->control, rules);
	pg_watch_start(r, e->inside);
}

int pg_run(struct pg_request *r)
{
	const char *path;
	struct engines engines;

	pg_settings_check();
	pg_library();
	if (!r->count)
		pg_fail(PG_FAILED, "which program? (see --help)");
	pg_given_set();
	path = need_program(*r->words);
	engines = choose(r, *r->words, path);
	if (r->print) {
		pg_print_command(r, engines.outside);
		return pg_flushed(0);
	}
	start_page(r, &engines);
	pg_silent_on = r->all;
	start_engine(&engines, path);
	if (engines.inside)
		pg_variable_preload(pg_library_for_loader());
	become(path, r->words, r->count);
}

int pg_hand_over(struct pg_request *r)
{
	const char *python, *name = pg_text_of("pipeguard-%s", pg_verbs[r->verb].name);
	char **words;

	while (r->words[r->count])
		r->count++;
	words = pg_room((r->count + 3) * sizeof *words);
	words[0] = pg_text_of("%s", "python3");
	words[1] = pg_text_of("%s", pg_script(name));
	memcpy(words + 2, r->words, r->count * sizeof *words);
	if (pg_find_program("python3", &python))
		pg_fail(PG_FAILED, "%s needs python3, which was not found", pg_verbs[r->verb].name);
	execv(python, words);
	pg_fail(PG_FAILED, "'%s' cannot be run: %s", python, strerror(errno));
}
