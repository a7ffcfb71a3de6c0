/* SPDX-License-Identifier: MIT */
/* list: the words of rules, each with what it means. The word is the first column, for scripts. */
#include "command/acts.h"
#include "command/options.h"
#include "command/say.h"
#include "command/words.h"

#include <stdio.h>
#include <string.h>

/* A word alone if nothing is known of it. */
static void print(const char *word, const char *meaning)
{
	if (meaning)
		printf("%-17s %s\n", word, meaning);
	else
		puts(word);
}

static void list(const struct pg_word_list *l)
{
	const char *word;

	for (unsigned i = 0; (word = l->word(i)); i++)
		print(word, l->meaning(i));
}

int pg_list(struct pg_request *r)
{
	const struct pg_word_list *l;
	struct pg_nearest near;

	if (r->count != 1)
		pg_fail(PG_FAILED, "list: calls, groups, fields, actions or errnos?");
	l = pg_word_list_of(*r->words);
	if (!l) {
		near = pg_nearest_to(*r->words);
		for (l = pg_word_lists; l->name; l++)
			pg_nearest_try(&near, l->name);
		pg_fail(PG_FAILED, "list: unknown word '%s'%s", *r->words,
			pg_nearest_text(&near, " (calls, groups, fields, actions or errnos)"));
	}
	list(l);
	return pg_flushed(0);
}
