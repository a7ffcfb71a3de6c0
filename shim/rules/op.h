/* SPDX-License-Identifier: MIT */
/*
 * One call of the program's, from the wrapper to the log: what was asked, what
 * rules see of it and decide, what the kernel answered. The same whoever makes
 * it. Each part is filled in where it becomes known; a wrapper stores no more
 * than a healthy call can be judged by.
 */
#ifndef PG_OP_H
#define PG_OP_H

#include "base/call.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h> /* for __GLIBC__ */

enum pg_via { PG_VIA_CALL, PG_VIA_STDIO, PG_VIA_SIGNAL };

struct pg_op {
	/* What was asked. LEN: bytes, or what else a whole success returns; -2: not known before
	 * the kernel has read the vector. */
	enum pg_call call; /* PG_NO_CALL: unknown */
	int fd;		   /* -1: unknown */
	int64_t len;
	int flags; /* MSG_* of the socket calls, RWF_* of pwritev2, SPLICE_F_* of vmsplice */
	enum pg_shape shape;
	const void *data; /* the program's, of SHAPE: read with pg_peek */
	uint32_t count;	  /* of PG_IOV: the kernel takes no more of it */
	const void *to;	  /* the address it goes to, or a null pointer: the program's, too */
	uint32_t to_len;  /* of TO, in bytes */
	int source;	  /* of splice and the like: where the bytes come from */
	enum pg_via via;  /* the gate that saw it */
	uint64_t bits;	  /* of the calls that rules know it by */
	uintptr_t caller; /* inside the calling instruction; 0: look at the stack */
	long arg[6];	  /* the words that it was made with, where the gate has them */
	bool raw;	  /* made by syscall(2) */
	bool placed;	  /* it names a place in a file, which pipes and sockets have not */

	/* As rules see it. BYTES: asked for, all entries of a vector together; -1: not known. */
	int64_t bytes;
	const struct pg_object *object;
	struct pg_story *story; /* of the object, where a rule looked at it; or a null pointer */
	uint64_t offset;	/* bytes of the stream before this call, for at= */
	int copy;		/* another process's: a copy of FD here; 0: there is none */
	uint64_t thread;	/* its thread, by a name of our own; 0: this one */
	const char *thread_name;

	/* What they decided. */
	bool skip;	  /* RET: the call is not made */
	bool clamped;	  /* LEN is less than was asked for */
	bool midway;	  /* a pipe's reader is to leave once LEN bytes are written */
	uint32_t rule;	  /* that wants it, its serial */
	uint64_t garbage; /* bytes to be replaced in what is read; ~0: all */

	/* What the kernel answered, or a rule. */
	int64_t ret;
	int err;      /* errno; 0: it did not fail */
	bool perhaps; /* what is logged holds only if no child has the descriptor, too */

	/* The gate's own. */
	uint64_t outer; /* the mark of a call that this one interrupts */
#ifndef __GLIBC__
	uintptr_t outer_return; /* and where that one returns to */
#endif
	uintptr_t cfa;	/* of the wrapper, if the stack shows it; else 0 */
	const void *uc; /* what the signal interrupted, in its handler; else a null pointer */
	bool marked;	/* the mark in progress is this call's */
	bool inlined;	/* no wrapper was at work: rules do not reach it */
	bool narrow;	/* made as 32-bit programs make calls, in one of 64 */
};

/* Where this process can ask the kernel about OP's object. */
static inline int pg_op_askable(const struct pg_op *op)
{
	return op->copy ? op->copy : op->fd;
}

#endif
