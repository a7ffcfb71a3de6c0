/* SPDX-License-Identifier: MIT */
/* A program from its start on: this process becomes it, and another one looks after it. */
#ifndef PG_START_H
#define PG_START_H

/* Starts the other process, which seizes this one: what it runs from now on is looked after, as
 * pg_config says. The program has no new child, parent, or descriptor. A null pointer, or a
 * sentence that says why it cannot be. */
const char *pg_start_engine(void);

#endif
