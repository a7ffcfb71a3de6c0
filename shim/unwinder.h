/* SPDX-License-Identifier: MIT */
/*
 * Walks the stack by the .eh_frame tables, as libgcc's unwinder does, but what
 * the tables say of a place (its row: where the caller's registers lie) is
 * kept: an event is a dozen additions and loads a frame, where libgcc
 * interprets the tables each time. Only what compilers and libc's signal
 * trampoline write is understood, on x86-64; for the rest libgcc is asked.
 * DWARF 5, 6.4; the LSB's .eh_frame; both as libgcc's unwind-dw2.c reads them.
 */
#ifndef PG_UNWINDER_H
#define PG_UNWINDER_H

#include "elf.h"

/* One frame, from the caller's on. EXACT: a signal came before the instruction at IP; else IP is
 * the way back from a call. M: its module, or a null pointer. False: it is enough. */
typedef bool pg_frame_fn(uintptr_t ip, bool exact, const struct pg_module *m, void *arg);

/* False: not understood, whatever VISIT has seen. Async-signal-safe; errno untouched. */
bool pg_unwind(pg_frame_fn *visit, void *arg);

#endif
