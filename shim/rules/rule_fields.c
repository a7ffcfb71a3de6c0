/* SPDX-License-Identifier: MIT */
#include "rules/rule_fields.h"

#include "rules/rule_peer.h"
#include "rules/rule_put.h"
#include "rules/rule_select.h"
#include "rules/rule_value.h"

static const struct pg_field_row rows[PG_F_COUNT] = {
#define FIELD(id_, name_, class, reader, printer, member_, bound_, calls, kinds, flags_, help)     \
	{.id = PG_F_##id_,                                                                         \
	 .name = name_,                                                                            \
	 .read = pg_read_##reader,                                                                 \
	 .print = pg_print_##printer,                                                              \
	 .member = offsetof(struct pg_rule, member_),                                              \
	 .bound = bound_,                                                                          \
	 .flags = PG_IS_##class | (flags_)},
#define ACTION(id_, name_, class, calls, kinds, flags_, help)                                      \
	{.id = PG_F_##id_, .name = name_, .flags = PG_IS_##class | (flags_)},
#include "fields.def"
#undef FIELD
#undef ACTION
};

const struct pg_field_row *pg_field_row(enum pg_field f)
{
	return &rows[f];
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
