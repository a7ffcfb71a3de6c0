/* SPDX-License-Identifier: MIT */
#include "rules/rule_known.h"

/* From the start of a page on: few rules touch few of them. */
_Alignas(PG_PAGE_LEAST) struct pg_rule_set pg_first_rules;
__thread struct pg_rule_set *pg_rules_now __attribute__((tls_model("initial-exec"))) =
	&pg_first_rules;

static struct {
	uint32_t serial;
	uint8_t terminal;
	char id[sizeof pg_first_rules.rule->id];
} remembered[PG_RULE_SLOTS];

void pg_rules_remember(const struct pg_rule_set *set)
{
	for (unsigned n = 0; n < set->n; n++) {
		const struct pg_rule *r = &set->rule[n];
		unsigned slot = r->serial % PG_RULE_SLOTS;

		pg_copy(remembered[slot].id, sizeof remembered->id, r->id);
		PG_PUT(remembered[slot].terminal, (uint8_t)r->terminal);
		PG_PUT(remembered[slot].serial, r->serial);
	}
}

/* Those of the start stand at their serials. */
const struct pg_rule *pg_rule_of(int serial)
{
	uint32_t is = (uint32_t)serial;

	if (serial < 0)
		return NULL;
	if (is < pg_rules.n && pg_rules.rule[is].serial == is)
		return &pg_rules.rule[is];
	for (unsigned n = 0; n < pg_rules.n; n++)
		if (pg_rules.rule[n].serial == is)
			return &pg_rules.rule[n];
	return NULL;
}

static bool is_remembered(int serial)
{
	return serial > 0 &&
	       PG_GET(remembered[(unsigned)serial % PG_RULE_SLOTS].serial) == (uint32_t)serial;
}

const char *pg_rule_id(int serial)
{
	const struct pg_rule *r = pg_rule_of(serial);

	if (r)
		return r->id;
	return is_remembered(serial) ? remembered[(unsigned)serial % PG_RULE_SLOTS].id : NULL;
}

enum pg_field pg_rule_terminal(int serial)
{
	const struct pg_rule *r = pg_rule_of(serial);

	if (r)
		return r->terminal;
	return is_remembered(serial)
		       ? (enum pg_field)remembered[(unsigned)serial % PG_RULE_SLOTS].terminal
		       : PG_F_COUNT;
}
