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

struct word {
	char text[4096]; /* no line of a log is longer */
};

/* The word that LINE, of JSON, has behind KEY, of which it has one. False: none. */
static bool take_word(struct word *to, const char *line, const char *key)
{
	const char *at = strstr(line, key);

	if (!at)
		return false;
	at += strlen(key);
	snprintf(to->text, sizeof to->text, "%.*s", (int)strcspn(at, "\"\n"), at);
	return true;
}

/* From outside what was sent before is not known: there it is the first write of the place. */
static const char *rule_of_json(const char *line)
{
	static struct word rule, call, site;

	if (take_word(&rule, line, "\"again\":\""))
		return rule.text;
	if (!strstr(line, "\"ev\":\"epipe\"") || !strstr(line, "\"engine\":\"outside\"") ||
	    !take_word(&call, line, "\"call\":\"") || !take_word(&site, line, "\"site\":\""))
		return NULL;
	snprintf(rule.text, sizeof rule.text, "%.100s:site=%.100s:when=1:break", call.text,
		 site.text);
	return rule.text;
}

/* The rule in LINE, as text or JSON has it; a null pointer: none. */
static const char *rule_in(char *line)
{
	char *at = line + strspn(line, " \t");

	if (*line == '{')
		return rule_of_json(line);
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
