/* SPDX-License-Identifier: MIT */
/* What the loader has mapped, and what those files define (link.h, elf.h: the ELF gABI). */
#ifndef PG_LOADER_H
#define PG_LOADER_H

#include "arch/arch.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* <link.h>'s r_debug_extended, glibc 2.35: the lists of dlmopen'ed namespaces. */
struct pg_debug_list {
	struct r_debug base;
	struct pg_debug_list *next;
};

/* The loader's list, which a debugger is told of (DT_DEBUG of the program); a null pointer: it is
 * not found. */
const struct pg_debug_list *pg_loader_list(void);

/* Learns which objects are searched, and in what order: those of LIST. */
void pg_loader_scope(const struct pg_debug_list *list);

/* They may go from now on: nothing is searched any more. */
void pg_loader_forget(void);

/* But those up to the one behind this library that defines NAME stay. False: there is none. */
bool pg_loader_keep(const char *name);

/*
 * Where those objects define NAME, in the version that is linked against by default: those behind
 * this library, as dlsym(RTLD_NEXT) has it, or all of them, as RTLD_DEFAULT. A null pointer: nobody
 * defines it, or its address is not known here: before code of the object has run (STT_GNU_IFUNC),
 * or of thread-local data. DEFINED: somebody does.
 */
void *pg_loader_next(const char *name, bool *defined);
void *pg_loader_default(const char *name);

/* The same of what the kernel maps into each process (vdso(7)). At any time; async-signal-safe. */
void *pg_loader_vdso(const char *name);

#endif
