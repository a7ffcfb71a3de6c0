/* SPDX-License-Identifier: MIT */
/* A small file of this user's own that several processes map shared. Start-up only;
 * async-signal-safe all the same. */
#ifndef PG_MAPPED_H
#define PG_MAPPED_H

#include "base/sys.h"

enum { PG_MAGIC = 32 };

struct pg_mapped {
	size_t size,
		magic_at; /* where in the file it says what it is: the PG_MAGIC bytes at MAGIC */
	const char *magic;
};

/* Opens the file PATH, which must be this user's own and of KIND; MAKE: it is made if there is
 * none. Returns a null pointer, or why not. */
const char *pg_mapped_open(const struct pg_mapped *kind, const char *path, bool make, int *fd);

/* SIZE bytes of FD at OFFSET, shared; a null pointer: they cannot be mapped. */
void *pg_mapped_at(int fd, size_t size, size_t offset, int prot);

/* The same of no file: zeros, that forks share. */
void *pg_mapped_new(size_t size);

/* True if AT is one of the SIZE bytes at LO. */
static inline bool pg_mapped_has(const void *lo, size_t size, uintptr_t at)
{
	return at >= (uintptr_t)lo && at - (uintptr_t)lo < size;
}

/* Zeroed memory of this process alone takes the place of the SIZE bytes at P, whose file was cut
 * off. False: it cannot. */
bool pg_mapped_empty(void *p, size_t size);

#endif
