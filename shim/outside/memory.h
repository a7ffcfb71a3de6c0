/* SPDX-License-Identifier: MIT */
/* The memory of a process that is looked at: what files are behind it, and the functions in them.
 * It stands in for module.c and symbol.c, which know this very process. */
#ifndef PG_MEMORY_H
#define PG_MEMORY_H

#include "outside/tracee.h"

/* Learns the areas, if they are not known. */
void pg_memory_map(struct pg_tracee *t);

/* True if there is code at ADDRESS. */
bool pg_memory_runs(const struct pg_tracee *t, uintptr_t address);

/* True if its loader has done its work, when code at PC makes a call. What a loader reads is not
 * the program's. From then on it is known whether the library is in it. */
bool pg_memory_is_up(struct pg_tracee *t, uintptr_t pc);

/* What the files take that T's code is from, in bytes. */
uint64_t pg_memory_of_files(const struct pg_tracee *t);

/* True if its program is one of Go. */
bool pg_memory_is_go(const struct pg_tracee *t);

/* True if its program is one of 32 bits, where this one is of 64. */
bool pg_memory_is_narrow(const struct pg_tracee *t);

/* True if T may write to each of the N bytes at ADDRESS. What may be taken away later is not asked
 * about again. */
bool pg_memory_takes(const struct pg_tracee *t, uintptr_t address, size_t n);

/* The file behind T's memory at ADDRESS; a null pointer: none. */
struct pg_file *pg_memory_file(const struct pg_tracee *t, uintptr_t address);

struct pg_module;
/* The whole symbol that pg_symbol_at tells of ADDR in M, or a null pointer. */
const char *pg_memory_symbol(const struct pg_module *m, uintptr_t addr);

#endif
