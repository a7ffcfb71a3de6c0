/* SPDX-License-Identifier: MIT */
/*
 * The environment that the program will have: that of this process, entry by
 * entry and byte by byte, in its order, with odd names, entries without '=' and
 * duplicates. Only what is set here differs.
 */
#ifndef PG_VARIABLES_H
#define PG_VARIABLES_H

#include <stdbool.h>

/* NAME is VALUE, in each entry of that name, or in a new one at the end. */
void pg_variable_set(const char *name, const char *value);

/* Puts LIBRARY before what each LD_PRELOAD holds, or makes one; behind the runtime of a sanitizer,
 * which must be the first. Not again where it stands first already. */
void pg_variable_preload(const char *library);

/* What LD_PRELOAD would be: all of it, for the loader takes the last entry. */
const char *pg_variable_preloaded(const char *library);

/* True if LD_PRELOAD's first entry names a sanitizer's runtime. */
bool pg_sanitizer_name(const char *path);

/* The value of NAME, of the last entry; a null pointer: there is none. */
const char *pg_variable(const char *name);

/* The names that are meant for the library, each once, sorted; ends with a null pointer. */
const char **pg_variable_names(void);

/* For execve(2). */
char **pg_variables(void);

#endif
