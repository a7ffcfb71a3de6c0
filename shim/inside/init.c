/* SPDX-License-Identifier: MIT */
/*
 * Start and end. The library is linked with -z initfirst, so on glibc this
 * runs before the constructors of all others, and even before libc has set
 * environ: there the loader's own argument is used.
 */
#include "base/clock.h"
#include "base/dl.h"
#include "base/process.h"
#include "inside/apply.h"
#include "inside/bus.h"
#include "inside/calls.h"
#include "inside/ends.h"
#include "inside/flush.h"
#include "inside/guard.h"
#include "inside/leave.h"
#include "inside/passed.h"
#include "inside/reach.h"
#include "inside/stdio_gate.h"
#include "log/log.h"
#include "object/connection.h"
#include "rules/config.h"
#include "rules/live.h"
#include "who/symbol.h"

#include <sys/auxv.h>
#include <unistd.h>

/* Was asked for first, so it runs last of what exit() calls; libc's flush of all FILEs follows. */
static void at_exit(void *unused)
{
	(void)unused;
	pg_guard_leaves();
	if ((pg_passed_any() || pg_guard_has_last_word()) && !pg_flush_waits())
		pg_guard_exit();
}

/* quick_exit flushes nothing. */
static void quick_exit_runs(void *unused)
{
	(void)unused;
	pg_guard_exit();
}

/* Not the program's: a sanitizer's runtime inside it has one that is not ready yet. */
static void ask_for_exit(void)
{
	typedef int ask_fn(void (*)(void *), void *, void *);
	typedef int ask_quick_fn(void (*)(void *), void *);
	ask_fn *ask = (ask_fn *)pg_dl_next("__cxa_atexit");
	ask_quick_fn *ask_quick = (ask_quick_fn *)pg_dl_next("__cxa_at_quick_exit");

	if (ask)
		ask(at_exit, NULL, NULL);
	if (ask_quick)
		ask_quick(quick_exit_runs, NULL);
}

static void on_exiting(int status, void *unused)
{
	(void)unused;
	pg_guard_leaves();
	pg_leave_exit(status);
	if (!pg_flush_waits())
		pg_leave_flushed(pg_flush_is_plain());
}

/* glibc alone has it. Behind all others, as at_exit() is. */
static void ask_for_status(void)
{
	typedef int ask_fn(void (*)(int, void *), void *);
	ask_fn *ask = (ask_fn *)pg_dl_next("on_exit");

	if (ask)
		ask(on_exiting, NULL);
	pg_leaving_hold(PG_HOW_HELD, 0);
	pg_process_after_forks(pg_leaving_forked);
}

/* Loaded by dlopen (ctypes, say), nothing calls us; a second copy must not log everything twice.
 */
static bool in_charge(void)
{
	void *first = pg_dl_default("__sysv_signal");

	return pg_module_is_first_copy() && pg_module_is_own((uintptr_t)first);
}

/* Rules count the time from here on, if they ask for it. */
static void start_counting(void)
{
	pg_clock_start();
	if (pg_page() || (pg_config.rules && pg_rules.fields & (PG_FIELD(AFTER) | PG_FIELD(FOR))))
		pg_config.start = pg_now();
}

/* What was inherited as a connection: nobody knows its peer after a reset. */
static void adopt_inherited(void)
{
	for (int fd = 0; fd < 3; fd++)
		pg_fd_adopt(fd);
	for (int fd = 3; fd < 3 + (int)pg_config.passed; fd++)
		pg_fd_adopt(fd);
}

static const char *gates(bool stdio)
{
	if (stdio)
		return "call stdio signal";
	return "call signal (no stdio: this libc has no such slot)";
}

/* glibc's loader gives a constructor main's arguments, musl's does not; a library built for the one
 * may be loaded by the other. */
static const char glibcs_own[] = "gnu_get_libc_version";

static bool has_arguments(void)
{
	return pg_dl_default(glibcs_own);
}

/* May calls be looked up when they are first made? glibc unloads nothing that was there at start;
 * and where rules may come later, or each call is logged, it goes aside for that. */
static bool may_come_late(void)
{
	return !pg_page() && pg_config.verbose < 2 && pg_dl_can_keep(glibcs_own);
}

/* Wrappers may make calls at once. */
static void open_front(bool late)
{
	if (pg_page()) {
		pg_bus_start();
		pg_live_start(!pg_watch_all);
		return;
	}
	if (pg_front.ruled) /* none in a program that is left out */
		pg_passed_start();
	pg_front.aside = (late ? pg_front.aside : 0) | pg_front.ruled |
			 (pg_watch_all ? pg_rule_out_calls() : 0);
}

/* As a loader that was started by hand names it, or the kernel; a null pointer: that is not it. */
static const char *program_path(char **argv)
{
	bool named = pg_symbol_start();

	if (pg_module_by_hand())
		return has_arguments() ? argv[0] : NULL;
	return named ? (const char *)pg_auxval(AT_EXECFN) : NULL;
}

static void __attribute__((constructor)) start(int argc, char **argv, char **envp)
{
	int saved = errno;
	bool late;

	(void)argc;
	pg_module_start(program_path(argv));
	late = in_charge();
	if (late)
		pg_config_read(environ ? environ : envp);
	late = late && may_come_late();
	pg_next_start(late);
	pg_calls_start();
	if (pg_config.active) {
		pg_process_start();
		start_counting();
		pg_apply_start();
		pg_log_start();
		adopt_inherited();
		pg_guard_start(gates(pg_stdio_start()));
		ask_for_exit();
	}
	if (pg_config.active)
		pg_reach_start();
	if (pg_has_endings())
		ask_for_status();
	open_front(late);
	pg_dl_started(late ? glibcs_own : NULL);
	errno = saved;
}
