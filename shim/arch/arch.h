/* SPDX-License-Identifier: MIT */
/* The machine that this is built for. A port is one header here, and one file of assembly. */
#ifndef PG_ARCH_H
#define PG_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a word of memory that may not be there. */
typedef bool pg_word_at(uintptr_t at, uintptr_t *word);

#if defined(__x86_64__) && !defined(__ILP32__)
#include "arch/x86_64.h"
#elif defined(__i386__)
#include "arch/i386.h"
#elif defined(__aarch64__)
#include "arch/aarch64.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "arch/riscv64.h"
#else
#error "no port to this machine: see arch/"
#endif

/* Where there is no such thing, only what is off the hot path asks. */
#ifdef PG_KEEPS_REGISTERS
#define PG_ASKS_IN_PASSING 1
#else
#define PG_ASKS_IN_PASSING 0
#define PG_KEEPS_REGISTERS
#endif

#endif
