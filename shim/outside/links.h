/* SPDX-License-Identifier: MIT */
/* The names under which a process's loader loaded its libraries: those of links, where the kernel
 * knows the files behind them. The library inside names modules by them, and so do sites. */
#ifndef PG_LINKS_H
#define PG_LINKS_H

#include "outside/tracee.h"

/* Names the areas of T, a 32-bit program or not, as its loader does, if that can be read: not so in
 * a static program. */
void pg_links_name(struct pg_tracee *t, bool narrow);

#endif
