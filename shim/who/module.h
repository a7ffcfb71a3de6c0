/* SPDX-License-Identifier: MIT */
/*
 * The loaded modules: which one holds an address, and what its headers say.
 *
 * Modules come and go while other threads run (dlopen, dlclose), and the
 * loader's lock must not be taken in a signal handler. So the modules that the
 * program started with, which never go, are learnt once; for others the
 * loader's own lock-free answer is asked (_dl_find_object, glibc 2.35), or
 * where there is none its list is read, link by link, with pg_peek().
 */
#ifndef PG_MODULE_H
#define PG_MODULE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

enum { PG_MODULE_NAME = 72, PG_SEGMENTS = 6 };

struct pg_span {
	uintptr_t lo, hi;
};

struct pg_module {
	char name[PG_MODULE_NAME]; /* of the file without its folder, perhaps cut; never empty */
	uintptr_t base;		   /* what to subtract for an address that addr2line knows */
	uintptr_t lo, hi;	   /* its mapped range, which may have holes */
	const ElfW(Dyn) * dynamic;
	uintptr_t eh_frame_hdr;		  /* 0: it has no unwind tables */
	struct pg_span part[PG_SEGMENTS]; /* what of it is mapped from its file and readable */
	struct pg_span text; /* from its first instruction to its last; unwinder.c's alone */
	struct pg_span relro;
	const ElfW(Phdr) * code, *table; /* of its instructions, of its unwind tables */
	uintptr_t build_id;		 /* 8 bytes of it; 0: none */
	uint64_t stamp;			 /* of its build; another build has another */
	bool is_main;
	bool is_libc; /* or the part of an old glibc that held its threads, or the vDSO */
	bool stays;   /* it is never unloaded */
};

/* True if a loader was started as a program, to load another one. What the kernel holds for the
 * program is the loader then, and it chose none itself (getauxval(3), AT_BASE). */
bool pg_module_by_hand(void);

/* Start-up only: finds the loader's list. PROGRAM: the program's path, or a null pointer; then it
 * is asked for. */
void pg_module_start(const char *program);

/* Start-up only: the module that holds ADDR, as by pg_module_at(), but no other is learnt for it.
 */
const struct pg_module *pg_module_alone(uintptr_t addr, struct pg_module *room);

/* Learns what can be learnt, before the program confines itself. */
void pg_module_prepare(void);

/*
 * The module that holds ADDR. A null pointer: none, or code made at run time. If
 * !stays, only pg_peek() may read it: it may go at any moment, for ADDR may be what
 * somebody left on the stack. The answer may lie in *ROOM. Async-signal-safe.
 */
const struct pg_module *pg_module_at(uintptr_t addr, struct pg_module *room);

/* A place in code that is kept for later, when its module may have gone and another be there. */
struct pg_code {
	uintptr_t at; /* inside the calling instruction; 0: none */
	uint64_t stamp;
};

/* AT as above: code that is running. */
struct pg_code pg_code_at(uintptr_t at);

/* CODE's module, if it is still there. */
const struct pg_module *pg_code_module(const struct pg_code *code, struct pg_module *room);

/* True if the N bytes at P are in what M has mapped from its file. Of a module that stays they can
 * be read then. */
bool pg_module_has(const struct pg_module *m, uintptr_t p, size_t n);

/* The part of M that holds P; 0, 0: none does. */
struct pg_span pg_module_part(const struct pg_module *m, uintptr_t p);

/* The path of M's file, which is mapped at ADDR; "" where it cannot be known. One
 * that is too long for SIZE is cut. */
void pg_module_path(const struct pg_module *m, uintptr_t addr, char *path, size_t size);

/* M's build-id in hexadecimal digits; "": it has none. */
void pg_module_id(const struct pg_module *m, char *id, size_t size);

/* The program's own file name, as the kernel ran it (a script's own name for a script). */
const char *pg_program_name(void);

/* True if ADDR is in this library. */
bool pg_module_is_own(uintptr_t addr);

/* True if this is the first copy of pipeguard in the process. Start-up only. */
bool pg_module_is_first_copy(void);

#endif
