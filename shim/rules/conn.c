/* SPDX-License-Identifier: MIT */
#include "rules/conn.h"

#include "rules/counts.h"
#include "rules/match.h"

/* Does a connection to O count for R, at an attempt or when it stands? */
static bool counts_for(const struct pg_rule *r, const struct pg_object *o, bool attempt)
{
	if (o->side == PG_SERVER) /* what only watches connect never meets it */
		return !pg_rule_only_connects(r);
	return attempt == pg_rule_connects(r);
}

/* The connection's number for every rule with conn= that counts at this moment. */
static void count_connection(int fd, const struct pg_object *o, bool attempt)
{
	struct pg_op op = {.object = o, .fd = fd};
	struct pg_story *s = o->story;
	struct pg_count count;

	for (uint64_t left = s ? pg_rules.numbering : 0; left; left &= left - 1) {
		unsigned n = (unsigned)__builtin_ctzll(left);
		const struct pg_rule *r = &pg_rules.rule[n];

		if (!counts_for(r, o, attempt))
			continue;
		s->conn[r->conn_slot] = 0;
		if (!pg_match_connection(n, &op))
			continue;
		count = (struct pg_count){&pg_sum_of(n)->connections, pg_sum_tag(n)};
		s->conn[r->conn_slot] =
			(uint64_t)r->serial << 32 | (uint32_t)pg_count_add(count, 1);
	}
}

void pg_conn_attempt(int fd, const struct pg_object *o)
{
	count_connection(fd, o, true);
}

void pg_conn_stands(int fd, const struct pg_object *o)
{
	count_connection(fd, o, false);
}

void pg_conn_came(int fd)
{
	struct pg_object o;

	if (!pg_rules.numbering || !pg_fd(fd))
		return;
	pg_look_for(fd, &o, pg_rules.numbering_wants, true);
	count_connection(fd, &o, false);
}
