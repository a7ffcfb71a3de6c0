/* SPDX-License-Identifier: MIT */
/* Names of errors, signals and of the C library's files. */
#ifndef PG_NAMES_H
#define PG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* "EPIPE" for EPIPE; a null pointer for a number without a name here. */
const char *pg_errno_name(int err);

/* "error=EPIPE" for EPIPE: the action of a rule; a null pointer likewise. */
const char *pg_errno_action(int err);

/* Error number N of the list, from 0; 0 after the last. */
int pg_errno_listed(unsigned n);

/* The one of them whose name are the N bytes at S; 0: none. */
int pg_errno_named(const char *s, size_t n);

/* "SIGTERM" for SIGTERM; a null pointer likewise. */
const char *pg_signal_name(int sig);

/* True if a file of this name is part of glibc or musl, or the kernel's vDSO. The loader,
 * libpthread of an old glibc and the versioned names before glibc 2.34 are. */
bool pg_is_libc(const char *file);

#endif
