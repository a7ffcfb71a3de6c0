/* SPDX-License-Identifier: MIT */
/* The page of a tree, as the command sees it: where it is, and how its rules are changed. */
#ifndef PG_CONTROL_H
#define PG_CONTROL_H

#include "rules/page.h"

/* Where NAME is: a path if it has a slash, else a file of this user's in /dev/shm. */
const char *pg_control_path(const char *name);

/* Maps it; MAKE: it is made if it is missing. Ends the program if that cannot be. */
void pg_control_open(const char *path, bool make);

/* The rules as they are now, and what the page says of them. False: the page is damaged. */
bool pg_control_read(struct pg_rule_set *set, struct pg_page_rules *rules);

enum pg_change_how { PG_REPLACE, PG_ADD, PG_SWITCH };

/* TEXT, or "@FILE", are the rules from now on, or come behind those that are there. ON: do they
 * act; -1: as before. Wrong ones end the program and change nothing. */
void pg_control_change(enum pg_change_how how, const char *text, int on);

/* For who begins to use it: it is made if it is missing. RULES, if there are any, replace what an
 * earlier one left in it. They count from here on, and so do those that stay, if nobody uses them
 * any more. */
void pg_control_start(const char *path, const char *rules);

#endif
