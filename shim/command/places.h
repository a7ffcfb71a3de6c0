/* SPDX-License-Identifier: MIT */
/* Where things are: the library, the scripts beside it, programs. */
#ifndef PG_PLACES_H
#define PG_PLACES_H

#include <stdbool.h>

/* The library, by an absolute path; ends the program if there is none. Beside this program (the
 * build folder), where make install put it seen from this program (a copied or staged tree too),
 * or where it was told to put it. */
const char *pg_library(void);

/* This program. */
const char *pg_command(void);

/* The library by a path that can stand in LD_PRELOAD, which the loader splits at blanks and colons:
 * where its own has one, a link in a folder of this user's in /tmp. */
const char *pg_library_for_loader(void);

/* The script NAME, where it is installed or in the source tree; ends the program if it is missing.
 */
const char *pg_script(const char *name);

/* The program that NAME stands for as a shell would find it. 0: *PATH is it. PG_CANNOT_RUN: *PATH
 * is no program. PG_NOT_FOUND. */
int pg_find_program(const char *name, const char **path);

/* True if PATH is a file that execve(2) can start. */
bool pg_can_run(const char *path);

/* The folder of now as its name was typed, if that is still true; ends the program if there is
 * none. */
const char *pg_folder(void);

/* Where what a tree's processes share is, by the NAME of a page: a path if that has a slash, else a
 * file of this user's in /dev/shm. */
const char *pg_place_shared(const char *name);

#endif
