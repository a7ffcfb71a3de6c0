/* SPDX-License-Identifier: MIT */
/* A call as those see it who decide about it, whoever makes it. */
#ifndef PG_OP_H
#define PG_OP_H

#include "base/call.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h> /* for __GLIBC__ */

enum pg_via { PG_VIA_CALL, PG_VIA_STDIO, PG_VIA_SIGNAL };

/* A call of the program's that moves bytes. LEN: bytes asked for, or what a whole success returns;
 * -2: not known before the kernel has read the vector. */
struct pg_op {
	enum pg_call call;
	int fd;
	int64_t len;
	int flags; /* MSG_* of the socket calls, RWF_* of pwritev2, SPLICE_F_* of vmsplice */
	enum pg_shape shape;
	const void *data; /* the program's, of SHAPE: read with pg_peek */
	uint64_t count;	  /* of PG_IOV */
	const void *to;	  /* the address it goes to, or a null pointer: the program's, too */
	uint32_t to_len;  /* of TO, in bytes */
	int source;	  /* of splice and the like: where the bytes come from */
	uint64_t outer;	  /* the mark of a call that this one interrupts */
#ifndef __GLIBC__
	uintptr_t outer_caller; /* and who made that one, where no stack is walked */
#endif
	struct pg_story *story; /* of the object, where a rule looked at it; or a null pointer */
	uint64_t garbage;	/* bytes that a rule wants replaced in what is read; ~0: all */
	int64_t result;		/* with SKIP */
	enum pg_via via;
	bool placed;   /* it names a place in a file, which pipes and sockets have not */
	bool skip;     /* a rule decided the result: the call is not made */
	bool midway;   /* a pipe's reader is to leave once LEN bytes are written */
	uint32_t rule; /* that wants it, its serial */
	bool clamped;  /* a rule made LEN less than was asked for */
};

#endif
