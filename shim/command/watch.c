/* SPDX-License-Identifier: MIT */
#include "command/watch.h"

#include "command/control.h"
#include "command/options.h"
#include "command/say.h"
#include "command/tree.h"

#include "outside/cut_off.h"
#include "outside/kernel.h"
#include "rules/rule_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is sent to us is meant for the program; what a terminal sends reaches it by itself. */
static const int passed_on[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};
static const int of_terminal[] = {SIGINT, SIGQUIT, SIGPIPE};
enum {
	PASSED = sizeof passed_on / sizeof *passed_on,
	TERMINAL = sizeof of_terminal / sizeof *of_terminal
};
static volatile pid_t program;

static void pass_on(int sig)
{
	int saved = errno;

	if (program > 0)
		kill(program, sig);
	errno = saved;
}

static void set(const int *signals, size_t n, void (*handler)(int), struct sigaction *was)
{
	struct sigaction a;

	memset(&a, 0, sizeof a);
	a.sa_handler = handler;
	a.sa_flags = SA_RESTART;
	for (size_t i = 0; i < n; i++)
		sigaction(signals[i], &a, &was[i]);
}

static void put_back(const int *signals, size_t n, const struct sigaction *was)
{
	for (size_t i = 0; i < n; i++)
		sigaction(signals[i], &was[i], NULL);
}

/* Until it has ended. Where it stops, so does this process, for the shell that started it. */
static int wait_for_end(pid_t child)
{
	int status = 0;
	pid_t is;

	for (;;) {
		is = waitpid(child, &status, WUNTRACED);
		if (is < 0 && errno == EINTR)
			continue;
		if (is < 0)
			pg_fail(PG_FAILED, "the program was lost: %s", strerror(errno));
		if (!WIFSTOPPED(status))
			return status;
		kill(getpid(), SIGSTOP);
	}
}

/* What the page had counted of each rule as the program started: another tree may have the page, or
 * have had it. */
static struct {
	unsigned n;
	uint32_t serial[PG_RULES_MAX];
	uint64_t fired[PG_RULES_MAX];
} at_start;

static struct pg_rule_set rules;
static struct pg_page_rules page_rules;

static void note_start(void)
{
	if (!pg_control_read(&rules, &page_rules))
		return;
	at_start.n = rules.n;
	for (unsigned n = 0; n < rules.n; n++) {
		at_start.serial[n] = rules.rule[n].serial;
		at_start.fired[n] = pg_page_fired(rules.rule[n].serial);
	}
}

static bool fired_since(uint32_t serial)
{
	uint64_t before = 0;

	for (unsigned n = 0; n < at_start.n; n++)
		if (at_start.serial[n] == serial)
			before = at_start.fired[n];
	return pg_page_fired(serial) != before;
}

/* Can R be for standard output or standard error, which programs write through stdio? */
static bool takes_output(const struct pg_rule *r)
{
	bool listed = false;

	if (!pg_has(r, PG_F_FD))
		return true;
	for (unsigned i = 0; i < r->fd.n; i++)
		for (int fd = 1; fd <= 2; fd++)
			listed |= fd >= rules.range[r->fd.at + i].lo &&
				  fd <= rules.range[r->fd.at + i].hi;
	return listed != r->fd.negate;
}

/* As in inside/passed.c, but here nobody knows what wrote. From outside stdio's are write's. */
static const char *hint(const struct pg_rule *r)
{
	size_t end = r->set.at + (size_t)r->set.len;
	bool says_write = r->calls & PG_BIT(PG_CALL_write) && !(r->calls & PG_STDIO_BIT) &&
			  pg_find(rules.text, r->set.at, end, '!') == end;

	return says_write && takes_output(r)
		       ? " (what stdio writes is not meant by write: %stdio, or %out for both)"
		       : "";
}

/* The ids of the rules that have not fired since, commas between; a null pointer: all did. */
static const char *idle_rules(bool inside)
{
	const char *idle = NULL, *why = "";

	if (!pg_control_read(&rules, &page_rules))
		return "the page is damaged";
	for (unsigned n = 0; n < rules.n; n++) {
		if (fired_since(rules.rule[n].serial))
			continue;
		idle = idle ? pg_text_of("%s, %s", idle, rules.rule[n].id) : rules.rule[n].id;
		why = *why || !inside ? why : hint(&rules.rule[n]);
	}
	return idle ? pg_text_of("%s%s", idle, why) : NULL;
}

static void __attribute__((noreturn)) end_like(int status)
{
	static const struct rlimit none = {0, 0};
	sigset_t mask;

	if (WIFEXITED(status))
		pg_end(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &none); /* the program left its own */
	signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&mask);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	raise(WTERMSIG(status));
	pg_end(128 + WTERMSIG(status));
}

/* Who waits for the end of the program's descriptors waits for the program, not for this process.
 * What it has to say goes to standard error. */
static void let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 2 && null >= 0; fd++)
		dup2(null, fd);
	pg_kernel_close(3, ~0u);
}

void pg_watch_start(const struct pg_request *r, bool inside)
{
	struct sigaction was_passed[PASSED], was_terminal[TERMINAL];
	const char *idle;
	sigset_t all, mask;
	int status;
	pid_t child;

	fflush(NULL);
	note_start();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	set(passed_on, PASSED, pass_on, was_passed);
	set(of_terminal, TERMINAL, SIG_IGN, was_terminal);
	child = fork();
	if (child < 0)
		pg_fail(PG_FAILED, "no process for the program: %s", strerror(errno));
	program = child;
	if (!child) {
		put_back(passed_on, PASSED, was_passed);
		put_back(of_terminal, TERMINAL, was_terminal);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		return;
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	let_go();
	pg_survive_cut_off();
	status = wait_for_end(child);
	program = 0;
	idle = idle_rules(inside);
	if (r->own_page)
		pg_tree_page_ends(r->control);
	if (idle)
		fprintf(stderr, "pipeguard: never fired: %s\n", idle);
	if (idle && r->require_fired)
		pg_end(PG_FAILED);
	end_like(status);
}
