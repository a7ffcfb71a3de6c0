/* SPDX-License-Identifier: MIT */
/* The values of peer=. */
#ifndef PG_RULE_PEER_H
#define PG_RULE_PEER_H

#include "rules/rule_read.h"

pg_read_fn pg_read_peer;
pg_print_fn pg_print_peer;

#endif
