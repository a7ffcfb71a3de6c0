/* SPDX-License-Identifier: MIT */
/* What a program is, and whether the loader will let the library into it. It runs nothing. */
#ifndef PG_EXAMINE_H
#define PG_EXAMINE_H

#include "command/examined.h"

/* Examines the program at PATH, which can be run, for the library at LIBRARY. */
void pg_examine(struct pg_examined *x, const char *path, const char *library);

#define PG_NO_OUTSIDE "this pipeguard was built for a machine on which it cannot look from outside"

/* What it is to the engine that looks from outside, in a word ("static Go"), where the library does
 * not reach all of it; a null pointer: it does, or nothing reaches it. */
const char *pg_from_outside(const struct pg_examined *x);

#endif
