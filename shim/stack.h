/* SPDX-License-Identifier: MIT */
/*
 * Who called. The .eh_frame tables that C++ exceptions need are read, so
 * binaries without frame pointers are walked, and signal frames: by
 * unwinder.h, which keeps what they say, or where it does not understand by
 * libgcc's own unwinder, linked statically. Chosen by measurement against
 * glibc's backtrace(), which loads libgcc_s at its first use (0.6 ms, malloc
 * and the loader's lock inside a signal handler), and frame pointers (17 ns,
 * but absent from distribution builds). Modules are found by elf.h, without
 * the lock that dl_iterate_phdr takes.
 */
#ifndef PG_STACK_H
#define PG_STACK_H

#include "text.h"

#include <stdbool.h>

enum { PG_FRAMES_MAX = 32 };

/* Start-up only: without an unwind table of our own (a stripped .eh_frame_hdr) there are no stacks.
 */
void pg_stack_start(void);

/*
 * The calling stack, the first frame outside libc, this library and what
 * stands between them first.
 * Each address lies inside the calling instruction, so addr2line names its
 * line. Returns how many; at most MAX. Async-signal-safe; about 1.5 KiB of stack.
 */
unsigned pg_stack_walk(uintptr_t *frames, unsigned max);

/*
 * From a signal handler: the exported function of this library that made the
 * call which the signal interrupted, by its name; or a null pointer, with
 * *STDIO set if it was the stdio gate. A null pointer also where no wrapper is
 * between the program and that call. Async-signal-safe; stack as above.
 */
const char *pg_stack_wrapper(bool *stdio);

/* Code between these is the stdio gate's (its section). */
#define PG_STDIO_CODE __attribute__((section("pg_stdio"), noinline))

/* "module+0xoff", and " symbol" behind it where known. */
void pg_stack_put_frame(struct pg_text *t, uintptr_t addr);

/* "symbol+0x41 (module+0x1c01)", or "module+0x1c01". */
void pg_stack_put_place(struct pg_text *t, uintptr_t addr);

#endif
