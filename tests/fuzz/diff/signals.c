/* SPDX-License-Identifier: MIT */
/* SIGPIPE in all its states, and what handlers see and do. */
#include "diff.h"

/* Old names, but programs call them. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
extern sighandler_t __sysv_signal(int sig, sighandler_t handler);

volatile unsigned caught;
volatile int nest_fd = -1;
static volatile sig_atomic_t jumps;
static sigjmp_buf back;
static char alternate[1 << 16];

/* ---- handlers ---- */

static bool on_alternate(void)
{
	char here;

	return &here >= alternate && &here < alternate + sizeof alternate;
}

/* A handler that breaks a write of its own, once. */
static void nest(void)
{
	struct call c = {.name = "write", .way = WRITES, .fd = nest_fd, .len = 3};

	nest_fd = -1;
	detail(&c, ", in a handler");
	MAKE(&c, write(c.fd, "abc", 3));
}

static void handled(const char *which, int sig, int err)
{
	caught++;
	say("  handler %s: signal %d, SIGPIPE blocked %d, errno %s, alternate stack %d", which, sig,
	    pipe_blocked(), error_name(err), on_alternate());
	if (nest_fd >= 0)
		nest();
	if (jumps) {
		jumps = 0;
		fact("jump %d %d", getpid(), gettid());
		siglongjmp(back, 1);
	}
	errno = EDOM; /* as a handler may; the call's own errno comes after it */
}

static void plain(int sig)
{
	handled("plain", sig, errno);
}

static void other(int sig)
{
	handled("other", sig, errno);
}

static const char *who(pid_t pid)
{
	return pid == getpid() ? "self" : pid == getppid() ? "parent" : pid ? "another" : "none";
}

static void with_info(int sig, siginfo_t *si, void *uc)
{
	int err = errno;

	(void)uc;
	say("  siginfo: signal %d, code %d, errno %d, from %s", si->si_signo, si->si_code,
	    si->si_errno, who(si->si_pid));
	handled("info", sig, err);
}

/* ---- what there is ---- */

static const char *handler_name(const struct sigaction *a)
{
	if (a->sa_handler == SIG_DFL)
		return "default";
	if (a->sa_handler == SIG_IGN)
		return "ignored";
	if (a->sa_handler == plain)
		return "plain";
	if (a->sa_handler == other)
		return "other";
	return a->sa_sigaction == with_info ? "info" : "foreign";
}

static bool member_pipe(const sigset_t *set)
{
	return sigismember(set, SIGPIPE) == 1;
}

bool pipe_blocked(void)
{
	sigset_t set;

	return !pthread_sigmask(SIG_BLOCK, NULL, &set) && member_pipe(&set);
}

bool pipe_pending(void)
{
	int saved = errno;
	sigset_t set;
	bool pending = !sigpending(&set) && member_pipe(&set);

	errno = saved;
	return pending;
}

const char *disposition(void)
{
	struct sigaction a = {.sa_handler = SIG_DFL};
	int saved = errno;

	sigaction(SIGPIPE, NULL, &a);
	errno = saved;
	return handler_name(&a);
}

bool deadly(void)
{
	return !pipe_blocked() && !strcmp(disposition(), "default");
}

static void say_action(const char *what, const struct sigaction *a)
{
	say("  %s: %s, flags %#x, mask %llx", what, handler_name(a), (unsigned)a->sa_flags,
	    (unsigned long long)hash(&a->sa_mask, 8));
}

void say_signals(void)
{
	struct sigaction a;
	stack_t stack = {.ss_flags = -1};

	if (sigaction(SIGPIPE, NULL, &a))
		say("  no sigaction: %s", error_name(errno));
	else
		say_action("SIGPIPE", &a);
	sigaltstack(NULL, &stack);
	say("  blocked %d, pending %d, alternate stack %d", pipe_blocked(), pipe_pending(),
	    stack.ss_flags);
}

