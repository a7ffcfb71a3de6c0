/* SPDX-License-Identifier: MIT */
/* SIGPIPE's disposition: the program sees what it set, whatever stands there. Other signals pass.
 */
#include "base/twins.h"
#include "inside/bus.h"
#include "inside/calls.h"
#include "inside/guard.h"
#include "rules/config.h"
#include "rules/page.h"

/* Old names, but programs call them. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static bool ours(int sig)
{
	return sig == SIGPIPE && pg_config.active;
}

/* RET of a call about a signal that is not SIGPIPE. */
static int other(int ret, int sig, struct sigaction *old)
{
	if (PG_UNLIKELY(pg_page() != NULL) && !ret)
		pg_bus_hide(sig, old);
	return ret;
}

PG_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (!ours(sig))
		return other(NEXT(sigaction)(sig, act, old), sig, old);
	return pg_sigpipe_action(act, old, PG_CALLER);
}
PG_TWIN(__sigaction, sigaction);

/* libc sets it in its own way (flags, mask); then we stand in front of what it set. */
#define LIKE_SIGNAL(name)                                                                          \
	PG_EXPORT sighandler_t name(int sig, sighandler_t handler)                                 \
	{                                                                                          \
		sighandler_t old = NEXT(name)(sig, handler);                                       \
                                                                                                   \
		return ours(sig) ? pg_sigpipe_adopt(old, PG_CALLER) : pg_bus_hidden(sig, old);     \
	}
LIKE_SIGNAL(signal)
LIKE_SIGNAL(bsd_signal)
LIKE_SIGNAL(ssignal)
LIKE_SIGNAL(sysv_signal)
LIKE_SIGNAL(__sysv_signal)

/* What it returns is SIG_HOLD where the signal was blocked, which says nothing of what was set. */
PG_EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction before;
	sighandler_t old, was;

	if (!ours(sig) || pg_sigpipe_action(NULL, &before, PG_CALLER))
		return NEXT(sigset)(sig, handler);
	old = NEXT(sigset)(sig, handler);
	was = pg_sigpipe_adopt(old == SIG_HOLD ? before.sa_handler : old, PG_CALLER);
	return old == SIG_HOLD ? old : was;
}

PG_EXPORT int sigignore(int sig)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	if (!ours(sig))
		return NEXT(sigignore)(sig);
	return pg_sigpipe_action(&ignore, NULL, PG_CALLER);
}

/* libc remembers it for later calls of signal(), and flips SA_RESTART behind our back: set it once
 * more. */
PG_EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction a;
	int ret;

	if (!ours(sig))
		return NEXT(siginterrupt)(sig, interrupt);
	if (pg_sigpipe_action(NULL, &a, PG_CALLER))
		return -1;
	ret = NEXT(siginterrupt)(sig, interrupt);
	a.sa_flags = interrupt ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
	return ret ? ret : pg_sigpipe_action(&a, NULL, PG_CALLER);
}

/* The kernel has just read STACK. */
void pg_alternate_set(int ret, const stack_t *stack)
{
	if (!ret && stack && pg_config.active && !(stack->ss_flags & SS_DISABLE))
		pg_sigpipe_alternate(stack->ss_size);
}

PG_EXPORT int sigaltstack(const stack_t *stack, stack_t *old)
{
	int ret = NEXT_SYS2(sigaltstack, SYS_sigaltstack, stack, old);

	pg_alternate_set(ret, stack);
	return ret;
}
