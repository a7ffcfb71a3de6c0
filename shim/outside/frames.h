/* SPDX-License-Identifier: MIT */
/*
 * The stack of a stopped thread of another process. It stands in for
 * unwinder.c, which climbs this very process's: by the unwind tables, with
 * elfutils' libdw where that is installed; else, and in Go, by frame pointers.
 */
#ifndef PG_FRAMES_H
#define PG_FRAMES_H

#include "outside/registers.h"
#include "outside/tracee.h"

/* Climbs from R, the registers of thread TID of T, which is stopped. pg_cursor_here() is its first
 * frame afterwards. A null pointer for R: no stack is known. */
void pg_frames_climb(struct pg_tracee *t, int tid, const struct pg_registers *r);

/* What was climbed last, to be had again by pg_frames_restore(), which frees it. A null pointer:
 * there is no memory; restored, it is no stack. */
struct pg_frames;
struct pg_frames *pg_frames_keep(void);
void pg_frames_restore(struct pg_frames *kept);

/* What libdw knows of T, which may be nothing: a null pointer. */
void *pg_frames_tables(struct pg_tracee *t);

#endif
