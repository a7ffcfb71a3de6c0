/* SPDX-License-Identifier: MIT */
/* Which process this is: a fork's child has a copy of our memory, a vfork's child the very same. */
#ifndef PG_PROCESS_H
#define PG_PROCESS_H

#include "base/sys.h"

/* Start-up only: is told of forks. */
void pg_process_start(void);

/* Start-up only: WHAT is called before each fork that libc makes. */
void pg_process_before_forks(void (*what)(void));

/* The same in the child after each. */
void pg_process_after_forks(void (*what)(void));

/* How often this process, or those it was forked from, forked. */
extern uint32_t pg_forks PG_HIDDEN;

/* Those of them that others made, the one of its own beginning the last. */
extern uint32_t pg_forks_before PG_HIDDEN;

/*
 * This process, for what is counted in each process anew: its pid, but a child
 * by vfork, which shares the memory, counts as its parent. Asked of the kernel
 * once, at the first event, count or vfork, where it can wipe a page at a fork (Linux 4.14): that
 * takes longer than all else of a start. Async-signal-safe.
 */
extern pg_shared64 pg_process_noted[] PG_HIDDEN; /* 0: not asked for yet. Wiped at a fork */
uint64_t pg_process_asked(void);
static inline uint64_t pg_process(void)
{
	uint64_t noted = PG_GET(*pg_process_noted);

	return PG_LIKELY(noted) ? noted : pg_process_asked();
}

/*
 * From now on a fork child finds SIZE bytes of whole PAGES zeroed; false: the kernel cannot do that
 * (Linux 4.14 can). It is asked once, and KNOWN, 0 at first, keeps its answer. Async-signal-safe.
 */
bool pg_process_wipes(void *pages, size_t size, int *known);

/* True if there is but one thread, for sure. Then nobody changes memory while a call waits. */
bool pg_process_is_single(void);

/* This thread is about to vfork, or to make another process that shares its memory. */
void pg_process_before_vfork(void);

/* True if this may be the child of a vfork. Then the kernel is asked whether it is; nobody else
 * pays a system call. Async-signal-safe. */
extern __thread bool pg_vforked __attribute__((tls_model("initial-exec"))) PG_HIDDEN;
bool pg_process_ask(void);
static inline bool pg_process_is_vforked(void)
{
	return PG_UNLIKELY(pg_vforked) && pg_process_ask();
}

#endif
