/* SPDX-License-Identifier: MIT */
/* The variables, for whoever will set them: env, and the command that run -n prints. */
#include "command/print.h"

#include "command/acts.h"
#include "command/given.h"
#include "command/places.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include <stdio.h>
#include <string.h>

/* What no variable says. */
static void print_run(const struct pg_request *r)
{
	printf("%s run", pg_quoted(pg_command()));
	if (r->engine)
		printf(" --%s", r->engine);
	if (r->all)
		fputs(" --all", stdout);
	if (r->require_fired)
		fputs(" --require-fired", stdout);
	if (r->control)
		printf(" --control %s", pg_quoted(r->control));
	fputs(" --", stdout);
}

void pg_print_command(const struct pg_request *r, bool outside)
{
	bool run = outside || r->require_fired;

	if (!run && !strchr(*r->words, '=')) /* env keeps a shell's own echo or printf out; it would
						take that for a variable */
		fputs("env ", stdout);
	for (const char **name = pg_variable_names(); *name; name++)
		if (!run || !r->control || strcmp(*name, "PIPEGUARD_CONTROL") != 0)
			printf("%s=%s ", *name, pg_quoted(pg_variable(*name)));
	if (run)
		print_run(r);
	else
		printf("LD_PRELOAD=%s", pg_quoted(pg_variable_preloaded(pg_library_for_loader())));
	for (char *const *word = r->words; *word; word++)
		printf(" %s", pg_quoted(*word));
	putchar('\n');
}

/* ---- env ---- */

/* Who reads it, and what a character of a value in quotes must be written as there. */
struct form {
	const char *name, *head, *middle, *tail;
	const char *(*character)(char before, char c, char after);
};

/* "" of all three know \. A null pointer: the character as it is. */
static const char *common(char c)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	case '\n':
		return "\\n";
	case '\t':
		return "\\t";
	default:
		return NULL;
	}
}

/* systemd.exec(5): % is a specifier. */
static const char *for_systemd(char before, char c, char after)
{
	(void)before, (void)after;
	return c == '%' ? "%%" : common(c);
}

static const char *for_docker(char before, char c, char after)
{
	(void)before, (void)after;
	if (c == '\n')
		pg_fail(PG_FAILED,
			"a Dockerfile has no word for a newline: put ';' between the rules");
	return c == '$' ? "\\$" : c == '\t' ? NULL : common(c);
}

/* YAML's "", in which $( and $$ have a meaning to Kubernetes. */
static const char *for_kubernetes(char before, char c, char after)
{
	bool special = after == '(' || after == '$' || before == '$';

	return c == '$' ? special ? "$$" : NULL : common(c);
}

static const struct form forms[] = {
	{"systemd", "Environment=\"", "=", "\"\n", for_systemd},
	{"docker", "ENV ", "=\"", "\"\n", for_docker},
	{"kubernetes", "- name: ", "\n  value: \"", "\"\n", for_kubernetes},
};

static void print_for(const struct form *f, const char *name, const char *value)
{
	printf("%s%s%s", f->head, name, f->middle);
	for (const char *c = value; *c; c++) {
		const char *as = f->character(c == value ? 0 : c[-1], *c, c[1]);

		if (as)
			fputs(as, stdout);
		else
			putchar(*c);
	}
	fputs(f->tail, stdout);
}

static const struct form *form_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof forms / sizeof *forms; i++)
		if (!strcmp(name, forms[i].name))
			return &forms[i];
	return NULL;
}

static void print_one(const struct form *f, const char *name, const char *value)
{
	if (f)
		print_for(f, name, value);
	else
		printf("export %s=%s\n", name, pg_quoted(value));
}

int pg_env(struct pg_request *r)
{
	const struct form *f = form_of(r->form);
	const char *library, **names;

	if (r->count)
		pg_fail(PG_FAILED,
			"env prints variables, and runs no program: for the program env, write "
			"pipeguard run env %s ...",
			*r->words);
	pg_settings_check();
	library = r->library ? r->library : f ? pg_library() : pg_library_for_loader();
	if (library[strcspn(library, " \t\n\v\f\r:")])
		pg_fail(PG_FAILED,
			"the loader splits LD_PRELOAD at blanks and colons: install into another "
			"folder than that of '%s', or say where it will be (--library)",
			library);
	pg_given_set();
	/* What this process has in LD_PRELOAD is of this place: for a shell alone. */
	print_one(f, "LD_PRELOAD", f ? library : pg_variable_preloaded(library));
	for (names = pg_variable_names(); *names; names++)
		print_one(f, *names, pg_variable(*names));
	return pg_flushed(0);
}
