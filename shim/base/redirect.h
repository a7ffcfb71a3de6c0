/* SPDX-License-Identifier: MIT */
/*
 * Before headers of libc, where a call's name is to be its symbol: musl's
 * headers give those whose data may hold a time, and dlsym, another one where
 * there are 32 bits, of 64-bit time. Here both are declared instead.
 */
#ifndef PG_REDIRECT_H
#define PG_REDIRECT_H

#include <stdlib.h> /* for __GLIBC__ */

#ifndef __GLIBC__
#include <features.h>
#undef __REDIR
#define __REDIR(name, symbol) extern __typeof__(name) symbol
#endif

#endif
