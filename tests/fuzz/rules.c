/* SPDX-License-Identifier: MIT */
/* libFuzzer's target: what the parser promises of any text. */
#include "rules/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pg_rule_set rules, again;
static char text[PG_RULE_TEXT + 100], form[4 * PG_RULE_TEXT], second[4 * PG_RULE_TEXT];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\ntext: %s\nform: %s\n", promise, text, form);
	abort();
}

static void normal_form(const struct pg_rule_set *rs, char *buf, size_t size)
{
	struct pg_text t = {buf, 0, size - 1};

	for (unsigned i = 0; i < rs->n; i++) {
		if (i)
			pg_put_char(&t, '\n');
		pg_rule_put(&t, rs, i);
	}
	buf[t.len] = 0;
}

/* Rule R without what says where in its set, and in the text, its words stand. */
static struct pg_rule meaning(const struct pg_rule *r)
{
	struct pg_rule m;

	memcpy(&m, r, sizeof m);
	memset(&m.set, 0, sizeof m.set);
	m.raw = m.net = m.fd.at = m.port.at = m.lport.at = m.len.at = m.conn.at = 0;
	m.path.at = m.comm.at = m.thread.at = m.caller.at = m.stack.at = m.peer.at = m.site.at = 0;
	return m;
}

static bool same_ranges(const struct pg_ranges *a, const struct pg_ranges *b)
{
	return !memcmp(&rules.range[a->at], &again.range[b->at], a->n * sizeof *rules.range);
}

static bool same_words(const struct pg_words *a, const struct pg_words *b)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct pg_word x = rules.word[a->at + i], y = again.word[b->at + i];

		if (x.len != y.len || memcmp(rules.text + x.at, again.text + y.at, x.len) != 0)
			return false;
	}
	return true;
}

/* Are the lists of A, one of RULES, those of B, one of AGAIN? Addresses have a form of their own.
 */
static bool same_lists(const struct pg_rule *a, const struct pg_rule *b)
{
	return same_ranges(&a->fd, &b->fd) && same_ranges(&a->port, &b->port) &&
	       same_ranges(&a->lport, &b->lport) && same_ranges(&a->len, &b->len) &&
	       same_ranges(&a->conn, &b->conn) && same_words(&a->path, &b->path) &&
	       same_words(&a->comm, &b->comm) && same_words(&a->thread, &b->thread) &&
	       same_words(&a->caller, &b->caller) && same_words(&a->stack, &b->stack) &&
	       !memcmp(&rules.net[a->net], &again.net[b->net], a->peer.n * sizeof *rules.net) &&
	       !memcmp(&rules.site[a->site.at], &again.site[b->site.at],
		       a->site.n * sizeof *rules.site);
}

static void accepted(void)
{
	struct pg_rule_error error;

	normal_form(&rules, form, sizeof form);
	if (strlen(form) >= PG_RULE_TEXT)
		return;
	if (!pg_rules_parse(&again, form, &error))
		broken("the normal form is right");
	normal_form(&again, second, sizeof second);
	if (strcmp(form, second))
		broken("the normal form is its own normal form");
	if (again.n != rules.n || again.calls != rules.calls)
		broken("the normal form has as many rules, for the same calls");
	for (unsigned i = 0; i < rules.n; i++) {
		struct pg_rule a = meaning(&rules.rule[i]), b = meaning(&again.rule[i]);

		if (memcmp(&a, &b, sizeof a) || !same_lists(&rules.rule[i], &again.rule[i]))
			broken("the normal form means the same");
		if (!a.calls || !(a.fields >> PG_F_HOLD))
			broken("a rule has calls and an action");
	}
}

/* The line that the error points into, counted from 1; 0: the only one. */
static size_t line_length(unsigned line)
{
	const char *at = text;

	for (; line > 1; line--) {
		at = strchr(at, '\n');
		if (!at++)
			broken("the error's line exists");
	}
	return strcspn(at, "\n");
}

static void refused(const struct pg_rule_error *error)
{
	char buf[1000];
	struct pg_text t = {buf, 0, sizeof buf};

	form[0] = 0;
	if (!error->what || !error->what[0])
		broken("an error says what is wrong");
	if (!error->rule || error->rule > PG_RULES_MAX + 1)
		broken("an error names the rule");
	if (!error->column || error->column > line_length(error->line) + 1)
		broken("an error's column is in its line");
	pg_rule_put_error(&t, error);
	if (t.len < 20 || t.len >= 400)
		broken("an error is a line of a good length");
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)buf[i] < 0x20 || (unsigned char)buf[i] >= 0x7f)
			broken("an error is printable");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_rule_error error;

	if (size >= sizeof text)
		return -1;
	memcpy(text, data, size);
	text[size] = 0;
	memset(&error, 0, sizeof error);
	if (pg_rules_parse(&rules, text, &error))
		accepted();
	else
		refused(&error);
	return 0;
}
