/* SPDX-License-Identifier: MIT */
#include "rules/rule_fields.h"

#include "rules/rule_peer.h"
#include "rules/rule_put.h"
#include "rules/rule_select.h"
#include "rules/rule_value.h"

#define HOLDS(member)                                                                              \
	_Generic(((struct pg_rule *)0)->member, struct pg_ranges                                   \
		 : PG_HOLDS_RANGES, struct pg_words                                                \
		 : PG_HOLDS_WORDS, default                                                         \
		 : PG_HOLDS_OTHER)

const struct pg_field_row pg_field_rows[PG_F_COUNT] = {
#define FIELD(id_, name, class, reader, printer, member_, bound_, calls, kinds, flags, help)       \
	{.id = PG_F_##id_,                                                                         \
	 .member = offsetof(struct pg_rule, member_),                                              \
	 .holds = HOLDS(member_),                                                                  \
	 .bound = bound_},
#define ACTION(id_, ...) {.id = PG_F_##id_},
#include "fields.def"
#undef FIELD
#undef ACTION
};

pg_read_fn *const pg_field_readers[PG_F_COUNT] = {
#define FIELD(id, name, class, reader, ...) pg_read_##reader,
#define ACTION(...) NULL,
#include "fields.def"
#undef FIELD
};

pg_print_fn *const pg_field_printers[PG_F_COUNT] = {
#define FIELD(id, name, class, reader, printer, ...) pg_print_##printer,
#include "fields.def"
#undef FIELD
#undef ACTION
};
