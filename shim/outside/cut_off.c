/* SPDX-License-Identifier: MIT */
#include "outside/cut_off.h"

#include "rules/page.h"

#include <signal.h>
#include <string.h>

static void on_bus(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	if (si->si_code <= 0 || !pg_page_lost((uintptr_t)si->si_addr))
		signal(sig, SIG_DFL); /* the access comes again */
}

void pg_survive_cut_off(void)
{
	struct sigaction a;
	sigset_t mask;

	memset(&a, 0, sizeof a);
	a.sa_sigaction = on_bus;
	a.sa_flags = SA_SIGINFO;
	sigaction(SIGBUS, &a, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGBUS); /* blocked, it would kill */
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}
