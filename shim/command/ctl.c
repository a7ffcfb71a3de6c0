/* SPDX-License-Identifier: MIT */
/* ctl: changes the rules of programs that run, and says what they did. */
#include "command/acts.h"
#include "command/control.h"
#include "command/options.h"
#include "command/say.h"
#include "command/takes.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const actions[] = {"rules", "add", "clear", "on", "off", "show", "fired", NULL};

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

static void expect(const struct pg_request *r, unsigned words, const char *what)
{
	if (r->count < words)
		pg_fail(PG_FAILED, "ctl: %s needs %s (see --help)", r->words[1], what);
	if (r->count > words)
		pg_fail(PG_FAILED, "ctl: '%s' is one word too many (see --help)", r->words[words]);
}

static int act(const struct pg_request *r, const char *action)
{
	bool rules = !strcmp(action, "rules"), add = !strcmp(action, "add");
	bool asks = !strcmp(action, "fired");

	if ((rules || add || asks) && r->words[2] && !*r->words[2])
		pg_fail(PG_FAILED, "ctl: %s: the value is empty", action);
	expect(r, rules || add || asks ? 3 : 2, asks ? "the ID of a rule" : "rules");
	if (r->for_ns && !asks)
		pg_fail(PG_FAILED, "--wait is for fired");
	pg_control_open(pg_control_path(r->words[0]), false);
	if (asks)
		return fired(r->words[2], r->for_ns);
	if (!strcmp(action, "show"))
		return show();
	if (rules || add)
		pg_control_change(rules ? PG_REPLACE : PG_ADD, r->words[2], -1);
	else if (!strcmp(action, "clear"))
		pg_control_change(PG_REPLACE, "", -1);
	else
		pg_control_change(PG_SWITCH, "", !strcmp(action, "on"));
	return 0;
}

static void on_bus(int sig)
{
	static const char line[] = "pipeguard: ctl: the page was cut off\n";

	(void)sig;
	_exit(write(2, line, sizeof line - 1) < 0 ? PG_FAILED : PG_FAILED);
}

int pg_ctl(struct pg_request *r)
{
	signal(SIGBUS, on_bus);
	take_wait(r);
	if (r->count < 2 || !r->words[1])
		pg_fail(PG_FAILED, "ctl: which page, and what is to be done? (see --help)");
	for (const char *const *a = actions; *a; a++)
		if (!strcmp(*a, r->words[1]))
			return act(r, *a);
	pg_fail(PG_FAILED, "ctl: unknown word '%s'%s", r->words[1],
		pg_near(r->words[1], actions, " (rules, add, clear, on, off, show or fired)"));
}
