/* SPDX-License-Identifier: MIT */
/* What is the same in many lines of a log, taken together: for report, which reads millions. */
#ifndef PG_FOLD_H
#define PG_FOLD_H

/*
 * Standard input, a log, becomes on standard output: lines that are laid out
 * exactly as the library lays out a write are counted, all others go through as
 * they are. What was counted comes as lines that begin with \x01, before a line
 * that went through and at the end:
 *
 *	F 1			first of all: this form
 *	K n lines first last repeated many pid FIELD...	so many events of one kind
 *	T second event n	so many events in that second
 *	E event n		so many that only their sum is wanted of
 *	L lines			how many lines were counted
 *
 * with tabs between, and \N where nothing is known. Returns the status.
 */
int pg_fold(void);

#endif
