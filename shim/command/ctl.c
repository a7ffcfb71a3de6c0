/* SPDX-License-Identifier: MIT */
/* ctl: changes the rules of programs that run, and says what they did. */
#include "command/acts.h"
#include "command/control.h"
#include "command/options.h"
#include "command/places.h"
#include "command/say.h"
#include "command/takes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const pg_ctl_actions[] = {"rules", "add", "clear", "on", "off", "show", "fired", NULL};

static void read_page(struct pg_rule_set *set, struct pg_page_rules *rules)
{
	if (!pg_control_read(set, rules))
		pg_fail(PG_FAILED, "ctl: the page is damaged (rules, or clear, make it whole)");
}

/* What it prints can be given to rules again. */
static int show(void)
{
	static struct pg_rule_set set;
	static struct pg_page_rules rules;
	char buf[4096];

	read_page(&set, &rules);
	printf("# %s, change %u\n", rules.on ? "on" : "off", rules.generation);
	for (unsigned n = 0; n < set.n; n++) {
		struct pg_text t = {buf, 0, sizeof buf - 1};

		pg_rule_put(&t, &set, n);
		buf[t.len] = 0;
		printf("%s # fired %llu times\n", buf,
		       (unsigned long long)pg_page_fired(set.rule[n].serial));
	}
	return pg_flushed(0);
}

