/* SPDX-License-Identifier: MIT */
#ifndef PG_CALLS_H
#define PG_CALLS_H

#include <signal.h>
#include <stdint.h>

/* Start-up only, after pg_next_start(): lets syscall(2) through to libc's own, but for the calls
 * that write. */
void pg_calls_start(void);

/*
 * syscall(2) made and ended numbers as libc's functions do; BEFORE the call,
 * and after it, when it returned RET. ARG: the kernel's arguments. errno is
 * kept.
 */
void pg_raw_before(long nr, const long arg[6]);
void pg_raw_after(long nr, const long arg[6], long ret, uintptr_t caller);

/* sigaltstack(2) for STACK returned RET. */
void pg_alternate_set(int ret, const stack_t *stack);

/* FD came of accept on LISTENER. */
void pg_accepted(int listener, int fd);

#endif
