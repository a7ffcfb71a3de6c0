/* SPDX-License-Identifier: MIT */
/*
 * Climbs the stack by the .eh_frame tables (DWARF 5, 6.4; the LSB's .eh_frame
 * and .eh_frame_hdr), so binaries without frame pointers are walked. What the
 * tables say of a place (its row: where the caller's registers lie) is kept: a
 * frame is a dozen additions and loads. Only what compilers and libc write is
 * understood, and the frames that the kernel makes for signals; where there is no
 * table, as for what V8 and the JVM compile, frame pointers may be asked for.
 *
 * A stack may be hand-made, and end in garbage: an address is code only where
 * a module holds it, not as data, and a word is read only where it is known to be there:
 * from the thread's own stack upwards page by page, elsewhere by pg_peek().
 * All: async-signal-safe, errno untouched.
 */
#ifndef PG_UNWINDER_H
#define PG_UNWINDER_H

#include "arch/arch.h"
#include "who/module.h"

/* One frame. */
struct pg_cursor {
	uintptr_t reg[PG_UNWIND_REGISTERS]; /* that a caller gets back, the stack pointer */
	uintptr_t pc;
	bool exact; /* a signal came before the instruction at PC; else PC is the way back from a
		       call */
	const struct pg_module *module; /* that holds PC; a null pointer: none. Perhaps in ROOM */
	struct pg_span stack;		/* known to be readable */
	bool sure;	 /* what its frame saved is there, and need not be asked about */
	bool strayed;	 /* a frame pointer led here: STACK is no more than it is, the rest may be
			    anybody's */
	unsigned proved; /* pg_stack_walk()'s: frames that the tables alone led to */
	struct pg_module room;
};

/* The caller, which must not return before the cursor is done with. PC 0: there is no table of our
 * own. */
void pg_cursor_here(struct pg_cursor *c) __attribute__((noinline));

/* What a signal interrupted, by the ucontext_t that its handler was given. */
void pg_cursor_at(struct pg_cursor *c, const void *uc);

/* To the caller. False: there is none, or the tables are not understood. */
bool pg_cursor_up(struct pg_cursor *c);

/* To the caller of code that no table covers, as an engine makes it at run time, where that keeps a
 * frame pointer: what lies there is only taken where it looks like a frame. Functions that keep
 * none may be passed over. False: it looks like none, or tables are there. */
bool pg_cursor_up_by_pointer(struct pg_cursor *c);

/* A place that addr2line names the line of: inside the calling instruction. */
static inline uintptr_t pg_cursor_place(const struct pg_cursor *c)
{
	return c->pc - !c->exact;
}

/* The stack pointer, after pg_cursor_up() that of the caller as it will be when the call returns.
 */
uintptr_t pg_cursor_sp(const struct pg_cursor *c);

#endif
