/* SPDX-License-Identifier: MIT */
#ifndef PG_PRINT_H
#define PG_PRINT_H

#include "command/options.h"

/* The command that does what run would do, as one line for any shell. */
void pg_print_command(char *const *words);

#endif
