/* SPDX-License-Identifier: MIT */
/*
 * Memory that is not ours: the program's vectors, messages and stack, the
 * loader's lists, code of unknown origin. None of it is known to be there, and
 * what is there may go at any moment: another thread unmaps it. All here:
 * async-signal-safe, errno untouched.
 */
#ifndef PG_PEEK_H
#define PG_PEEK_H

#include "base/sys.h"

#include <sys/uio.h>

/*
 * Copies N bytes. False: the kernel would answer EFAULT, or it cannot be asked
 * (the program confined itself). process_vm_readv(2) copies without a race; a
 * sandbox may kill for it, so where a filter stands the pages are asked about
 * one by one, and read.
 */
bool pg_peek(void *to, const void *from, size_t n);

/* True if the N bytes at P are in the page of this very stack, below which it is: they are there.
 */
bool pg_is_here(const void *p, size_t n);

/* True if what the kernel has just read at P, N bytes, is surely still there: in the page of this
 * very stack, or because nobody else is there who could have taken it away. No system call. */
bool pg_is_kept(const void *p, size_t n);

/* The same as pg_peek() of what the kernel has just read: plainly where it is kept. */
bool pg_take_kept(void *to, const void *from, size_t n);

/* True if a filter of system calls stands: it may kill for those that hardly anybody makes. */
bool pg_is_filtered(void);

/* The other way: copies N bytes to where they may not be written to. False likewise. */
bool pg_poke(void *to, const void *from, size_t n);

/* A string, cut at SIZE - 1 bytes; always terminated. False: its first byte is not readable. */
bool pg_peek_string(char *to, const char *from, size_t size);

/* All of N pieces, at most 16, one behind the other; lengths of zero are not allowed. */
bool pg_peek_pieces(void *to, const struct iovec *pieces, unsigned n);

/* True if the byte at P is readable now. One system call. */
bool pg_readable(const void *p);

/* True if the word at P is; nothing beside it is asked about, which may never have been written. */
bool pg_word_readable(const uintptr_t *p);

/* The same of N bytes; of more than 1 MiB, of the first of them and of the last one. */
bool pg_readable_all(const void *p, size_t n);

/* True if the word at P can be read, and is VALUE; false, too, where that cannot be asked quickly.
 */
bool pg_holds(const uint32_t *p, uint32_t value);

/* Bytes that a vector, or a message, asks for; -1: it cannot be read. */
int64_t pg_iov_bytes(const void *iov, uint64_t count);
int64_t pg_msg_bytes(const void *msg);

#endif
