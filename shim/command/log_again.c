/* SPDX-License-Identifier: MIT */
/* --again LOG: the rule of the last break in a log. */
#include "command/given.h"
#include "command/options.h"
#include "command/say.h"
#include "command/takes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rule in LINE, as text or JSON has it; a null pointer: none. */
static char *rule_in(char *line)
{
	static const char json[] = "\"again\":\"";
	char *at = strstr(line, json);

	if (*line == '{') {
		if (!at)
			return NULL;
		at += sizeof json - 1;
		at[strcspn(at, "\"\n")] = 0;
		return at;
	}
	at = line + strspn(line, " \t");
	if (at == line || strncmp(at, "again: ", 7) != 0)
		return NULL;
	at[strcspn(at, "\n")] = 0;
	return at + 7;
}

void pg_take_again(struct pg_request *r, const char *value)
{
	FILE *f = fopen(value, "re");
	char *line = NULL, *last = NULL;
	size_t room = 0;

	(void)r;
	if (!f)
		pg_fail(PG_FAILED, "--again: '%s': %s", value, strerror(errno));
	while (getline(&line, &room, f) > 0) {
		const char *rule = rule_in(line);

		if (!rule)
			continue;
		free(last);
		last = pg_text_of("%s", rule);
	}
	free(line);
	if (ferror(f))
		pg_fail(PG_FAILED, "--again: '%s': %s", value, strerror(errno));
	fclose(f);
	if (!last)
		pg_fail(PG_FAILED, "--again: no break with a rule in '%s'", value);
	pg_given_add(last);
}
