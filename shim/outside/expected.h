/* SPDX-License-Identifier: MIT */
/* Whether the library will be in a program that begins. */
#ifndef PG_EXPECTED_H
#define PG_EXPECTED_H

#include <stdbool.h>

/* As far as is known when process PID has just become that program: its environment names the
 * library, and it has a loader. What the loader makes of it is not known. */
bool pg_library_expected(int pid);

#endif
