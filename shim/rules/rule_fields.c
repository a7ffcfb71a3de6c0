/* SPDX-License-Identifier: MIT */
#include "rules/rule_fields.h"

#include "rules/rule_peer.h"
#include "rules/rule_put.h"
#include "rules/rule_select.h"
#include "rules/rule_value.h"

static const struct pg_field_row rows[PG_F_COUNT] = {
#define FIELD(id, name, class, reader, printer, member, bound, calls, kinds, flags, help)          \
	{PG_F_##id,                                                                                \
	 name,                                                                                     \
	 pg_read_##reader,                                                                         \
	 pg_print_##printer,                                                                       \
	 offsetof(struct pg_rule, member),                                                         \
	 bound,                                                                                    \
	 PG_IS_##class | (flags)},
#define ACTION(id, name, class, calls, kinds, flags, help)                                         \
	{PG_F_##id, name, NULL, NULL, 0, 0, PG_IS_##class | (flags)},
#include "fields.def"
#undef FIELD
#undef ACTION
};

const struct pg_field_row *pg_field_row(enum pg_field f)
{
	return &rows[f];
}

/* Worked out once for each flag that is asked for alone. */
uint64_t pg_fields_with(unsigned flags)
{
	static uint64_t known[32];
	uint64_t *of = &known[__builtin_ctz(flags)], fields = PG_GET(*of);
	bool one = !(flags & (flags - 1));

	if (one && fields)
		return fields;
	fields = 0;
	for (unsigned f = 0; f < PG_F_COUNT; f++)
		fields |= (uint64_t)((rows[f].flags & flags) != 0) << f;
	if (one)
		PG_PUT(*of, fields);
	return fields;
}

const struct pg_ranges *pg_rule_ranges(const struct pg_rule *r, enum pg_field f)
{
	return rows[f].print == pg_print_ranges ? pg_member(r, &rows[f]) : NULL;
}

const struct pg_words *pg_rule_words(const struct pg_rule *r, enum pg_field f)
{
	if (rows[f].print != pg_print_words && rows[f].print != pg_print_peer)
		return NULL;
	return pg_member(r, &rows[f]);
}

bool pg_value_taken(enum pg_field f)
{
	return rows[f].read;
}

bool pg_value_optional(enum pg_field f)
{
	return rows[f].flags & PG_MAY_LACK_VALUE;
}
