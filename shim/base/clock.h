/* SPDX-License-Identifier: MIT */
/* Clocks by the vDSO, which no interposer sees and no strace shows. Async-signal-safe. */
#ifndef PG_CLOCK_H
#define PG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Start-up only. */
void pg_clock_start(void);

/* The program is about to confine itself. STRICTLY: the counter that the vDSO reads will trap
 * (prctl(2), PR_SET_SECCOMP); else it may be asked if it needs no system call. */
void pg_clock_confine(bool strictly);

/* The program asked that reading the counter be a fault, or no more so (prctl(2), PR_SET_TSC). */
void pg_clock_traps(bool so);

uint64_t pg_now(void);				/* CLOCK_MONOTONIC, ns; 0: it cannot be asked */
uint64_t pg_since_boot(void);			/* CLOCK_BOOTTIME, likewise */
void pg_realtime(int64_t *sec, uint32_t *nsec); /* CLOCK_REALTIME; 0, 0: it cannot be asked */

#endif
