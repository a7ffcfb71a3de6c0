/* SPDX-License-Identifier: MIT */
/*
 * Where lines go. One line is one write; it is never finished in a second
 * one, never retried, and never sent to a file that is not the log: the
 * descriptor is compared with the file that was opened (device and inode)
 * before each line. A line that cannot be written is counted.
 */
#ifndef PG_LOG_H
#define PG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PG_LINE_MAX = 4096
}; /* bytes, newline included: what a pipe takes in one piece (PIPE_BUF) */

/* Start-up only: opens the log. A log that cannot be opened is told once on stderr; the program
 * runs on. */
void pg_log_start(void);

/* Async-signal-safe, no lock; errno untouched. All signals are blocked (room.h); MASK are those
 * that the program had blocked itself. BROKEN: the object that just broke, which must not be
 * written to (0, 0: none). */
void pg_log_write(const char *line, size_t len, uint64_t mask, uint64_t broken_dev,
		  uint64_t broken_ino);

/* Lines lost since the last one that was written; the caller puts it into the next line. */
uint64_t pg_log_dropped(void);

/* A line that never got as far as being written. */
void pg_log_drop(void);

#endif
