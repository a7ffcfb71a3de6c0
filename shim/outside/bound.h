/* SPDX-License-Identifier: MIT */
/*
 * Other libraries read what files and names say, which may be made to take
 * gigabytes, hours, or the process that reads with it: elfutils' libdw ends its
 * process where memory is refused. This one must not end, since others wait
 * for it.
 */
#ifndef PG_BOUND_H
#define PG_BOUND_H

#include <stdbool.h>
#include <stdint.h>

/* Does FN(ARG) in a child whose memory is bounded, and its time by SECONDS. True: it came to its
 * end, and will do so here. What it found is not known here. */
bool pg_bound_try(void (*fn)(void *), void *arg, unsigned seconds);

/* From here until pg_bound_end() this process gets no more than some memory, and MAPPED bytes
 * besides. False: there is too much already, and nothing has to be ended. */
bool pg_bound_begin(uint64_t mapped);
void pg_bound_end(void);

#endif
