/* SPDX-License-Identifier: MIT */
/* The values of peer=. */
#ifndef PG_RULE_PEER_H
#define PG_RULE_PEER_H

#include "rules/rule_read.h"

pg_read_fn pg_peer_read;
void pg_peer_put(struct pg_text *t, const char *text, const struct pg_rule *r);

#endif
