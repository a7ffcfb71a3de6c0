/* SPDX-License-Identifier: MIT */
/*
 * The loaded modules and their symbols, read from the loader's own list
 * (struct r_debug, <link.h>) without a lock and without malloc, so that a
 * signal handler may ask. A module that is being loaded or unloaded at that
 * very moment may be missed.
 */
#ifndef PG_ELF_H
#define PG_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct pg_module {
	const char *name; /* the file's name without its folder; never empty */
	uintptr_t base;	  /* what to subtract for an address that addr2line knows */
	uintptr_t lo, hi; /* its mapped range */
	const ElfW(Dyn) * dynamic;
	const void *eh_frame_hdr; /* or a null pointer */
	uintptr_t relro_lo, relro_hi;
	uint64_t stamp; /* of its code's place and length: another build has another */
	bool is_main;
};

/* Start-up only: finds the loader's list and maps the main program's symbol table (it is not loaded
 * by itself). */
void pg_elf_start(void);

/* The module that holds ADDR. Async-signal-safe. */
bool pg_elf_module(uintptr_t addr, struct pg_module *out);

/* The function of module M that holds ADDR, and how far into it; a null pointer if its name is
 * unknown. Async-signal-safe. */
const char *pg_elf_symbol(const struct pg_module *m, uintptr_t addr, uintptr_t *offset);

/* libc, the part of an old glibc that held its threads, or the vDSO? */
bool pg_elf_is_libc(const struct pg_module *m);

/* The program's own file name, as the kernel ran it (a script's own name for a script). */
const char *pg_elf_program(void);

/* Is ADDR in this library? */
bool pg_elf_is_own(uintptr_t addr);

/* Is this the first copy of pipeguard in the process, and does it take the program's calls?
 * Start-up only. */
bool pg_elf_is_first_copy(void);

/* clock_gettime of the vDSO, which no interposer sees and no strace shows; 0 if there is none. */
uint64_t pg_elf_vdso_clock(void);

#endif
