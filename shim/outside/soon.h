/* SPDX-License-Identifier: MIT */
/*
 * Waiting awake. To sleep until a thread stops, and to be woken up on another CPU than its, costs
 * some 5 us, and on a virtual machine, whose idle CPU is given away, 200 us and more: many times
 * the stop. So where one thing comes soon after another, the next is looked for awake: 100 us at
 * the most each time. Where the last one took longer than a millisecond to come, or somebody else
 * wants the CPUs, there is no such look.
 */
#ifndef PG_SOON_H
#define PG_SOON_H

#include <poll.h>
#include <time.h>

/* As ppoll(2), without a mask of signals. */
int pg_soon_poll(struct pollfd *p, unsigned n, const struct timespec *most);

#endif
