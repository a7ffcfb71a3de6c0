/* SPDX-License-Identifier: MIT */
/* The command line, read by the tables of options.h. */
#ifndef PG_PARSE_H
#define PG_PARSE_H

#include "command/options.h"

/* Reads the words behind the program's name, which end with a null pointer. Ends the program where
 * they are wrong, or ask for help. */
struct pg_request pg_parse_words(char **words);

/* " (did you mean 'doctor'?)" for what is called like a verb. */
const char *pg_near_verb(const char *word, const char *otherwise);

#endif
