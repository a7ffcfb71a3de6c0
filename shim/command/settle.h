/* SPDX-License-Identifier: MIT */
/* A step of the examination: to a verdict, or on to what runs the program. */
#ifndef PG_SETTLE_H
#define PG_SETTLE_H

#include "command/examined.h"

/* The verdict, and a sentence why. */
void __attribute__((format(printf, 3, 4)))
pg_settle(struct pg_examined *x, enum pg_reach reach, const char *format, ...);

/* On from a script to what runs it, for the reason in SENTENCE; ends in a verdict if there is no
 * such program, or after five of them, as in the kernel. */
void pg_follow(struct pg_examined *x, const char *sentence, const char *to);

#endif
