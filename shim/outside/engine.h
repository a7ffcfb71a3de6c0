/* SPDX-License-Identifier: MIT */
/*
 * The engine: looks at processes from outside, by ptrace(2) without stops at
 * system calls. The kernel stops for the tracer at each SIGPIPE, also of one that
 * the program ignores; nothing is paid by what does not break. A tracer that
 * ends, however it ends, leaves its tracees running.
 */
#ifndef PG_ENGINE_H
#define PG_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

struct pg_engine {
	bool once;	/* leave after the first event */
	uint64_t until; /* CLOCK_MONOTONIC, ns, when to leave; 0: never */
	int listener;	/* of seccomp notifications; -1: none */
};

enum pg_end { PG_END_GONE, PG_END_ONCE, PG_END_TIME, PG_END_ASKED };

/* Before threads are seized: signals of this process wait for the engine. */
bool pg_engine_prepare(void);

/* Seizes every thread of the process PID. Returns how many, or -errno. */
int pg_engine_seize(int pid);

/* Until all have gone, or something else asks for the end. The tracees are left as they are when
 * this process ends. */
enum pg_end pg_engine_run(const struct pg_engine *how);

#endif
