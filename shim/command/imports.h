/* SPDX-License-Identifier: MIT */
/* Which of the calls that rules name a program imports, and which its libraries do. */
#ifndef PG_IMPORTS_H
#define PG_IMPORTS_H

#include "base/call.h"

#include <stdbool.h>

enum { PG_LIBRARIES_MAX = 64 };

struct pg_imports {
	bool known;
	uint64_t calls;	    /* of the program: bits of enum pg_call */
	uint64_t elsewhere; /* of its libraries, those of libc aside */
	bool stdio;	    /* the program writes by libc's FILEs */
	unsigned libraries;
	struct {
		const char *name;
		uint64_t calls;
		bool stdio;
	} library[PG_LIBRARIES_MAX]; /* those that were found, and import any */
};

/* True if CALL is one that rules name, and in CALLS. */
bool pg_imports_has(uint64_t calls, enum pg_call call);

/* Of the ELF file at PATH. Its libraries are looked for in the usual folders and in
 * LD_LIBRARY_PATH, theirs are not. */
void pg_imports_of(struct pg_imports *im, const char *path);

#endif
