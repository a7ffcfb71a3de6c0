/* SPDX-License-Identifier: MIT */
/*
 * Rules for write(2) that never fire because the program writes through stdio,
 * which they do not name: the exit line says so.
 */
#ifndef PG_PASSED_H
#define PG_PASSED_H

#include <stdbool.h>
#include <stdint.h>

/* Start-up, behind pg_apply_start(). */
void pg_passed_start(void);

/* True if some rule at all says write, and not stdio. */
bool pg_passed_any(void);

/* Stdio writes to FD: notes which of these rules would be for that. Where the log goes there, too,
 * nothing is said: it would be mixed with what the program prints. errno is kept. */
void pg_passed_stdio(int fd);

/* Those that were passed by and never fired, as bits of their numbers; of a child whose parent has
 * the same rules only those that name its program. It may ask the kernel. */
uint64_t pg_passed_rules(void);

#endif
