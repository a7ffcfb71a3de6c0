/* SPDX-License-Identifier: MIT */
/*
 * completion: what a shell needs, and what that asks at each key.
 *
 *	pipeguard completion words WORD...
 *
 * The words stand behind "pipeguard"; the last one is being typed. The first
 * line of the answer is "ACTION N SPACE": the shell adds names of files or
 * programs (ACTION: words, files, programs) that continue the last word behind
 * its first N bytes; or the words from the N-th on are a command of their own
 * (command). SPACE or nospace: does a blank follow? Then one candidate a line,
 * the whole word, and behind a tab what it means.
 */
#include "command/acts.h"
#include "command/control.h"
#include "command/options.h"
#include "command/say.h"
#include "command/words.h"

#include "rules/rule.h"

#include "command/completion.h" /* PG_COMPLETION_BASH and so on: the scripts, as C strings */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *typed; /* the word */
static size_t start;	  /* where in it what is completed begins */

static void action(const char *name, bool space)
{
	printf("%s %zu %s\n", name, start, space ? "space" : "nospace");
}

/* WORD and SUFFIX, if they continue what is typed; N bytes of WORD. */
static void candidate_of(const char *word, size_t n, const char *suffix, const char *meaning)
{
	size_t have = strlen(typed + start);

	if (have <= n && !strncmp(word, typed + start, have))
		printf("%.*s%.*s%s\t%s\n", (int)start, typed, (int)n, word, suffix,
		       meaning ? meaning : "");
}

static void candidate(const char *word, const char *meaning)
{
	candidate_of(word, strlen(word), "", meaning);
}

/* The words of a row, blanks between. */
static void candidates(const char *words)
{
	while (words && *words) {
		size_t n = strcspn(words, " ");

		candidate_of(words, n, "", NULL);
		words += n + (words[n] == ' ');
	}
}

/* On behind the last STOP of what is typed. */
static void start_behind(char stop)
{
	const char *last = strrchr(typed + start, stop);

	if (last)
		start = (size_t)(last - typed) + 1;
}

/* ---- rules ---- */

static void complete_set(void)
{
	start_behind('=');
	start_behind(',');
	start += typed[start] == '!';
	action("words", false);
	for (const struct pg_word_list *l = pg_word_lists; l->name; l++) {
		const char *word;

		if (strcmp(l->name, "calls") != 0 && strcmp(l->name, "groups") != 0)
			continue;
		for (unsigned n = 0; (word = l->word(n)); n++)
			candidate(word, l->meaning(n));
	}
}

static enum pg_field field_called(const char *name, size_t n)
{
	unsigned f = 0;

	while (f < PG_F_COUNT && (strncmp(pg_field_name((enum pg_field)f), name, n) != 0 ||
				  pg_field_name((enum pg_field)f)[n]))
		f++;
	return (enum pg_field)f;
}

static void complete_value(void)
{
	size_t equal = strcspn(typed + start, "=");
	enum pg_field f = field_called(typed + start, equal);
	const char *word;

	start += equal + 1;
	start_behind(',');
	start += typed[start] == '!';
	action("words", false);
	for (unsigned n = 0; f != PG_F_COUNT && (word = pg_value_word(f, n)); n++)
		candidate(word, NULL);
}

/* A word that needs a value comes with its "=". */
static void complete_field(void)
{
	const struct pg_word_list *fields = pg_word_list_of("fields");

	action("words", false);
	for (unsigned f = 0; f < PG_F_COUNT; f++) {
		const char *name = pg_field_name((enum pg_field)f);
		bool value =
			pg_value_taken((enum pg_field)f) && !pg_value_optional((enum pg_field)f);

		candidate_of(name, strlen(name), value ? "=" : "", fields->meaning(f));
	}
}

static void complete_rule(void)
{
	size_t at;

	if (typed[start] == '@') {
		start++;
		action("files", true);
		return;
	}
	start_behind(';');
	at = start;
	start_behind(':');
	if (start == at)
		complete_set();
	else if (strchr(typed + start, '='))
		complete_value();
	else
		complete_field();
}

/* ---- other kinds ---- */

static void complete_log(const char *words)
{
	bool socket = !strncmp(typed + start, "unix:", 5);

	start += socket ? 5 : 0;
	action("files", true);
	if (!socket)
		candidates(words);
}

/* Anybody may put a file there, under any name. */
static bool is_page(int folder, const char *file)
{
	struct stat st;

	return !fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid() &&
	       !file[strspn(file, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789._+@%-")];
}

/* A path, or one of this user's pages that have a name. */
static void complete_page(void)
{
	const char *all = pg_control_path(""), *prefix = strrchr(all, '/') + 1;
	DIR *dir = opendir(pg_text_of("%.*s", (int)(prefix - all), all));
	const struct dirent *entry;
	size_t n = strlen(prefix);

	action(strchr(typed + start, '/') ? "files" : "words", true);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, n) && is_page(dirfd(dir), entry->d_name))
			candidate(entry->d_name + n, NULL);
	if (dir)
		closedir(dir);
}

static void complete_kind(enum pg_operand kind, const char *words)
{
	if (kind == PG_K_RULE || kind == PG_K_RULES) {
		complete_rule();
		return;
	}
	if (kind == PG_K_LOG) {
		complete_log(words);
		return;
	}
	if (kind == PG_K_PAGE) {
		complete_page();
		return;
	}
	if (kind == PG_K_LIST || kind == PG_K_PROGRAM)
		start_behind(',');
	action(kind == PG_K_FILE      ? "files"
	       : kind == PG_K_PROGRAM ? "programs"
				      : "words",
	       kind != PG_K_LIST);
	candidates(words);
}