static void block_pipe(bool yes)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(yes ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static void disposition_fact(const char *from)
{
	fact("disposition %d %d %s %s", getpid(), gettid(), from, disposition());
}

void signals_start(enum state s)
{
	struct sigaction a = {.sa_handler = plain, .sa_flags = percent(50) ? SA_RESTART : 0};
	const char *from = disposition();

	if (s == CAUGHT_INFO) {
		a.sa_sigaction = with_info;
		a.sa_flags |= SA_SIGINFO;
	}
	if (s == CAUGHT || s == CAUGHT_INFO)
		sigaction(SIGPIPE, &a, NULL);
	else
		signal(SIGPIPE, s == IGNORED ? SIG_IGN : SIG_DFL);
	block_pipe(s == BLOCKED);
	disposition_fact(from);
}

/* ---- dispositions ---- */

static sighandler_t some_handler(void)
{
	static const sighandler_t some[] = {SIG_DFL, SIG_IGN, SIG_IGN, plain, plain, other};

	return ONE_OF(some);
}

static const char *named(sighandler_t h)
{
	struct sigaction a = {.sa_handler = h};

	return h == SIG_ERR ? "error" : handler_name(&a);
}

static void by_sigaction(void)
{
	static const unsigned flags[] = {0,
					 SA_RESTART,
					 SA_NODEFER,
					 SA_RESETHAND,
					 SA_ONSTACK,
					 SA_NOCLDSTOP,
					 SA_RESTART | SA_ONSTACK};
	struct sigaction a = {.sa_handler = some_handler(), .sa_flags = (int)ONE_OF(flags)}, old;
	int ret, how = (int)below(10);

	memset(&old, 0, sizeof old);
	if (percent(40)) {
		a.sa_sigaction = with_info;
		a.sa_flags |= SA_SIGINFO;
	} else if (percent(10)) {
		a.sa_flags |= SA_SIGINFO;
	}
	if (percent(30))
		sigaddset(&a.sa_mask, SIGUSR2);
	count_use(how == 8 ? "__sigaction" : "sigaction");
	ret = how < 6	? sigaction(SIGPIPE, &a, &old)
	      : how < 8 ? sigaction(SIGPIPE, &a, NULL)
	      : how < 9 ? __sigaction(SIGPIPE, &a, &old)
			: sigaction(999, &a, &old);
	say("sigaction(%s, %#x) = %d", handler_name(&a), (unsigned)a.sa_flags, ret);
	say_action("before", &old);
}

static void by_old_names(unsigned which)
{
	static const char *const names[] = {"signal", "ssignal",   "sysv_signal", "__sysv_signal",
					    "sigset", "sigignore", "siginterrupt"};
	sighandler_t h = some_handler(), was = SIG_ERR;
	int ret = 0;

	count_use(names[which]);

	switch (which) {
	case 0:
		was = signal(SIGPIPE, h);
		break;
	case 1:
		was = ssignal(SIGPIPE, h);
		break;
	case 2:
		was = sysv_signal(SIGPIPE, h);
		break;
	case 3:
		was = __sysv_signal(SIGPIPE, h);
		break;
	case 4:
		was = sigset(SIGPIPE, percent(30) ? SIG_HOLD : h);
		break;
	case 5:
		ret = sigignore(SIGPIPE);
		break;
	default:
		ret = siginterrupt(SIGPIPE, percent(50));
	}
	say("%s(%s): %d, before %s", names[which], named(h), ret,
	    was == SIG_HOLD ? "hold" : named(was));
}

void op_signal(void)
{
	const char *from = disposition();

	if (percent(60))
		by_sigaction();
	else
		by_old_names(below(7));
	disposition_fact(from);
	say_signals();
}

void op_mask(void)
{
	sigset_t set, old;
	int how = percent(50) ? SIG_BLOCK : percent(60) ? SIG_UNBLOCK : SIG_SETMASK;
	bool thread = percent(40);

	if (how != SIG_BLOCK && pipe_pending() && deadly())
		return;
	sigemptyset(&set);
	if (how != SIG_SETMASK || percent(50))
		sigaddset(&set, SIGPIPE);
	if (thread)
		pthread_sigmask(how, &set, &old);
	else
		sigprocmask(how, &set, &old);
	say("mask %d: was blocked %d, caught %u", how, member_pipe(&old), caught);
	say_signals();
}

static void by_descriptor(void)
{
	struct signalfd_siginfo si;
	sigset_t set;
	int fd;
	ssize_t ret;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	ret = read(fd, &si, sizeof si);
	say("signalfd: %zd", ret);
	if (ret == sizeof si)
		say("  signal %u, code %d, from %s", si.ssi_signo, si.ssi_code,
		    who((pid_t)si.ssi_pid));
	close(fd);
}

/* Takes a pending SIGPIPE away, as libraries do that must not signal. */
void op_pending(void)
{
	const struct timespec now = {0, 0};
	siginfo_t si;
	sigset_t set;
	int ret;

	if (!pipe_blocked())
		return;
	if (percent(25)) {
		by_descriptor();
		return;
	}
	memset(&si, 0, sizeof si);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ret = pipe_pending() && percent(30) ? sigwaitinfo(&set, &si)
					    : sigtimedwait(&set, &si, &now);
	say("sigtimedwait: %d, code %d, from %s", ret, si.si_code,
	    ret > 0 ? who(si.si_pid) : "nobody");
}

/* SIGPIPE that no write raised. */
void op_kill(void)
{
	union sigval value = {.sival_int = 7};
	unsigned how = below(5);
	int ret = -1;

	fact("kill %d %d", getpid(), how);
	switch (how) {
	case 0:
		ret = signal_self(SIGPIPE);
		break;
	case 1:
		ret = raise(SIGPIPE);
		break;
	case 2:
		ret = pthread_kill(pthread_self(), SIGPIPE);
		break;
	case 3:
		ret = sigqueue(getpid(), SIGPIPE, value);
		break;
	default:
		ret = (int)syscall(SYS_tgkill, getpid(), gettid(), SIGPIPE);
	}
	say("kill way %u: %d, caught %u, pending %d", how, ret, caught, pipe_pending());
}

void op_altstack(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
	int ret;

	if (percent(30))
		stack.ss_flags = SS_DISABLE;
	ret = sigaltstack(&stack, &old);
	say("sigaltstack: %d, was %d", ret, ret ? -1 : old.ss_flags);
}

/* ---- handlers that do more than return ---- */

/* Jumps out of the handler of a write that breaks, then goes on. */
void op_jump(void)
{
	const struct how *how = some_signalling_how();
	int fd = good_fd(how->sockets ? OUT | SOCK : OUT);
	struct request r;

	if (fd < 0 || slot_roles(fd) & TTY)
		return;
	r = ask(how, fd, 100);
	ready_out(fd, SIZE_MAX);
	if (sigsetjmp(back, 1)) {
		say("  jumped: SIGPIPE blocked %d, pending %d", pipe_blocked(), pipe_pending());
		return;
	}
	jumps = 1;
	perform(how, &r);
	jumps = 0;
}

void op_nest(void)
{
	const struct how *how = some_signalling_how();
	int fd = good_fd(how->sockets ? OUT | SOCK : OUT), inner = good_fd(OUT);
	struct request r;

	if (fd < 0 || inner < 0 || slot_roles(fd) & TTY)
		return;
	ready_out(inner, 3);
	r = ask(how, fd, 100);
	ready_out(fd, SIZE_MAX);
	nest_fd = inner;
	perform(how, &r);
	nest_fd = -1;
}

/* One place breaks again and again. */
void op_flood(void)
{
	static const unsigned counts[] = {9, 11, 20, 21, 25, 45, 90};
	const struct how *how = some_how();
	int fd = good_fd(how->sockets ? OUT | SOCK : OUT);
	struct request r;

	if (fd < 0 || slot_roles(fd) & TTY)
		return;
	r = ask(how, fd, 10);
	ready_out(fd, SIZE_MAX);
	for (unsigned n = ONE_OF(counts); n; n--)
		perform(how, &r);
}
