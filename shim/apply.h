/* SPDX-License-Identifier: MIT */
/* The rules, applied to one call before it is made. Reached only where a rule watches the call. */
#ifndef PG_APPLY_H
#define PG_APPLY_H

#include "guard.h"

/* Start-up only. */
void pg_apply_start(void);

/* May shorten OP, decide its result (OP.skip), or break the object first. BIT: its bit in a rule's
 * set. errno is kept unless OP is decided. */
PG_COLD struct pg_op pg_apply_out(struct pg_op op, uint64_t bit, uintptr_t caller);
PG_COLD struct pg_op pg_apply_in(struct pg_op op, uintptr_t caller);

/* What a read gave: counts it, and turns it to garbage. BUF may be null. */
PG_COLD void pg_apply_read(const struct pg_op *op, void *buf, int64_t ret);

/* connect and accept. True: *RET is the result, errno is set. */
PG_COLD bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
			      int *ret, uintptr_t caller);
PG_COLD bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller);

/* The first bytes of a vector, as many as OP.len says, copied into ROOM (of PG_CLAMP). Returns how
 * many entries. */
enum { PG_CLAMP = 8 };
int pg_apply_clamp(const struct pg_op *op, void *room);

#endif
