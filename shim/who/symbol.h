/* SPDX-License-Identifier: MIT */
/* The functions of modules: the main program's from its file's own table, others' from what is
 * loaded. */
#ifndef PG_SYMBOL_H
#define PG_SYMBOL_H

#include "base/text.h"
#include "who/module.h"

enum { PG_SYMBOL_MAX = 256 }; /* names of C++ and Rust are long, and mean nothing when cut */

/* Start-up only: maps the main program's symbol table (it is not loaded by itself). True if its
 * file is the one that AT_EXECFN names. */
bool pg_symbol_start(void);

/* The function of M that holds ADDR into NAME of SIZE bytes, perhaps cut, and how far into it;
 * false if its name is unknown. Async-signal-safe. */
bool pg_symbol_at(const struct pg_module *m, uintptr_t addr, char *name, size_t size,
		  uintptr_t *offset);

/* NAME, of SIZE bytes, which pg_symbol_at told of ADDR in M, as people write it: without blanks,
 * and perhaps without its arguments. The library itself leaves it alone, and whoever reads the log
 * demangles it. */
void pg_symbol_show(const struct pg_module *m, uintptr_t addr, char *name, size_t size);

/* "file.c:12", for code at ADDR; false: not known here. */
bool pg_source_at(uintptr_t addr, struct pg_text *t);

#endif
