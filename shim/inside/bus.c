/* SPDX-License-Identifier: MIT */
#include "inside/bus.h"

#include "base/next.h"
#include "rules/page.h"

#include <errno.h>
#include <string.h>

static void give_up(const siginfo_t *si)
{
	uintptr_t dfl[8] = {0};
	int pid = pg_pid();

	pg_sys4(SYS_rt_sigaction, SIGBUS, dfl, 0, PG_SIGSET_BYTES);
	if (si->si_code <= 0 && pid > 0) /* sent: it comes again; else the access does */
		pg_sys4(SYS_rt_tgsigqueueinfo, pid, pg_sys0(SYS_gettid), SIGBUS, si);
}

static void on_bus(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	if (si->si_code <= 0 || !pg_page_lost((uintptr_t)si->si_addr))
		give_up(si);
}

void pg_bus_start(void)
{
	struct sigaction ours, was;

	memset(&ours, 0, sizeof ours);
	ours.sa_sigaction = on_bus;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	if (!NEXT(sigaction)(SIGBUS, NULL, &was) && was.sa_handler == SIG_DFL)
		NEXT(sigaction)(SIGBUS, &ours, NULL);
}

void pg_bus_hide(int sig, struct sigaction *old)
{
	if (sig != SIGBUS || !old || old->sa_sigaction != on_bus)
		return;
	old->sa_handler = SIG_DFL;
	old->sa_flags &= ~(SA_SIGINFO | SA_ONSTACK | SA_RESTART);
}

void (*pg_bus_hidden(int sig, void (*old)(int)))(int)
{
	return sig == SIGBUS && (void *)old == (void *)on_bus ? SIG_DFL : old;
}
