/* SPDX-License-Identifier: MIT */
/* A row of fields.def, as those see it who read and print values. */
#ifndef PG_RULE_FIELD_H
#define PG_RULE_FIELD_H

#include "rules/rule_parse.h"

struct pg_field_row;

/* The value of FIELD in RULE, which is one of SET. */
struct pg_value {
	const struct pg_rule_set *set;
	const struct pg_rule *rule;
	const struct pg_field_row *field;
};

struct pg_field_row {
	uint64_t bound;
	uint16_t member; /* its offset in struct pg_rule */
	uint8_t holds;	 /* enum pg_holds, of the member's type */
	uint8_t id;	 /* enum pg_field */
};
enum pg_holds { PG_HOLDS_OTHER, PG_HOLDS_RANGES, PG_HOLDS_WORDS };

/* A value V into its member of the rule that P works on; false: the error is set. */
typedef bool pg_read_fn(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v);
typedef void pg_print_fn(struct pg_text *t, const struct pg_value *v);

/* Where the value of F is in R: of the type that its reader and its printer know. */
static inline void *pg_member(const struct pg_rule *r, const struct pg_field_row *f)
{
	return (char *)(uintptr_t)r + f->member;
}

#endif
