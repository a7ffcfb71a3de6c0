/* SPDX-License-Identifier: MIT */
/* A script's first line, to its interpreter. */
#ifndef PG_SCRIPT_H
#define PG_SCRIPT_H

#include "command/examined.h"

/* By LINE, which begins with "#!" and is changed. */
void pg_script_follow(struct pg_examined *x, char *line);

#endif