static void complete_option(enum pg_verb v)
{
	action("words", true);
	for (const struct pg_option *o = pg_options; o->name; o++) {
		if (!(o->verbs >> v & 1))
			continue;
		candidate(pg_text_of("--%s", o->name), o->help);
		if (o->letter && !typed[1])
			candidate(pg_text_of("-%c", o->letter), o->help);
	}
}

static void complete_verbs(void)
{
	for (unsigned v = 0; v < PG_V_COUNT; v++)
		candidate(pg_verbs[v].name, pg_verbs[v].brief);
}

/* ---- operands of one verb ---- */

static void complete_id(const char *page)
{
	static struct pg_rule_set set;
	static struct pg_page_rules rules;

	action("words", true);
	if (!pg_page_open(pg_control_path(page), false) && pg_control_read(&set, &rules))
		for (unsigned n = 0; n < set.n; n++)
			candidate(set.rule[n].id, NULL);
}

/* WORDS: the page and what follows it; the last of them is the N-th. */
static void complete_ctl(char **words, unsigned n)
{
	if (!n) {
		complete_page();
	} else if (*typed == '-' && typed[1]) {
		complete_option(PG_V_CTL);
	} else if (n == 1) {
		action("words", true);
		for (const char *const *a = pg_ctl_actions; *a; a++)
			candidate(*a, NULL);
	} else if (!strcmp(words[1], "rules") || !strcmp(words[1], "add")) {
		complete_rule();
	} else if (!strcmp(words[1], "fired")) {
		complete_id(words[0]);
	}
}

static void complete_cut(void)
{
	const struct pg_word_list *fields = pg_word_list_of("fields");

	start_behind(':');
	if (strchr(typed + start, '=')) {
		complete_value();
		return;
	}
	action("words", false);
	for (unsigned f = 0; f < PG_F_COUNT; f++)
		if (pg_cut_fields >> f & 1)
			candidate_of(pg_field_name((enum pg_field)f),
				     strlen(pg_field_name((enum pg_field)f)),
				     pg_value_taken((enum pg_field)f) ? "=" : "",
				     fields->meaning(f));
}

/* ---- the command line ---- */

/* The option that WORD is, and where in WORD its value begins: 0 if that is the next word, or there
 * is none. */
static const struct pg_option *option_in(enum pg_verb v, const char *word, size_t *value)
{
	const struct pg_option *o;
	size_t n = strcspn(word, "=");

	*value = 0;
	if (word[1] == '-') {
		o = pg_option_of_name(v, word + 2, n - 2);
		*value = word[n] ? n + 1 : 0;
		return o;
	}
	for (n = 1; word[n]; n++) {
		o = pg_option_of_letter(v, word[n]);
		if (!o || o->value) {
			*value = word[n + 1] ? n + 1 : 0;
			return o;
		}
	}
	return NULL;
}

/* Past the options and their values, from word AT to LAST. Returns where the first operand is, or
 * LAST + 1 if what is typed belongs to an option and is complete. */
static unsigned past_options(enum pg_verb v, char **words, unsigned at, unsigned last, bool *end)
{
	for (; at < last && words[at][0] == '-' && words[at][1]; at++) {
		size_t value;
		const struct pg_option *o = option_in(v, words[at], &value);

		*end = !strcmp(words[at], "--");
		if (*end)
			return at + 1;
		if (!o || !o->value || value)
			continue;
		if (++at == last) {
			complete_kind(o->kind, o->words);
			return last + 1;
		}
	}
	return at;
}

static void complete_operand(enum pg_verb v, char **words, unsigned at, unsigned last)
{
	const struct pg_verb_row *row = &pg_verbs[v];

	if (row->kind == PG_K_PAGE) {
		complete_ctl(words + at, last - at);
	} else if (row->kind == PG_K_HELD) {
		if (at < last)
			complete_cut();
	} else if (row->kind == PG_K_COMMAND && at < last) {
		printf("command %u space\n", at);
	} else if (row->kind == PG_K_COMMAND) {
		action("programs", true);
		if (!last)
			complete_verbs();
	} else if (at == last || row->many) {
		complete_kind(row->kind, row->words);
	}
}

static void complete(char **words, unsigned count)
{
	unsigned last = count - 1, at;
	enum pg_verb v = last ? pg_verb_of(words[0]) : PG_V_COUNT;
	const struct pg_option *o;
	bool end = false;
	size_t value;

	at = v != PG_V_COUNT;
	v = at ? v : PG_V_RUN;
	typed = words[last];
	at = past_options(v, words, at, last, &end);
	if (at > last)
		return;
	if (at < last || end || *typed != '-') {
		complete_operand(v, words, at, last);
		return;
	}
	o = option_in(v, typed, &value);
	if (!o || !o->value || !value) {
		complete_option(v);
		return;
	}
	start = value;
	complete_kind(o->kind, o->words);
}

int pg_completion(struct pg_request *r)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {
		{"bash", PG_COMPLETION_BASH},
		{"zsh", PG_COMPLETION_ZSH},
		{"fish", PG_COMPLETION_FISH},
	};
	struct pg_nearest near;

	if (r->count > 1 && !strcmp(*r->words, "words")) {
		complete(r->words + 1, r->count - 1);
		return pg_flushed(0);
	}
	if (r->count != 1)
		pg_fail(PG_FAILED, "completion: for bash, zsh or fish?");
	near = pg_nearest_to(*r->words);
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		pg_nearest_try(&near, scripts[i].shell);
		if (strcmp(*r->words, scripts[i].shell) != 0)
			continue;
		fputs(scripts[i].script, stdout);
		return pg_flushed(0);
	}
	pg_fail(PG_FAILED, "completion: unknown shell '%s'%s", *r->words,
		pg_nearest_text(&near, " (bash, zsh or fish)"));
}
