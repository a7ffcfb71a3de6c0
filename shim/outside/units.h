/* SPDX-License-Identifier: MIT */
/* Lines of programs that have no table of which compilation unit an address is in
 * (.debug_aranges): Go's compiler and clang write none, and libdw finds nothing without it (before
 * 0.191). The units are asked for their addresses then, once for a file. */
#ifndef PG_UNITS_H
#define PG_UNITS_H

#include "outside/file.h"

/* The file, as long as DWFL lives, and the line behind the code at ADDR of the process whose
 * session DWFL is, a place in F; a null pointer: not known. */
const char *pg_units_line(struct pg_file *f, void *dwfl, uintptr_t addr, int *line);

#endif
