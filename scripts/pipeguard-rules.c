// SPDX-License-Identifier: MIT
/*
 * pipeguard-rules check RULES | list calls|groups|fields|actions|errnos
 *
 * The library's own parser, in an ordinary program: what it accepts is what
 * the library accepts. Exit status 2: the rules are wrong.
 */
#include "../shim/names.h"
#include "../shim/rule.h"

#include <stdio.h>
#include <string.h>

static struct pg_rules rules;

static int check(const char *text)
{
	static char buf[PG_RULE_TEXT];
	struct pg_text t = {buf, 0, sizeof buf};
	struct pg_rule_error error;

	if (!pg_rules_parse(&rules, text, &error)) {
		pg_rule_put_error(&t, &error);
		fprintf(stderr, "pipeguard: %.*s\n", (int)t.len, buf);
		return 2;
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
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "list"))
		return list(argv[2]);
	fputs("usage: pipeguard-rules check RULES | list calls|groups|fields|actions|errnos\n",
	      stderr);
	return 2;
}
