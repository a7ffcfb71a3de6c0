/* SPDX-License-Identifier: MIT */
/* The rules that were given: by options, by the arguments of check, in a file. */
#ifndef PG_GIVEN_H
#define PG_GIVEN_H

#include <stdbool.h>

/* RULES are one more argument of check; "@FILE" is a file of them. */
void pg_given_add(const char *rules);

/* Prints the normal form of what was given; ends the program where there is none. Returns
 * PG_WRONG_RULES after a line on standard error if the rules are wrong. */
int pg_given_check(void);

/* True if rules were given. */
bool pg_given_any(void);

/* Puts what was given, if anything was, into the variable. Ends the program if it is wrong. */
void pg_given_set(void);

#endif
