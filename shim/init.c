/* SPDX-License-Identifier: MIT */
/*
 * Start and end. The library is linked with -z initfirst, so on glibc this
 * runs before the constructors of all others, and even before libc has set
 * environ: there the loader's own argument is used.
 */
#include "apply.h"
#include "calls.h"
#include "config.h"
#include "dl.h"
#include "elf.h"
#include "guard.h"
#include "log.h"
#include "stdio_gate.h"

#include <unistd.h>

static void at_exit(void *unused)
{
	(void)unused;
	pg_guard_exit();
}

/* Not the program's: a sanitizer's runtime inside it has one that is not ready yet. */
static void ask_for_exit(void)
{
	int (*ask)(void (*)(void *), void *, void *) =
		(int (*)(void (*)(void *), void *, void *))dlsym(RTLD_NEXT, "__cxa_atexit");

	if (ask)
		ask(at_exit, NULL, NULL);
}

/* Loaded by dlopen (ctypes, say), nothing calls us; a second copy must not tell everything twice.
 */
static bool in_charge(void)
{
	void *first = dlsym(RTLD_DEFAULT, "__sysv_signal");

	dlerror();
	return pg_elf_is_first_copy() && pg_elf_is_own((uintptr_t)first);
}

static const char *gates(bool stdio)
{
	if (stdio)
		return "call stdio signal";
	return "call signal (no stdio: this libc has no such slot)";
}

static void __attribute__((constructor)) start(int argc, char **argv, char **envp)
{
	int saved = errno;

	(void)argc;
	(void)argv;
	pg_next_resolve();
	pg_calls_start();
	pg_elf_start();
	if (in_charge())
		pg_config_read(environ ? environ : envp);
	if (pg_config.active) {
		pg_fd_start();
		pg_config.start = pg_now();
		pg_apply_start();
		pg_stack_start();
		pg_log_start();
		pg_guard_start(gates(pg_stdio_start()));
		ask_for_exit();
	}
	pg_aside = pg_ruled | (pg_watch_all ? pg_rule_out_calls() : 0);
	errno = saved;
}
