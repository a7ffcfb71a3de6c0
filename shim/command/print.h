/* SPDX-License-Identifier: MIT */
#ifndef PG_PRINT_H
#define PG_PRINT_H

#include "command/options.h"

/* The command that does what run would do, as one line for any shell. OUTSIDE: by the engine there,
 * which variables cannot ask for. */
void pg_print_command(const struct pg_request *r, bool outside);

#endif
