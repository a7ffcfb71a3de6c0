/* SPDX-License-Identifier: MIT */
/* libFuzzer's target: what a program makes of any bytes in the page. Its rules are none, or such as
 * the parser takes; each has a slot of its own; what it counts lies in the page. */
#include "rules/live.h"
#include "rules/counts.h"
#include "rules/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n", promise);
	abort();
}

static void start(void)
{
	static char path[] = "/tmp/pipeguard-fuzz-XXXXXX";
	const char *why;

	close(mkstemp(path));
	unlink(path);
	why = pg_page_open(path, true);
	if (why)
		broken(why);
	unlink(path);
	pg_turn_start();
	pg_live_start(false);
}

/* The rest of DATA as the rules of the page, as a writer of them would leave them. */
static void publish(const uint8_t *data, size_t size)
{
	static struct pg_page_rules rules;
	size_t head = offsetof(struct pg_page_rules, text);

	memset(&rules, 0, sizeof rules);
	rules.n = size ? data[0] % 70 : 0;
	rules.on = 1;
	for (unsigned n = 0; n < rules.n && n < PG_RULES_MAX; n++) {
		rules.serial[n] = n + 1;
		rules.conn_slot[n] = n % PG_CONN_RULES;
	}
	if (size > 2 && data[1] & 1) /* noise in what says what they are */
		memcpy((char *)&rules + data[2] % head, data + 3,
		       size - 3 < head - data[2] % head ? size - 3 : head - data[2] % head);
	if (rules.n > PG_RULES_MAX) /* no writer has more */
		rules.n = PG_RULES_MAX;
	rules.len = size > 3 ? (uint32_t)(size - 3) : 0;
	memcpy(rules.text, data + 3, size > 3 ? size - 3 : 0);
	pg_page_publish(&rules, size > 2 ? data[2] : 0);
}

static void look(void)
{
	struct pg_rule_set *before = pg_live_enter();
	bool slots[PG_RULE_SLOTS] = {false};

	if (pg_rules.n > PG_RULES_MAX)
		broken("as many rules as there is room for");
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];

		if (!r->serial || slots[r->serial % PG_RULE_SLOTS])
			broken("a slot for each rule");
		slots[r->serial % PG_RULE_SLOTS] = true;
		if (r->conn_slot >= PG_CONN_RULES || r->set.at + r->set.len >= PG_RULE_TEXT)
			broken("what a rule names is there");
		if (pg_rule_of((int)r->serial) != r)
			broken("a rule is found by its serial");
		pg_page_count(r->serial);
	}
	pg_live_leave(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	size_t all = sizeof(struct pg_page), at = 0;

	if (!started)
		start();
	started = true;
	if (size >= PG_RULE_TEXT || size < 8)
		return 0;
	if (*data & 1) {
		publish(data + 1, size - 1);
	} else { /* anywhere */
		memcpy(&at, data + 1, 4);
		at = (at & 0xffffffff) % (all - size);
		memcpy((char *)pg_page() + at, data + 5, size - 5);
	}
	look();
	return 0;
}
