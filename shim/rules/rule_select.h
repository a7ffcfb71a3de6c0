/* SPDX-License-Identifier: MIT */
/* The values of selectors, but for peer=. */
#ifndef PG_RULE_SELECT_H
#define PG_RULE_SELECT_H

#include "rules/rule_read.h"

pg_read_fn pg_read_ranges, pg_read_conn;			       /* struct pg_ranges */
pg_read_fn pg_read_path, pg_read_comm, pg_read_thread, pg_read_frames; /* struct pg_words */
pg_read_fn pg_read_kind, pg_read_side, pg_read_seen, pg_read_site;

#endif
