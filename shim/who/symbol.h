/* SPDX-License-Identifier: MIT */
/* The functions of modules: the main program's from its file's own table, others' from what is
 * loaded. */
#ifndef PG_SYMBOL_H
#define PG_SYMBOL_H

#include "who/module.h"

enum { PG_SYMBOL_MAX = 256 }; /* names of C++ and Rust are long, and mean nothing when cut */

/* Start-up only: maps the main program's symbol table (it is not loaded by itself). True if its
 * file is the one that AT_EXECFN names. */
bool pg_symbol_start(void);

/* The function of M that holds ADDR into NAME of SIZE bytes, perhaps cut, and how far into it;
 * false if its name is unknown. Async-signal-safe. */
bool pg_symbol_at(const struct pg_module *m, uintptr_t addr, char *name, size_t size,
		  uintptr_t *offset);

#endif
