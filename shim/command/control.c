/* SPDX-License-Identifier: MIT */
#include "command/control.h"

#include "command/places.h"
#include "command/say.h"
#include "command/tree.h"

#include "rules/live.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORM_MOST = 4096 };

void pg_control_open(const char *path, bool make)
{
	const char *why = pg_page_open(path, make);

	if (why)
		pg_fail(PG_FAILED, "page: %s '%s'%s", why, path,
			make || access(path, F_OK) == 0
				? ""
				: " (pipeguard run --control makes it, or PIPEGUARD_CONTROL)");
}

bool pg_control_read(struct pg_rule_set *set, struct pg_page_rules *rules)
{
	struct pg_rule_error error;
	uint32_t generation;

	set->n = 0;
	do {
		generation = pg_page_generation();
		if (!generation) {
			memset(rules, 0, sizeof *rules);
			rules->on = 1;
			return true;
		}
		if (pg_page_read(rules, generation))
			return !rules->n || (pg_rules_parse(set, rules->text, &error) &&
					     pg_live_mark(set, rules));
	} while (generation != pg_page_generation());
	return false;
}

/* ---- changes ---- */

static void __attribute__((noreturn)) refuse(const struct pg_rule_error *error)
{
	char buf[500];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_rule_put_error(&t, error);
	buf[t.len] = 0;
	pg_fail(PG_FAILED, "ctl: %s", buf);
}

/* TEXT, whose first rules are the N that were there, a line each: what is wrong is counted from
 * the rest on. */
static struct pg_rule_set *parsed(const char *text, unsigned n)
{
	static struct pg_rule_set set;
	struct pg_rule_error error;

	set.n = 0;
	if (!*text || pg_rules_parse(&set, text, &error))
		return &set;
	error.rule -= error.rule > n ? n : 0;
	error.line -= error.line > n ? n : 0;
	if (n && error.line == 1)
		error.line = 0;
	refuse(&error);
}