static uint32_t serial_of(const char *id)
{
	static struct pg_rule_set set;
	static struct pg_page_rules rules;
	struct pg_nearest near = pg_nearest_to(id);

	read_page(&set, &rules);
	for (unsigned n = 0; n < set.n; n++) {
		if (!strcmp(set.rule[n].id, id))
			return set.rule[n].serial;
		pg_nearest_try(&near, set.rule[n].id);
	}
	pg_fail(PG_FAILED, "ctl: there is no rule '%s'%s", id, pg_nearest_text(&near, ""));
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fired(const char *id, uint64_t wait)
{
	static const struct timespec pause = {0, 2000000};
	uint64_t end = now() + wait, count;
	uint32_t serial = serial_of(id);

	while (!(count = pg_page_fired(serial)) && now() < end)
		nanosleep(&pause, NULL);
	printf("%llu\n", (unsigned long long)count);
	return pg_flushed(count ? 0 : 1);
}

/* Options may stand behind the words, as they are typed. */
static void take_wait(struct pg_request *r)
{
	char **to = r->words;

	for (char **w = r->words; *w; w++) {
		if (!strncmp(*w, "--wait=", 7))
			pg_take_for(r, *w + 7);
		else if (!strcmp(*w, "--wait") && !w[1])
			pg_fail(PG_FAILED, "--wait needs a value (see --help)");
		else if (!strcmp(*w, "--wait"))
			pg_take_for(r, *++w);
		else
			*to++ = *w;
	}
	*to = NULL;
	r->count = (unsigned)(to - r->words);
}

static void expect(const struct pg_request *r, unsigned words, const char *action, const char *what)
{
	if (r->count < words)
		pg_fail(PG_FAILED, "ctl: %s needs %s (see --help)", action, what);
	if (r->count > words)
		pg_fail(PG_FAILED, "ctl: '%s' is one word too many (see --help)", r->words[words]);
}

static const char *action_of(const char *word)
{
	const char *const *a = pg_ctl_actions;

	while (*a && strcmp(*a, word) != 0)
		a++;
	if (!*a)
		pg_fail(PG_FAILED, "ctl: unknown word '%s'%s", word,
			pg_near(word, pg_ctl_actions,
				" (rules, add, clear, on, off, show, fired or -)"));
	return *a;
}

static bool takes_rules(const char *action)
{
	return !strcmp(action, "rules") || !strcmp(action, "add");
}

static void check(const struct pg_request *r, const char *action)
{
	bool rules = takes_rules(action), asks = !strcmp(action, "fired");

	if ((rules || asks) && r->words[2] && !*r->words[2])
		pg_fail(PG_FAILED, "ctl: %s: the value is empty", action);
	expect(r, rules || asks ? 3 : 2, action, asks ? "the ID of a rule" : "rules");
	if (r->for_ns && !asks)
		pg_fail(PG_FAILED, "--wait is for fired");
}

static int act(const struct pg_request *r, const char *action)
{
	if (!strcmp(action, "fired"))
		return fired(r->words[2], r->for_ns);
	if (!strcmp(action, "show"))
		return show();
	if (takes_rules(action))
		pg_control_change(*action == 'r' ? PG_REPLACE : PG_ADD, r->words[2], -1);
	else if (!strcmp(action, "clear"))
		pg_control_change(PG_REPLACE, "", -1);
	else
		pg_control_change(PG_SWITCH, "", !strcmp(action, "on"));
	return 0;
}

/* ---- many, from standard input ---- */

enum { LINE = PG_RULE_TEXT + 100, WORDS = 8 };
static const char blanks[] = " \t\v\f\r";

/* The next line, without its end and the blanks there; a null pointer: that was all. */
static char *next_line(void)
{
	static char line[LINE];
	size_t n = 0;
	int c;

	while ((c = getchar_unlocked()) != EOF && c != '\n') {
		if (!c || n + 1 == sizeof line)
			pg_fail(PG_FAILED,
				c ? "ctl: longer than rules can be" : "ctl: holds a NUL byte");
		line[n++] = (char)c;
	}
	if (ferror(stdin))
		pg_fail(PG_FAILED, "ctl: %s", strerror(errno));
	while (n && strchr(blanks, line[n - 1]))
		n--;
	line[n] = 0;
	return c == EOF && !n ? NULL : line;
}

/* At AT a word ends: it does with a NUL now. Where the next one begins. */
static char *next_word(char *at)
{
	if (*at)
		*at++ = 0;
	return at + strspn(at, blanks);
}

/* LINE as the words of a command line; what is to be done. Rules are one word, and begin where the
 * line does: columns are those of the line. */
static const char *split(struct pg_request *r, char *line)
{
	char *word = line + strspn(line, blanks), *rest = next_word(word + strcspn(word, blanks));
	const char *action = action_of(word);

	r->count = 2;
	r->for_ns = 0;
	if (takes_rules(action) && *rest) {
		r->words[r->count++] = *rest == '@' ? rest : line;
		memset(line, ' ', (size_t)(rest - line));
		rest += strlen(rest);
	}
	while (*rest && r->count < WORDS - 1) {
		r->words[r->count++] = rest;
		rest = next_word(rest + strcspn(rest, blanks));
	}
	r->words[r->count] = NULL;
	take_wait(r);
	return action;
}

/* Each is done, and answered, before the next line is read. */
static int act_on_lines(struct pg_request *r)
{
	char *words[WORDS] = {r->words[0], r->words[1]}, *line;
	int worst = 0;

	r->words = words;
	for (unsigned n = 1; pg_say_line(n), line = next_line(); n++) {
		const char *action;
		int status;

		if (!line[strspn(line, blanks)] || line[strspn(line, blanks)] == '#')
			continue;
		action = split(r, line);
		check(r, action);
		status = act(r, action);
		if (status == PG_FAILED)
			return status;
		worst |= status;
	}
	return worst;
}

static void on_bus(int sig)
{
	static const char line[] = "pipeguard: ctl: the page was cut off\n";

	(void)sig;
	_exit(write(2, line, sizeof line - 1) < 0 ? PG_FAILED : PG_FAILED);
}

int pg_ctl(struct pg_request *r)
{
	const char *action;

	signal(SIGBUS, on_bus);
	take_wait(r);
	if (r->count < 2 || !r->words[1])
		pg_fail(PG_FAILED, "ctl: which page, and what is to be done? (see --help)");
	if (!strcmp(r->words[1], "-")) {
		expect(r, 2, "-", "");
		if (r->for_ns)
			pg_fail(PG_FAILED, "--wait is for fired");
		pg_control_open(pg_place_shared(r->words[0]), false);
		return act_on_lines(r);
	}
	action = action_of(r->words[1]);
	check(r, action);
	pg_control_open(pg_place_shared(r->words[0]), false);
	return act(r, action);
}
