/* SPDX-License-Identifier: MIT */
#include "command/script.h"

#include "command/places.h"
#include "command/say.h"
#include "command/settle.h"

#include <string.h>

enum { WORDS_MAX = 60 };

/* The words of LINE, cut apart in place; ends with a null pointer. */
static unsigned cut(char *line, char *words[WORDS_MAX + 1])
{
	unsigned n = 0;

	for (char *w = strtok(line, " \t"); w && n < WORDS_MAX; w = strtok(NULL, " \t"))
		words[n++] = w;
	words[n] = NULL;
	return n;
}

static const char *joined(char *const *words)
{
	const char *all = *words;

	while (*words && *++words)
		all = pg_text_of("%s %s", all, *words);
	return all;
}

/* Does W, or W and the word behind it, make env(1) drop LD_PRELOAD? */
static bool drops(const char *w, const char *next)
{
	const char *letter = *w == '-' && w[1] != '-' ? w + strcspn(w, "iuCS") : "";

	if (!strncmp(w, "LD_PRELOAD=", 11) || !strcmp(w, "-") || *letter == 'i' ||
	    !strncmp(w, "--ignore-env", 12) || !strncmp(w, "--unset=LD_PRELOAD", 18))
		return true;
	return *letter == 'u' && !strcmp(letter[1] || !next ? letter + 1 : next, "LD_PRELOAD");
}

/* Past the options and variables that env takes. A null pointer: it drops LD_PRELOAD. */
static char **past_options(char **words)
{
	for (; *words; words++) {
		if (drops(*words, words[1]))
			return NULL;
		if (!strcmp(*words, "-u") || !strcmp(*words, "-C"))
			words += words[1] != NULL;
		else if (**words != '-' && !strchr(*words, '='))
			break;
	}
	return words;
}

/* What env(1) is to take apart, from WORDS behind its own name; a null pointer: nothing, since
 * there is no -S. The kernel hands all of the line over as one word. */
static char **behind_split(char **words)
{
	char *w = *words, *letter;

	if (!w)
		return NULL;
	letter = w + strcspn(w, "S");
	if (!strcmp(w, "--split-string"))
		return words + 1;
	if (!strncmp(w, "--split-string=", 15)) {
		*words = w + 15;
		return words;
	}
	if (*w != '-' || w[1] == '-' || !*letter || w + strcspn(w, "uC") < letter)
		return NULL;
	if (memchr(w, 'i', (size_t)(letter - w))) {
		*letter = 0; /* -i */
		return words;
	}
	*words = letter + 1;
	return **words ? words : words + 1;
}

/* "env X", "env -S X ARGS": on to X. That env itself may be out of reach does no harm. */
static void follow_env(struct pg_examined *x, const char *line, char **words)
{
	const char *rest = joined(words), *name, *path;
	char **split = behind_split(words);

	if (!split && words[1]) {
		pg_settle(x, PG_R_MISSING,
			  "'%s': env would look for a program called '%s' (env -S takes it apart)",
			  x->path, rest);
		return;
	}
	words = past_options(split ? split : words);
	if (!words) {
		x->takes_away = true;
		pg_settle(x, PG_R_NO, "'%s': '%s' takes LD_PRELOAD away", x->path, line);
		return;
	}
	name = pg_text_of("%s", *words ? *words : "env");
	if (pg_find_program(name, &path))
		path = name;
	pg_follow(x, pg_text_of("%s, whose interpreter is %s", x->path, line), path);
}

void pg_script_follow(struct pg_examined *x, char *line)
{
	size_t n = strcspn(line, "\n");
	char *words[WORDS_MAX + 1], *slash;
	const char *all;
	unsigned count;

	line[n] = 0;
	if (line[n - 1] == '\r') {
		pg_settle(x, PG_R_MISSING,
			  "'%s': its #! line ends in a carriage return, and no program is called "
			  "that",
			  x->path);
		return;
	}
	count = cut(line + 2, words);
	all = joined(words);
	if (!count) {
		pg_follow(x,
			  pg_text_of("%s, which has an empty #! line: a shell is its interpreter",
				     x->path),
			  "/bin/sh");
		return;
	}
	slash = strrchr(words[0], '/');
	if (!strcmp(slash ? slash + 1 : words[0], "env") && count > 1)
		follow_env(x, all, words + 1);
	else
		pg_follow(x, pg_text_of("%s, whose interpreter is %s", x->path, all),
			  pg_text_of("%s", words[0]));
}
