/* SPDX-License-Identifier: MIT */
/* Libraries that are used where they are installed: libdw of elfutils, C++'s for names. */
#ifndef PG_OUTSIDE_LIBRARY_H
#define PG_OUTSIDE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* A function of the library's, and the pointer that is to hold it. */
struct pg_symbol_wanted {
	const char *name;
	void *to;
};

/* Loads the library FILE for good, and fills in the N that are WANTED of it. False: it, or one of
 * them, is not there. */
bool pg_library_take(const char *file, const struct pg_symbol_wanted *wanted, size_t n);
#define PG_LIBDW "libdw.so.1"

#endif
