/* SPDX-License-Identifier: MIT */
/* What the registers of a stopped thread say: the system call it is in, or has just made. */
#ifndef PG_REGISTERS_H
#define PG_REGISTERS_H

#include "arch/arch.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_registers {
	long number; /* as this machine counts system calls, also of a 32-bit thread; -1: none */
	long arg[6];
	long result;	  /* -errno, or what it returned */
	bool arguments;	  /* ARG is known */
	bool narrow;	  /* a 32-bit thread */
	bool narrow_call; /* what it calls is one of 32 bits, in which others may call, too */
	uintptr_t pc, sp, frame; /* FRAME: the frame pointer */
};

/* True if the registers of this machine are known here; else nothing can be seen from outside. */
enum { PG_REGISTERS_KNOWN = PG_TRACES };

/* Thread TID is stopped, and traced by this process. False: it has gone. */
bool pg_registers_read(int tid, struct pg_registers *r);

/* The same where a signal is about to be delivered. Where it comes with others, whose handlers are
 * to run first, it is what all of them interrupted. */
bool pg_registers_read_call(int tid, struct pg_registers *r);

/* Is TID on its way into a system call, or out of one, whose number is not lost? It may be one that
 * pg_registers_read() does not know. */
bool pg_registers_in_call(int tid);

/* A 32-bit thread's registers as its machine's tables for unwinding number them (the ABI of i386).
 */
enum { PG_NARROW_REGISTERS = 9 };
bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS]);

/* At the entry of a call: it is not made. When its thread comes back from it, RESULT is what it
 * returned. */
bool pg_registers_skip(int tid);
bool pg_registers_result(int tid, long result);

/* The same, but NUMBER is called once more, as HOW has it (-ERESTARTSYS and the like), on the way
 * to a signal or a stop that the thread has still to come by. */
bool pg_registers_again(int tid, long number, long how);

/* All of a thread's registers, as the kernel gives them. */
struct pg_registers_set {
	uint64_t room[40];
	bool narrow;
};

/* At the entry of a call, which SET is to keep: another one is made in its place, NUMBER as the
 * thread's own kind counts. When that has come back, the kept one is entered once more. */
bool pg_registers_keep(int tid, struct pg_registers_set *set);
bool pg_registers_instead(int tid, const struct pg_registers_set *set, long number,
			  const long arg[3]);
bool pg_registers_enter(int tid, const struct pg_registers_set *set);

#endif
