/* SPDX-License-Identifier: MIT */
/*
 * What the files of the examination share, and nobody else includes:
 *
 *	examine.c	a path: is it an ELF file, a script, or neither
 *	script.c	a script's first line, to its interpreter
 *	linkage.c	an ELF file: architecture, privileges, loader, sanitizer, gates
 */
#ifndef PG_EXAMINE_PARTS_H
#define PG_EXAMINE_PARTS_H

#include "examine.h"

#include <stddef.h>

/* The verdict, and a sentence why. */
void __attribute__((format(printf, 3, 4)))
pg_settle(struct pg_examined *x, enum pg_reach reach, const char *format, ...);

/* On from a script to what runs it, for the reason in SENTENCE; ends in a verdict if there is no
 * such program, or after five of them, as in the kernel. */
void pg_follow(struct pg_examined *x, const char *sentence, const char *to);

/* By LINE, which begins with "#!" and is changed. */
void pg_script_follow(struct pg_examined *x, char *line);

/* To the verdict on an ELF file. */
void pg_linkage_examine(struct pg_examined *x, const struct pg_elf_file *e, const char *library);

#endif
