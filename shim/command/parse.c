/* SPDX-License-Identifier: MIT */
#include "command/parse.h"

#include "command/say.h"

#include "base/text.h"

#include <stddef.h>
#include <string.h>

const char *pg_near_verb(const char *word, const char *otherwise)
{
	struct pg_nearest n = pg_nearest_to(word);

	for (unsigned v = 0; v < PG_V_COUNT; v++)
		pg_nearest_try(&n, pg_verbs[v].name);
	return pg_nearest_text(&n, otherwise);
}

/* The verbs that have the option --NAME of N bytes; a null pointer: none. */
static const char *verbs_with(const char *name, size_t n)
{
	const char *list = NULL;

	for (unsigned v = 0; v < PG_V_COUNT; v++)
		if (pg_option_of_name((enum pg_verb)v, name, n))
			list = list ? pg_text_of("%s and %s", list, pg_verbs[v].name)
				    : pg_verbs[v].name;
	return list;
}

static void __attribute__((noreturn)) unknown(const struct pg_request *r, const char *word)
{
	size_t length = strcspn(word, "=");
	struct pg_nearest n = pg_nearest_to(pg_text_of("%.*s", (int)length, word));
	const char *others = pg_prefix(word, "--") ? verbs_with(word + 2, length - 2) : NULL;

	if (others)
		pg_fail(PG_FAILED, "%s: unknown option '%s': it is one of %s",
			pg_verbs[r->verb].name, word, others);
	for (const struct pg_option *o = pg_options; o->name; o++)
		if (o->verbs >> r->verb & 1)
			pg_nearest_try(&n, pg_text_of("--%s", o->name));
	pg_fail(PG_FAILED, "%s: unknown option '%s'%s", pg_verbs[r->verb].name, word,
		pg_nearest_text(&n, " (see --help)"));
}

/* TYPED: the option as it was written. */
static void take(struct pg_request *r, const struct pg_option *o, const char *typed,
		 const char *value)
{
	const char **before = &r->once[o->slot], *now = typed;

	if (o->value && (!value || !*value))
		pg_fail(PG_FAILED, "%s needs a value (see --help)", typed);
	if (o->value)
		now = pg_text_of("%s %s", o->name, value);
	if (o->slot && *before && strcmp(*before, now) != 0)
		pg_fail(PG_FAILED, "--%s and --%s exclude one another: choose one",
			*before + strspn(*before, "-"), now + strspn(now, "-"));
	*before = now;
	o->take(r, o->value ? value : o->name);
}

/* --NAME, --NAME=VALUE, --NAME VALUE. Returns the last word that belongs to it. */
static char **long_option(struct pg_request *r, char **words)
{
	const char *name = *words + 2, *equal = strchrnul(name, '=');
	const struct pg_option *o = pg_option_of_name(r->verb, name, (size_t)(equal - name));
	const char *typed = pg_text_of("%.*s", (int)(equal - *words), *words);

	if (!o)
		unknown(r, typed);
	if (*equal && !o->value)
		pg_fail(PG_FAILED, "%s takes no value", typed);
	if (!o->value || *equal)
		take(r, o, typed, *equal ? equal + 1 : NULL);
	else
		take(r, o, typed, *++words);
	return words;
}

/* -only and its like: -o nly was hardly meant. */
static bool long_with_one_hyphen(const char *word)
{
	size_t n = strcspn(word + 1, "=");

	for (unsigned v = 0; v < PG_V_COUNT; v++)
		if (n > 1 && pg_option_of_name((enum pg_verb)v, word + 1, n))
			return true;
	return false;
}

/* -jv, -oLOG, -o LOG. Returns the last word that belongs to it. */
static char **short_options(struct pg_request *r, char **words)
{
	const char *letter = *words + 1;

	if (long_with_one_hyphen(*words))
		unknown(r, *words);
	for (; *letter; letter++) {
		const struct pg_option *o = pg_option_of_letter(r->verb, *letter);
		const char *typed = pg_text_of("-%c", *letter);

		if (!o)
			unknown(r, typed);
		if (o->value && !letter[1]) {
			take(r, o, typed, words[1]);
			return words + 1;
		}
		take(r, o, typed, letter + 1);
		if (o->value)
			break;
	}
	return words;
}

static void read_options(struct pg_request *r, char **words)
{
	for (; *words && **words == '-' && (*words)[1]; words++) {
		if (!strcmp(*words, "--")) {
			words++;
			break;
		}
		words = (*words)[1] == '-' ? long_option(r, words) : short_options(r, words);
	}
	r->words = words;
	while (words[r->count])
		r->count++;
}

struct pg_request pg_parse_words(char **words)
{
	struct pg_request r = {.verb = *words ? pg_verb_of(*words) : PG_V_COUNT};

	r.named = r.verb != PG_V_COUNT;
	if (!r.named)
		r.verb = PG_V_RUN;
	words += r.named;
	r.words = words;
	if (!pg_verbs[r.verb].script)
		read_options(&r, words);
	return r;
}
