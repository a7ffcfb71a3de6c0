/* SPDX-License-Identifier: MIT */
#include "command/given.h"

#include "command/options.h"
#include "command/places.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include "rules/rule.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Joined by ';' the rules become one value. Joined by newlines, one argument a
 * line, an error has the columns of its argument, and a comment ends with it.
 */
static const char *joined, *lines, *file;

static const char *join(const char *before, const char *separator, const char *more)
{
	return before ? pg_text_of("%s%s%s", before, separator, more) : more;
}

static void __attribute__((noreturn)) both(void)
{
	pg_fail(PG_FAILED, "rules and a file of rules: choose one (put them into the file)");
}

void pg_given_add(const char *rules)
{
	if (*rules == '@' && file)
		pg_fail(PG_FAILED, "-f: one file of rules only");
	if (file || (*rules == '@' && lines))
		both();
	if (*rules == '@') {
		file = rules + 1;
		return;
	}
	joined = join(joined, ";", rules);
	lines = join(lines, "\n", rules);
}

/* OPTION: as it was asked for, with what stands before the name. */
static void take_file(const struct pg_request *r, const char *option, const char *value)
{
	struct stat st;

	pg_given_add(pg_text_of("@%s", value));
	if (r->verb == PG_V_CHECK)
		return;
	if (stat(value, &st) || !S_ISREG(st.st_mode) || access(value, R_OK))
		pg_fail(PG_FAILED,
			"%s'%s' is no file that can be read (each process reads it again)", option,
			value);
	file = *value == '/' ? value : pg_text_of("%s/%s", pg_folder(), value);
}

void pg_take_file(struct pg_request *r, const char *value)
{
	take_file(r, "-f: ", value);
}

void pg_take_rule(struct pg_request *r, const char *value)
{
	if (*value == '@')
		take_file(r, "-r @: ", value + 1);
	else
		pg_given_add(value);
}

/* ---- what is wrong with them ---- */

static int refuse(const char *format, const char *word)
{
	fprintf(stderr, "pipeguard: PIPEGUARD_RULES: ");
	fprintf(stderr, format, word); // NOLINT: one of those below
	putc('\n', stderr);
	return PG_WRONG_RULES;
}

/* The same for a file, whose name is shown as the library shows it. */
static int refuse_file(const char *format)
{
	char buf[500];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_put_name(&t, file, 100);
	buf[t.len] = 0;
	return refuse(format, buf);
}

/* The rules of the file; one byte more than fits is enough to be refused. Returns 0, or has said
 * why not. A FIFO would wait for its writer. */
static int read_file(char text[PG_RULE_TEXT + 1])
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	ssize_t got = 1;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st))
		return refuse_file("column 2: cannot be read: '%s'");
	if (!S_ISREG(st.st_mode))
		return refuse_file("column 2: is not a regular file: '%s'");
	while (got > 0 && n < PG_RULE_TEXT) {
		got = read(fd, text + n, PG_RULE_TEXT - n);
		n += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	text[n] = 0;
	if (got < 0)
		return refuse_file("column 2: cannot be read: '%s'");
	return strlen(text) < n ? refuse_file("column 2: holds a NUL byte: '%s'") : 0;
}

static struct pg_rule_set *parsed(const char *text, struct pg_rule_error *error)
{
	struct pg_rule_set *rules = pg_room(sizeof *rules);

	if (pg_rules_parse(rules, text, error))
		return rules;
	free(rules);
	return NULL;
}

static int explain(const struct pg_rule_error *error)
{
	char buf[500];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_rule_put_error(&t, error);
	buf[t.len] = 0;
	return refuse("%s", buf);
}

/* The normal form of all rules, one a line. */
static const char *form_of(const struct pg_rule_set *rules)
{
	struct pg_text t = {NULL, 0, 8 * PG_RULE_TEXT};

	t.buf = pg_room(t.cap + 1);
	for (unsigned i = 0; i < rules->n; i++) {
		pg_rule_put(&t, rules, i);
		pg_put_char(&t, '\n');
	}
	return t.buf;
}

/* Returns 0 and the normal form, or PG_WRONG_RULES and has said why. */
static int check(const char **form)
{
	static char text[PG_RULE_TEXT + 1];
	struct pg_rule_error error;
	const struct pg_rule_set *rules;
	int status = file ? read_file(text) : 0;

	if (status)
		return status;
	if (!file && !*lines)
		return refuse("column 1: %s", "the value is empty");
	rules = parsed(file ? text : lines, &error);
	if (!rules)
		return explain(&error);
	*form = form_of(rules);
	return 0;
}

int pg_given_check(void)
{
	const char *form;
	int status;

	if (!file && !lines)
		pg_fail(PG_FAILED, "check: which rules? (see --help)");
	status = check(&form);
	if (!status)
		fputs(form, stdout);
	return status;
}

/* Do the rules mean the same when ';' stands between them? A comment or a bracket would take the
 * next one in. */
static bool joinable(const char *form)
{
	struct pg_rule_error error;
	const struct pg_rule_set *rules = parsed(joined, &error);

	return rules && !strcmp(form, form_of(rules));
}

bool pg_given_any(void)
{
	return file || lines;
}

void pg_given_set(void)
{
	const char *form;

	if (!file && !lines)
		return;
	if (check(&form))
		pg_end(PG_FAILED);
	if (file)
		pg_variable_set("PIPEGUARD_RULES", pg_text_of("@%s", file));
	else
		pg_variable_set("PIPEGUARD_RULES", joinable(form) ? joined : lines);
}
