/* SPDX-License-Identifier: MIT */
/* The system calls of 32-bit programs, where this process is one of 64 bits: other numbers,
 * structures of words of 32 bits, and one call for all of sockets. */
#ifndef PG_NARROW_H
#define PG_NARROW_H

#include <linux/audit.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* As seccomp names such calls; 0: there are none here. */
#ifdef __x86_64__
enum { PG_NARROW_AUDIT = AUDIT_ARCH_I386 };
#else
enum { PG_NARROW_AUDIT = 0 };
#endif

/* socketcall(2), whose first argument says which call it stands for; the others lie in memory. */
enum { PG_NARROW_SOCKETCALL = 102, PG_NARROW_SOCKETCALLS = 21 };
enum { PG_NARROW_PTRACE = 26, PG_NARROW_SECCOMP = 354, PG_NARROW_SENDFILE = 187 /* whose offset is a word */ };
enum { PG_NARROW_CLOSE = 6, PG_NARROW_DUP3 = 330, PG_NARROW_PIPE2 = 331 };

/* A call that can break a pipe, or that rules name: its number there, and here. */
struct pg_narrow_pair {
	short narrow, wide;
};
extern const struct pg_narrow_pair pg_narrow_pairs[];
extern const unsigned pg_narrow_count;

/* The number here; -1: it is no such call. */
long pg_narrow_number(uint32_t narrow);
long pg_narrow_socketcall(unsigned which);

/* The number and the words of C's call, as the kernel has them of a 32-bit program, become those
 * here; -1: it is no such call. */
struct pg_ruled;
void pg_narrow_call(struct pg_ruled *c);

/* Of thread TID's socketcall: the number of the call that it stands for, and its arguments in the
 * place of its own; -1: it is no such call, or they cannot be read. */
long pg_narrow_unpack(int tid, long arg[6]);

/* A header of messages, and COUNT entries of a vector, which are read into V itself, from process
 * PID. */
bool pg_narrow_message(int pid, uintptr_t at, struct msghdr *m);
bool pg_narrow_vector(int pid, uintptr_t at, struct iovec *v, uint64_t count);

/* Where the words are that the kernel writes to. */
enum { PG_NARROW_NAMELEN = 4, PG_NARROW_FLAGS = 24, PG_NARROW_MSG_LEN = 28 };

#endif
