/* SPDX-License-Identifier: MIT */
/* PIPEGUARD_SIGPIPE and nosignal: which signals are taken away. */
#ifndef PG_SPARE_H
#define PG_SPARE_H

#include "inside/sigpipe.h"

/* True if the signal of the write OP, which would kill, is to be taken away. It is counted. */
bool pg_spares(const struct pg_op *op);

/* The same, and it is logged. */
bool pg_spared(const struct pg_op *op);

#endif
