/* SPDX-License-Identifier: MIT */
/* What the program says: one line for a refusal, the word that may be meant, a word for a shell. */
#ifndef PG_SAY_H
#define PG_SAY_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Statuses of our own; else they are the program's. */
enum { PG_WRONG_RULES = 2, PG_FAILED = 125, PG_CANNOT_RUN = 126, PG_NOT_FOUND = 127 };

/* Ends the program. Memory is not given back, and a leak checker that is preloaded for the
 * program's sake (LD_PRELOAD=libasan.so pipeguard ...) is not asked. */
void __attribute__((noreturn)) pg_end(int status);

/* "pipeguard: ...", with control bytes escaped so that it is one line; then pg_end(STATUS). */
void __attribute__((noreturn, format(printf, 2, 3))) pg_fail(int status, const char *format, ...);

/* From now on what it says is of line N of standard input. */
void pg_say_line(unsigned n);

/* The same as one line on standard output. */
void __attribute__((format(printf, 1, 2))) pg_line(const char *format, ...);

/* An allocated text; ends the program if there is no memory. */
char *__attribute__((format(printf, 1, 2))) pg_text_of(const char *format, ...);
void *pg_room(size_t size); /* zeroed */

/* " (did you mean 'WORD'?)", or OTHERWISE if there is none; allocated. */
const char *pg_nearest_text(const struct pg_nearest *n, const char *otherwise);

/* The same of one list, which ends with a null pointer. */
const char *pg_near(const char *word, const char *const *words, const char *otherwise);

/* S as one word of any shell, in quotes; allocated. */
const char *pg_quoted(const char *s);

/* Everything is written, or one line says why not. Returns STATUS, or PG_FAILED. */
int pg_flushed(int status);

#endif
