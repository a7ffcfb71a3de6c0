// SPDX-License-Identifier: MIT
/*
 * pipeguard-rules check RULES | list calls|groups|fields|actions|errnos
 *
 * The library's own parser, in an ordinary program: what it accepts is what
 * the library accepts, and it refuses with the same line. check prints the
 * normal form, one rule a line; RULES may be @FILE. Status 2: wrong rules.
 */
#include "../shim/names.h"
#include "../shim/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct pg_rules rules;

static void __attribute__((noreturn)) refuse(const char *format, const char *word)
{
	fputs("pipeguard: PIPEGUARD_RULES: ", stderr);
	fprintf(stderr, format, word);
	fputc('\n', stderr);
	exit(2);
}

/* The rules in the file PATH; one byte more than fits is enough to be refused. */
static const char *read_file(const char *path)
{
	static char text[PG_RULE_TEXT + 1];
	struct stat st = {.st_mode = 0};
	bool regular = stat(path, &st) || S_ISREG(st.st_mode);
	FILE *f = regular ? fopen(path, "r") : NULL; /* a FIFO would wait for its writer */
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	char buf[500];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_put_name(&t, path, 100);
	buf[t.len] = 0;
	if (!regular)
		refuse("column 2: is not a regular file: '%s'", buf);
	if (!f || ferror(f))
		refuse("column 2: cannot be read: '%s'", buf);
	if (strlen(text) < n)
		refuse("column 2: holds a NUL byte: '%s'", buf);
	fclose(f);
	return text;
}

static int check(const char *text)
{
	static char buf[2 * PG_RULE_TEXT];
	struct pg_text t = {buf, 0, sizeof buf - 1};
	struct pg_rule_error error;

	if (!*text)
		refuse("column 1: %s", "the value is empty");
	if (*text == '@')
		text = read_file(text + 1);
	if (!pg_rules_parse(&rules, text, &error)) {
		pg_rule_put_error(&t, &error);
		buf[t.len] = 0;
		refuse("%s", buf);
	}
	for (unsigned i = 0; i < rules.n; i++) {
		t.len = 0;
		pg_rule_put(&t, &rules, i);
		printf("%.*s\n", (int)t.len, buf);
	}
	return 0;
}

static int list(const char *what)
{
	unsigned i, from = strcmp(what, "actions") ? 0 : PG_F_HOLD;

	if (!strcmp(what, "calls")) {
		for (i = 1; i < PG_CALL_COUNT; i++)
			if (pg_call_has_rules((enum pg_call)i))
				puts(pg_call_name((enum pg_call)i));
	} else if (!strcmp(what, "groups")) {
		for (i = 0; pg_group_name(i); i++)
			puts(pg_group_name(i));
	} else if (!strcmp(what, "fields") || !strcmp(what, "actions")) {
		for (i = from; pg_field_name((enum pg_field)i); i++)
			puts(pg_field_name((enum pg_field)i));
	} else if (!strcmp(what, "errnos")) {
		for (i = 0; pg_errno_listed(i); i++)
			puts(pg_errno_name(pg_errno_listed(i)));
	} else {
		fprintf(stderr,
			"pipeguard: list: unknown word '%s' (calls, groups, fields, actions or "
			"errnos)\n",
			what);
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int status = 2;

	if (argc == 3 && !strcmp(argv[1], "check"))
		status = check(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "list"))
		status = list(argv[2]);
	else
		fputs("usage: pipeguard-rules check RULES | list "
		      "calls|groups|fields|actions|errnos\n",
		      stderr);
	if (fflush(stdout)) {
		perror("pipeguard: standard output");
		return 125;
	}
	return status;
}
