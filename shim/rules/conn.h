/* SPDX-License-Identifier: MIT */
/* The numbers of connections, for conn=. */
#ifndef PG_CONN_H
#define PG_CONN_H

#include "object/look.h"

/* Numbers a connection on FD, to O, for the rules with conn=. A rule that watches connect counts
 * attempts, before the call; the others count what came about. */
void pg_conn_attempt(int fd, const struct pg_object *o);
void pg_conn_stands(int fd, const struct pg_object *o);
void pg_conn_came(int fd); /* the same, where O is not known */

#endif