static const char *text_of_file(const char *path)
{
	static char text[PG_RULE_TEXT + 1];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	ssize_t n = 1;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		pg_fail(PG_FAILED, "ctl: '%s' is no file that can be read", path);
	while (len < PG_RULE_TEXT && (n = read(fd, text + len, PG_RULE_TEXT - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = 0;
	if (n < 0 || strlen(text) < len)
		pg_fail(PG_FAILED, "ctl: '%s' cannot be read, or holds a NUL byte", path);
	return text;
}

struct form {
	char text[FORM_MOST];
};

static const char *form(struct form *f, const struct pg_rule_set *set, unsigned n)
{
	struct pg_text t = {f->text, 0, sizeof f->text - 1};

	pg_rule_put(&t, set, n);
	f->text[t.len] = 0;
	return f->text;
}

/* The rule of OLD that reads like rule N of SET; -1: none. */
static int same(const struct pg_rule_set *old, const struct pg_rule_set *set, unsigned n)
{
	struct form wanted, has;

	form(&wanted, set, n);
	for (unsigned i = 0; i < old->n; i++)
		if (!strcmp(old->rule[i].id, set->rule[n].id) &&
		    !strcmp(form(&has, old, i), wanted.text))
			return (int)i;
	return -1;
}

struct taken {
	bool slot[PG_RULE_SLOTS], conn[PG_CONN_RULES];
};

static void keep(struct taken *t, struct pg_page_rules *to, unsigned n, const struct pg_rule *r)
{
	to->serial[n] = r->serial;
	to->conn_slot[n] = r->conn_slot;
	t->slot[r->serial % PG_RULE_SLOTS] = true;
	if (pg_has(r, PG_F_CONN))
		t->conn[r->conn_slot] = true;
}

/* A serial that nobody had for long. */
static uint32_t new_serial(struct taken *t)
{
	uint32_t *last = &pg_page()->last_serial;

	do
		*last = *last >= INT32_MAX - 1 ? 1 : *last + 1;
	while (t->slot[*last % PG_RULE_SLOTS]);
	t->slot[*last % PG_RULE_SLOTS] = true;
	return *last;
}

static uint8_t new_conn_slot(struct taken *t)
{
	uint8_t slot = 0;

	while (slot < PG_CONN_RULES - 1 && t->conn[slot])
		slot++;
	t->conn[slot] = true;
	return slot;
}

/* Rules that were there go on with what they counted, unless all is to begin ANEW. */
static void number(struct pg_page_rules *to, const struct pg_rule_set *old,
		   const struct pg_rule_set *set, bool anew)
{
	struct taken t = {{false}, {false}};

	for (unsigned n = 0; n < set->n; n++) {
		int is = anew ? -1 : same(old, set, n);

		to->serial[n] = 0;
		to->conn_slot[n] = 0;
		if (is >= 0)
			keep(&t, to, n, &old->rule[is]);
	}
	for (unsigned n = 0; n < set->n; n++) {
		if (to->serial[n])
			continue;
		to->serial[n] = new_serial(&t);
		if (pg_has(&set->rule[n], PG_F_CONN))
			to->conn_slot[n] = new_conn_slot(&t);
	}
}

/* All of SET in its normal form, so that it is the same text whoever wrote it. */
static void put_text(struct pg_page_rules *to, const struct pg_rule_set *set)
{
	struct pg_text t = {to->text, 0, sizeof to->text - 1};
	struct form room;

	for (unsigned n = 0; n < set->n; n++) {
		const char *f = form(&room, set, n);

		if (t.len + strlen(f) + 1 > t.cap)
			pg_fail(PG_FAILED, "ctl: the rules are longer than %zu bytes", t.cap);
		if (n)
			pg_put_char(&t, '\n');
		pg_put(&t, f);
	}
	to->text[t.len] = 0;
	to->len = (uint32_t)t.len;
	to->n = set->n;
}

/* What is there, and behind it MORE, whose error has columns of its own. */
static struct pg_rule_set *with(const struct pg_rule_set *old, const char *more)
{
	static char text[2 * PG_RULE_TEXT];
	struct pg_text t = {text, 0, sizeof text - 1};
	struct form room;

	parsed(more, 0);
	for (unsigned n = 0; n < old->n; n++) {
		pg_put(&t, form(&room, old, n));
		pg_put_char(&t, '\n');
	}
	pg_put(&t, more);
	text[t.len] = 0;
	return parsed(text, old->n);
}

static void change(enum pg_change_how how, const char *text, int on, bool anew)
{
	static struct pg_rule_set old;
	static struct pg_page_rules rules;
	struct pg_rule_set *set = &old;
	bool whole;

	if (*text == '@')
		text = text_of_file(text + 1);
	if (how == PG_REPLACE)
		set = parsed(text, 0);
	if (pg_page_lock())
		pg_fail(PG_FAILED, "ctl: the page cannot be locked");
	whole = pg_control_read(&old, &rules);
	if (!whole && how != PG_REPLACE)
		pg_fail(PG_FAILED, "ctl: the page is damaged (rules, or clear, make it whole)");
	if (!whole)
		old.n = 0;
	if (how == PG_ADD)
		set = with(&old, text);
	if (on >= 0 || !whole)
		rules.on = on != 0;
	number(&rules, &old, set, anew);
	put_text(&rules, set);
	pg_page_publish(&rules, rules.on ? pg_live_calls(set) : 0);
	pg_page_unlock();
}

void pg_control_change(enum pg_change_how how, const char *text, int on)
{
	change(how, text, on, false);
}

void pg_control_start(const char *path, const char *rules)
{
	bool left = pg_tree_left(path);

	pg_control_open(path, true);
	if (left)
		pg_page()->endings.forgot = 0;
	if (rules)
		change(PG_REPLACE, rules, 1, true);
	else if (left && pg_page_generation())
		change(PG_SWITCH, "", -1, true);
}
