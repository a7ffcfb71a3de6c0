/* SPDX-License-Identifier: MIT */
/*
 * Where lines go. One line is one write; it is never finished in a second
 * one, never retried, and never sent to a file that is not the log: the
 * descriptor is compared with the file that was opened (device and inode)
 * before each line. A line that cannot be written is counted.
 */
#ifndef PG_LOG_H
#define PG_LOG_H

#include "base/sys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PG_LINE_MAX = 4096
}; /* bytes, newline included: what a pipe takes in one piece (PIPE_BUF) */

/* Start-up only: opens the log. That a log cannot be opened is said once on stderr; the program
 * runs on. */
void pg_log_start(void);

/*
 * Async-signal-safe, no lock; errno untouched. All signals are blocked (room.h);
 * MASK are those that the program had blocked itself. HEAD is what a socket is sent before it. A
 * log that is broken itself is not written to. False: it was not.
 */
struct pg_text;
bool pg_log_write(const struct pg_text *head, const char *line, size_t len, uint64_t mask);

/* True if one more line may be written at NOW (pg_now()). A peer can make a server break as often
 * as it likes: PG_LOG_BURST lines are written at once, then PG_LOG_RATE a second, and PG_LOG_BYTES
 * in all, by each process. What is left out is counted. */
enum { PG_LOG_BURST = 100000, PG_LOG_RATE = 10, PG_LOG_BYTES = 1 << 30 };
bool pg_log_allows(uint64_t now);

/* From now on %p in the log's path is PID: of the process whose events are written next. */
void pg_log_of(int pid);

/* True if FD is the program's own descriptor that lines go to. */
bool pg_log_goes_to(int fd);

/* True if a line would go to where the log was at start: the program has put nothing else there. */
bool pg_log_is_there(void);

/* True if the log is that object, by device and inode. */
bool pg_log_is(uint64_t dev, uint64_t ino);

/* The file that the last line went to, by its inode; another one where that was renamed since. */
uint64_t pg_log_file(void);

/* How wide the terminal is that lines go to; 0: they go elsewhere, or that cannot be asked. */
unsigned pg_log_columns(void);

/* Lines lost, and left out, since the last one that was written; the caller puts both into the next
 * line. */
struct pg_log_missing {
	pg_shared64 dropped, limited;
};
struct pg_log_missing pg_log_missing(void);

/* A line that never got as far as being written. */
void pg_log_drop(void);

#endif
