/* SPDX-License-Identifier: MIT */
/* attach: processes that run already are looked at from outside. */
#include "command/acts.h"
#include "command/control.h"
#include "command/examine.h"
#include "command/given.h"
#include "command/options.h"
#include "command/process.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include "base/clock.h"
#include "rules/config.h"
#include "log/log.h"
#include "outside/engine.h"
#include "outside/filter.h"
#include "outside/kernel.h"
#include "outside/registers.h"
#include "outside/silent.h"
#include "outside/stops.h"
#include "outside/tracee.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned number_of(const char *word)
{
	uint64_t n;

	if (!pg_number(word, 0x7fffffff, &n) || !n)
		pg_fail(PG_FAILED, "attach: not a process id: '%s'", word);
	return (unsigned)n;
}

/* The number in the line of /proc/PID/status that begins with WORD; 0: there is none. */
static int in_status(unsigned pid, const char *word)
{
	char line[256];

	return pg_tracee_status((int)pid, word, line, sizeof line) ? atoi(line) : 0;
}

static const char *name_of(unsigned pid)
{
	struct pg_process_view p;

	return pg_process_look(&p, pid) ? p.name : "?";
}

/* Yama, a system that lets no process be traced but by its parent. */
static bool yama_forbids(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = f ? fgetc(f) : 0;

	if (f)
		fclose(f);
	return scope >= '1';
}

static void __attribute__((noreturn)) refused(unsigned pid, int err)
{
	int tracer = in_status(pid, "TracerPid:");

	if (err == ESRCH)
		pg_fail(PG_NOT_FOUND, "there is no process %u", pid);
	if (tracer)
		pg_fail(PG_CANNOT_RUN,
			"process %u (%s) is traced already, by process %d (%s): only one tracer "
			"is allowed",
			pid, name_of(pid), tracer, name_of((unsigned)tracer));
	if (pid == (unsigned)getpid() || in_status(pid, "Tgid:") != (int)pid)
		pg_fail(PG_CANNOT_RUN, "%u is no process that can be traced", pid);
	if (err == EPERM && pg_tracee_is_closed((int)pid))
		pg_fail(PG_CANNOT_RUN,
			"process %u (%s) is not dumpable: nobody but root may look into it (sudo "
			"pipeguard attach %u)",
			pid, name_of(pid), pid);
	if (err == EPERM && geteuid() && yama_forbids())
		pg_fail(PG_CANNOT_RUN,
			"process %u (%s) may not be traced: kernel.yama.ptrace_scope allows that "
			"to root alone, or to who started it (sudo pipeguard attach %u, or "
			"pipeguard run --outside)",
			pid, name_of(pid), pid);
	if (err == EPERM && geteuid())
		pg_fail(PG_CANNOT_RUN,
			"process %u (%s) may not be traced by this user (sudo pipeguard attach "
			"%u)",
			pid, name_of(pid), pid);
	pg_fail(PG_CANNOT_RUN,
		"process %u (%s) may not be traced here: %s (a container needs the capability "
		"SYS_PTRACE)",
		pid, name_of(pid), strerror(err));
}

static void say_seized(unsigned pid, int threads)
{
	struct pg_process_view p;

	if (!pg_process_look(&p, pid))
		return;
	fprintf(stderr, "pipeguard: looking at process %u (%s), %d thread%s%s\n", pid, p.name,
		threads, threads == 1 ? "" : "s",
		p.guarded ? ": the library is in it, and its log has what breaks there" : "");
}

static int status_of(const struct pg_request *r, enum pg_end end)
{
	return r->first_only && end != PG_END_ONCE ? 1 : 0;
}

/* In a process that runs nothing may stay behind: its calls are stopped at, while the rules stand.
 */
static void need_rules(void)
{
	const char *why = pg_filter_refuses();

	if (why)
		pg_fail(PG_FAILED, "%s", why);
	if (!pg_rules.n && !pg_page() && !pg_silent_on) {
		if (!pg_kernel_copies())
			fprintf(stderr, "pipeguard: %s\n", pg_kernel_line(PG_LACKS_COPY));
		return;
	}
	if (!pg_kernel_tells())
		pg_fail(PG_CANNOT_RUN, "%s", pg_kernel_line(PG_LACKS_INFO));
	if (!pg_kernel_copies())
		pg_fail(PG_CANNOT_RUN, "%s", pg_kernel_line(PG_LACKS_COPY));
	fprintf(stderr,
		"pipeguard: %s in a process that runs stop each of its system calls twice, %s: "
		"10 to 100 us a call\n",
		pg_silent_on ? "all writes that are looked at"
		: pg_page()  ? "rules that may come"
			     : "rules",
		pg_page() || pg_silent_on ? "until attach leaves it" : "while they stand");
	pg_stops_start();
}

int pg_attach(struct pg_request *r)
{
	struct pg_engine how = {.once = r->first_only, .listener = -1};

	pg_settings_check();
	if (!r->count)
		pg_fail(PG_FAILED, "attach: which process? (see --help)");
	for (unsigned i = 0; i < r->count; i++)
		number_of(r->words[i]);
	pg_given_set();
	if (r->control)
		pg_control_start(r->control,
				 pg_given_any() ? pg_variable("PIPEGUARD_RULES") : NULL);
	pg_config_read(pg_variables());
	pg_tracee_pick(pg_variable("PIPEGUARD_ONLY"), pg_variable("PIPEGUARD_SKIP"));
	pg_config.start = pg_now();
	pg_silent_on = r->all;
	need_rules();
	if (pg_tracee_proc_is_foreign())
		pg_fail(PG_CANNOT_RUN, "attach: /proc is another pid namespace's: mount it");
	if (!PG_REGISTERS_KNOWN)
		pg_fail(PG_CANNOT_RUN, PG_NO_OUTSIDE);
	if (!pg_engine_prepare())
		pg_fail(PG_FAILED, "attach: %s", strerror(errno));
	for (unsigned i = 0; i < r->count; i++) {
		unsigned pid = number_of(r->words[i]);
		int threads = pg_engine_seize((int)pid);

		if (threads < 0)
			refused(pid, -threads);
		say_seized(pid, threads);
	}
	pg_log_start();
	how.until = r->for_ns ? pg_now() + r->for_ns : 0;
	return pg_flushed(status_of(r, pg_engine_run(&how)));
}
