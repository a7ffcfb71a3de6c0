/* SPDX-License-Identifier: MIT */
/* help, and --help: from the tables of verbs and options. */
#include "command/acts.h"
#include "command/options.h"
#include "command/parse.h"
#include "command/say.h"
#include "command/takes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING(x) #x
#define STRING_OF(x) STRING(x)

enum { WIDTH = 88, VERB_COLUMN = 14, OPTION_COLUMN = 23 };

int pg_version(struct pg_request *r)
{
	if (r->count)
		pg_fail(PG_FAILED, "version: no arguments");
	puts("pipeguard " STRING_OF(PG_VERSION));
	return pg_flushed(0);
}

void pg_take_version(struct pg_request *r, const char *value)
{
	(void)value;
	r->count = 0;
	pg_end(pg_version(r));
}

/* TEXT in lines of WIDTH, behind AT columns; from COLUMN on, and at least one blank on. */
static void wrapped(const char *text, size_t at, size_t column)
{
	size_t blanks = at < column ? column - at : at > 0;
	const char *gap = "";

	printf("%*s", (int)blanks, "");
	at += blanks;
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + strlen(gap) + n > WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
			gap = "";
		}
		printf("%s%.*s", gap, (int)n, text);
		at += strlen(gap) + n;
		gap = " ";
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

static void print_usage(const char *head, enum pg_verb v)
{
	const char *name = v == PG_V_RUN ? "[run]" : pg_verbs[v].name;

	printf("%s pipeguard %s%s%s\n", head, name, *pg_verbs[v].operands ? " " : "",
	       pg_verbs[v].operands);
}

static void print_option(const struct pg_option *o)
{
	const char *text;

	if (o->letter)
		text = pg_text_of("  -%c, --%s", o->letter, o->name);
	else
		text = pg_text_of("  --%s", o->name);
	if (o->value)
		text = pg_text_of("%s %s", text, o->value);
	fputs(text, stdout);
	wrapped(o->help, strlen(text), OPTION_COLUMN);
}

/* Those of the verbs in VERBS, each once. */
static void print_options(unsigned verbs)
{
	for (const struct pg_option *o = pg_options; o->name; o++)
		if (o->verbs & verbs)
			print_option(o);
}

static void print_verbs(void)
{
	for (unsigned v = 0; v < PG_V_COUNT; v++) {
		printf("  %s", pg_verbs[v].name);
		wrapped(pg_verbs[v].brief, strlen(pg_verbs[v].name) + 2, VERB_COLUMN);
	}
}

static const char introduction[] =
	"\n"
	"Runs PROGRAM under libpipeguard.so: every write that ends in a broken pipe is logged in\n"
	"one line, and RULEs break what they name. The program's output, status and signals are\n"
	"its own.\n"
	"\n"
	"    pipeguard seq 1000000 | head -1                      who broke, where, and what died\n"
	"    pipeguard -S suppress -o /tmp/broken.log ./worker    survive it, and note it\n"
	"    pipeguard -r 'connect:port=5432:refuse' ./client     cause it\n"
	"\n"
	"A rule says what, where, when and which fault: write:fd=1:when=3:break breaks the third\n"
	"write to standard output (list fields, list actions; man 7 libpipeguard).\n"
	"\n";

static const char statuses[] =
	"\n"
	"Status: the program's own; 125 pipeguard failed or was used wrongly, 126 the program\n"
	"cannot be run or cannot be reached, 127 it was not found.\n"
	"Manuals: man pipeguard, man pipeguard-sweep, man pipeguard-report, man 7 libpipeguard.\n";

static void print_all(void)
{
	print_usage("Usage:", PG_V_RUN);
	for (unsigned v = PG_V_RUN + 1; v < PG_V_COUNT; v++)
		print_usage("      ", (enum pg_verb)v);
	fputs(introduction, stdout);
	print_verbs();
	puts("\nOptions of run, and of env:");
	print_options(PG_VERB(RUN));
	puts("\nOptions of env:");
	for (const struct pg_option *o = pg_options; o->name; o++)
		if (o->verbs == PG_VERB(ENV))
			print_option(o);
	fputs(statuses, stdout);
}

static void print_verb(enum pg_verb v)
{
	print_usage("Usage:", v);
	putchar('\n');
	wrapped(pg_verbs[v].text, 0, 0);
	putchar('\n');
	print_options(1u << v);
	if (v == PG_V_RUN || v == PG_V_ENV)
		fputs(statuses, stdout);
}

/* --help of VERB; without a verb, of all. */
void pg_take_help(struct pg_request *r, const char *value)
{
	(void)value;
	if (r->named)
		print_verb(r->verb);
	else
		print_all();
	pg_end(pg_flushed(0));
}

/* A script has a help of its own. */
static int help_of_script(struct pg_request *r, enum pg_verb v)
{
	char *words[] = {pg_text_of("--help"), NULL};

	r->verb = v;
	r->words = words;
	r->count = 0;
	return pg_hand_over(r);
}

int pg_help(struct pg_request *r)
{
	enum pg_verb v = r->count ? pg_verb_of(*r->words) : PG_V_COUNT;

	if (r->count > 1)
		pg_fail(PG_FAILED, "help: of one verb at a time");
	if (r->count && v == PG_V_COUNT)
		pg_fail(PG_FAILED, "help: unknown verb '%s'%s", *r->words,
			pg_near_verb(*r->words, " (see --help)"));
	if (v == PG_V_COUNT)
		print_all();
	else if (pg_verbs[v].script)
		return help_of_script(r, v);
	else
		print_verb(v);
	return pg_flushed(0);
}
