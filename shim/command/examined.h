/* SPDX-License-Identifier: MIT */
/* What is found out of a program. */
#ifndef PG_EXAMINED_H
#define PG_EXAMINED_H

#include <stdbool.h>

enum pg_reach {
	PG_R_UNKNOWN,
	PG_R_YES,
	PG_R_PARTLY,
	PG_R_NO,
	PG_R_MISSING /* it cannot start at all */
};

/* What could serve where the library does not. */
enum pg_instead { PG_I_STRACE, PG_I_SANITIZER, PG_I_MACHINE, PG_I_PRIVILEGED };

struct pg_examined {
	enum pg_reach reach;
	const char *why;   /* a sentence; if not yes */
	const char *gates; /* that see it, or a null pointer */
	enum pg_instead instead;
	const char *scripts[8]; /* a sentence on each, to the program that the kernel starts: */
	unsigned script_count;
	const char *path;
	const char *machine, *linking, *libc, *privileges, *runtime, *sanitizer; /* or null */
	const char *obeyed; /* the user to whom a privileged file gives nothing new */
	const char *library_machine, *library_libc;
	bool library_linked; /* it names the libc that it needs */
	const char *build;   /* which make builds a library for another machine */
	bool takes_away;     /* a script whose first line takes LD_PRELOAD away */
	bool elf, loader;    /* is it an ELF file; one that names a loader */
};

#endif
