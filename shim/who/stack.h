/* SPDX-License-Identifier: MIT */
/*
 * Who called: the frames that unwinder.h finds, without those of libc, of this
 * library and of what stands between the two, and how they read. Chosen by
 * measurement against glibc's backtrace(), which loads libgcc_s at its first
 * use (0.6 ms, malloc and the loader's lock inside a signal handler), and
 * frame pointers (17 ns, but absent from distribution builds).
 */
#ifndef PG_STACK_H
#define PG_STACK_H

#include "base/call.h"
#include "base/text.h"
#include "who/symbol.h"
#include "who/unwinder.h"

#include <stdbool.h>

enum { PG_FRAMES_MAX = 32 };

/*
 * The calling stack, the first frame outside libc, this library and what
 * stands between them first. UC: the ucontext_t of the signal whose handler is
 * at work, or a null pointer. Each address lies inside the calling instruction,
 * so addr2line names its line. C: room to climb in; c->proved of them are the same in every run,
 * those beyond code made at run time depend on what of it is compiled by then. Returns how many; at
 * most MAX.
 * Async-signal-safe; about 1 KiB of stack.
 */
unsigned pg_stack_walk(struct pg_cursor *c, uintptr_t *frames, unsigned max, const void *uc);

/* True if CALLER, of a wrapper here, is for sure the first frame: in the program's own code. ROOM:
 * for its module. */
bool pg_stack_begins_at(struct pg_module *room, uintptr_t caller);

/* Its first frame, inside the calling instruction; 0: there is none. */
uintptr_t pg_stack_caller(void);

/* Room for naming a place, too much for a small stack. */
struct pg_naming {
	struct pg_module module;
	char name[PG_SYMBOL_MAX];
	char text[352]; /* two names and an offset; longer where a name is escaped, and then cut */
};

/* The function of this library that made the call which a signal interrupted. */
struct pg_wrapper {
	char name[PG_CALL_NAME_MAX]; /* as it is exported; "": the stdio gate's */
	uintptr_t cfa;		     /* what its own __builtin_dwarf_cfa() is */
};

/* From UC, that of the signal: whether it is a wrapper, code behind one (which leaves a mark), or
 * nothing of ours is between the program and that call. Async-signal-safe; stack as above. */
enum pg_between { PG_NOTHING_OURS, PG_OUR_CODE, PG_OUR_WRAPPER };
enum pg_between pg_stack_wrapper(const void *uc, struct pg_wrapper *out);

/* True if libc's function NAME is among the callers. Async-signal-safe; stack as above. */
bool pg_stack_passes(const char *name);

/* Code between these is the stdio gate's (its section). */
#define PG_STDIO_CODE __attribute__((section("pg_stdio"), noinline))

/* How many of the N FRAMES there are without those that start a program or a thread, libc's and the
 * way into main; one at least. WHOLE: the stack has no more frames than these. */
unsigned pg_stack_above_start(struct pg_naming *to, const uintptr_t *frames, unsigned n,
			      bool whole);

/* "module+0xoff", and " symbol" behind it where known. ADDR: code that runs. */
void pg_stack_put_frame(struct pg_text *t, struct pg_naming *to, uintptr_t addr);

/* "symbol+0x41 (module+0x1c01)", or "module+0x1c01". */
void pg_stack_put_place(struct pg_text *t, struct pg_naming *to, uintptr_t addr);

/* The same two of a place that was kept: "?" where its module has gone. */
void pg_stack_put_code_frame(struct pg_text *t, struct pg_naming *to, const struct pg_code *code);
void pg_stack_put_code(struct pg_text *t, struct pg_naming *to, const struct pg_code *code);

/* The hash of a stack's module+offset frames, PG_SITE_FRAMES at most: the same in every run. */
enum { PG_SITE_FRAMES = 8 };
uint64_t pg_stack_site(struct pg_module *room, const uintptr_t *frames, unsigned n);

#endif
