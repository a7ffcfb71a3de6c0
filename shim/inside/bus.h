/* SPDX-License-Identifier: MIT */
/* A page whose file was cut off: the kernel answers the next look at it with SIGBUS. */
#ifndef PG_BUS_H
#define PG_BUS_H

#include <signal.h>

/* Start-up, with a page: stands where the program has the default, and lets the page go when it is
 * lost. Every other SIGBUS does what it did. */
void pg_bus_start(void);

/* What a query answered: ours reads as the default. */
void pg_bus_hide(int sig, struct sigaction *old);
void (*pg_bus_hidden(int sig, void (*old)(int)))(int);

#endif
