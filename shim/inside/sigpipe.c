/* SPDX-License-Identifier: MIT */
#include "inside/sigpipe.h"

#include "base/clock.h"
#include "base/next.h"
#include "rules/config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

enum { HANDLERS = 32, DEFAULTS = 32, CHANGES = 8 };

/* The kernel's bit for sa_restorer, which libc sets and shows (asm/signal.h). */
#define PG_SA_RESTORER 0x04000000

/* What libc's sigaction adds to the flags that a query shows. Where the vDSO returns, glibc
 * adds nothing. */
#if !defined(PG_NEEDS_RESTORER) && defined(__GLIBC__)
#define LIBC_FLAGS 0
#else
#define LIBC_FLAGS PG_SA_RESTORER
#endif

typedef void handler_fn(int, siginfo_t *, void *);

void (*pg_sigpipe_changed)(const struct pg_change *change);

static PG_START_DATA struct pg_sigpipe_calls report;

/* Handlers that the program ever installed, those with SA_SIGINFO under odd numbers. Entries are
 * added, never changed: the kernel holds which one is in force. */
static uintptr_t handlers[HANDLERS];

static int info_of(unsigned n)
{
	return n & 1 ? SA_SIGINFO : 0;
}

static struct pg_change changes[CHANGES];
static unsigned next_change;

/* ---- our handlers ---- */

void pg_sigpipe_default(void)
{
	uintptr_t dfl[8] = {0};

	pg_sys4(SYS_rt_sigaction, SIGPIPE, dfl, 0, PG_SIGSET_BYTES);
}

bool pg_sigpipe_queue(const siginfo_t *si)
{
	int pid = pg_pid();
	long tid = pg_sys0(SYS_gettid);
	siginfo_t own;

	if (pid <= 0)
		return false;
	if (!si) {
		memset(&own, 0, sizeof own);
		own.si_signo = SIGPIPE;
		own.si_code = SI_USER;
		own.si_pid = pid;
		own.si_uid = (uid_t)pg_sys0(SYS_getuid);
		si = &own;
	}
	return !pg_sys4(SYS_rt_tgsigqueueinfo, pid, tid, SIGPIPE, si) ||
	       !pg_sys3(SYS_tgkill, pid, tid, SIGPIPE) || !pg_sys2(SYS_kill, pid, SIGPIPE);
}

/* The kernel drops a signal with its default action that comes to the first process of a namespace
 * (pid_namespaces(7)). */
static bool is_init(void)
{
	return !pg_confined && pg_pid() == 1;
}

static void set_mask_word(sigset_t *set, uint64_t word)
{
	memcpy(set, &word, sizeof word);
}

static uint64_t mask_word(const sigset_t *set)
{
	uint64_t word;

	memcpy(&word, set, sizeof word);
	return word;
}

/* sigsuspend, ppoll and the like let a signal through for the time of the call alone: the mask that
 * comes back after this handler would hold it. */
static void let_through(void *context)
{
	ucontext_t *uc = context;

	set_mask_word(&uc->uc_sigmask,
		      mask_word(&uc->uc_sigmask) & ~((uint64_t)1 << (SIGPIPE - 1)));
}

/*
 * The process is to die of the signal once this handler returns: it is queued
 * again, while it is blocked, so that what is logged next is certain; or, where a
 * sandbox refuses that, the write is made once more under the default action.
 */
static bool prepare_death(const siginfo_t *si, void *uc, bool by_write)
{
	uint64_t only = (uint64_t)1 << (SIGPIPE - 1);

	let_through(uc);
	if (pg_confined)
		return by_write ? pg_hit_repeat(uc) : pg_sigpipe_queue(si);
	pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &only, 0, PG_SIGSET_BYTES);
	return pg_sigpipe_queue(si) || (by_write && pg_hit_repeat(uc));
}

static void die(void)
{
	report.dies();
	if (!pg_confined) /* where SA_RESETHAND has put it back */
		pg_sigpipe_default();
}

/* A write broke, and the program has the default action. */
static void on_broken(const struct pg_op *op, const siginfo_t *si, void *uc)
{
	if (is_init()) {
		report.broken(op, PG_SIG_NONE);
	} else if (!report.spared(op)) {
		if (prepare_death(si, uc, true)) {
			report.broken(op, PG_SIG_FATAL);
			die();
			return;
		}
		report.broken(op, PG_SIG_NONE);
	}
	pg_hit_mark_logged(op, uc);
}

/* Did the program itself raise it, by one of the calls that do? */
static bool by_itself(const siginfo_t *si, const void *uc)
{
	long nr;

	if (pg_confined)
		return false;
	if (si->si_code != SI_USER || si->si_pid != pg_pid())
		return si->si_code == SI_TKILL;
	nr = pg_hit_number(uc);
	return nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill;
}

/* The signal of a write that was logged as blocked: taken away like that of any other. */
static bool spared_later(uint64_t owed)
{
	struct pg_op op = {.fd = (int)(uint32_t)owed};

	return owed && report.spared(&op);
}

/* A SIGPIPE that is no write's of this moment. Not inline: it needs room of its own. */
static __attribute__((noinline)) void on_other(const siginfo_t *si, void *uc)
{
	bool itself = by_itself(si, uc);
	uint64_t owed = itself ? 0 : pg_owed;

	if (!itself)
		pg_owed = 0;
	if (is_init() || spared_later(owed) || !prepare_death(si, uc, false))
		return;
	report.killed(si->si_pid, itself, owed);
	die();
}

static void on_default(const siginfo_t *si, void *uc)
{
	struct pg_op op;
	int saved = errno;

	if (!pg_hit_is_stale(uc) && pg_hit_recognise(si, uc, &op))
		on_broken(&op, si, uc);
	else
		on_other(si, uc);
	errno = saved;
}

/* In front of the program's handler number I. True: OP was logged, which is marked when that has
 * returned, if it does. */
static bool before_handler(unsigned i, const siginfo_t *si, void *uc, struct pg_op *op);

/* 32 copies of each, X(0) to X(31): which one is installed says what the program asked for. */
/* clang-format off */
#define EACH(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
	X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) \
	X(30) X(31)
/* clang-format on */

/* The empty asm keeps the copies apart: identical functions could be folded into one. */
#define DEFAULT_N(n)                                                                               \
	static void default_##n(int sig, siginfo_t *si, void *uc)                                  \
	{                                                                                          \
		(void)sig;                                                                         \
		on_default(si, uc);                                                                \
		__asm__ volatile("" ::"i"(n));                                                     \
	}
EACH(DEFAULT_N)
#define CAUGHT_N(n)                                                                                \
	static void caught_##n(int sig, siginfo_t *si, void *uc)                                   \
	{                                                                                          \
		struct pg_op op;                                                                   \
		bool logged = before_handler(n, si, uc, &op);                                      \
		((handler_fn *)PG_GET(handlers[n]))(sig, si, uc);                                  \
		if (logged)                                                                        \
			pg_hit_mark_logged(&op, uc);                                               \
	}
EACH(CAUGHT_N)

#define DEFAULT_ENTRY(n) default_##n,
static handler_fn *const default_table[DEFAULTS] = {EACH(DEFAULT_ENTRY)};
#define CAUGHT_ENTRY(n) caught_##n,
static handler_fn *const caught_table[HANDLERS] = {EACH(CAUGHT_ENTRY)};

static int index_of(handler_fn *const *table, int n, const void *fn)
{
	for (int i = 0; i < n; i++)
		if ((const void *)table[i] == fn)
			return i;
	return -1;
}

/* ---- the program's view, and the kernel's ---- */

/* Flags that our own handler needs or must not have; what the program asked for is the number of
 * the default handler. */
static const uint32_t coded[] = {SA_SIGINFO, SA_ONSTACK, SA_RESTART, SA_RESETHAND, PG_SA_RESTORER};

static uint32_t mask_of_coded(void)
{
	uint32_t all = 0;

	for (unsigned i = 0; i < 5; i++)
		all |= coded[i];
	return all;
}

/* All signals but KILL and STOP, libc's internal ones included: a set that no program can make
 * through libc. Stands for the empty one. */
#define FULL_MASK (~(((uint64_t)1 << (SIGKILL - 1)) | ((uint64_t)1 << (SIGSTOP - 1))))

/* A thread has an alternate signal stack that is too small for our handler, and perhaps for the
 * kernel's frame: the ordinary stack is used. */
static PG_START_DATA bool no_alternate;

static void default_to_kernel(struct sigaction *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 5; i++)
		if ((uint32_t)a->sa_flags & coded[i])
			n |= 1u << i;
	a->sa_flags = (int)(((uint32_t)a->sa_flags & ~mask_of_coded()) | SA_SIGINFO | SA_RESTART |
			    (PG_GET(no_alternate) ? 0 : SA_ONSTACK));
	a->sa_sigaction = default_table[n];
	if (!mask_word(&a->sa_mask))
		set_mask_word(&a->sa_mask, FULL_MASK);
}

static void default_to_program(struct sigaction *a, unsigned n)
{
	a->sa_flags = (int)((uint32_t)a->sa_flags & ~mask_of_coded());
	for (unsigned i = 0; i < 5; i++)
		if (n >> i & 1)
			a->sa_flags = (int)((uint32_t)a->sa_flags | coded[i]);
	a->sa_handler = SIG_DFL;
	if (!((uint32_t)a->sa_flags & PG_SA_RESTORER)) /* nobody gave one */
		a->sa_restorer = NULL;
	if (mask_word(&a->sa_mask) == FULL_MASK)
		set_mask_word(&a->sa_mask, 0);
}

/* The number under which FN is known from now on; -1 if there is no room. */
static int intern(uintptr_t fn, bool info)
{
	for (int i = info; i < HANDLERS; i += 2) {
		uintptr_t has = 0;

		if (__atomic_compare_exchange_n(&handlers[i], &has, fn, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED) ||
		    has == fn)
			return i;
	}
	return -1;
}

static void to_kernel(struct sigaction *a, bool from_libc)
{
	int n;

	if (a->sa_handler == SIG_DFL) {
		if (from_libc)
			a->sa_flags |= LIBC_FLAGS;
		default_to_kernel(a);
		return;
	}
	if (a->sa_handler == SIG_IGN || (uintptr_t)a->sa_handler < 4096)
		return;
	n = intern((uintptr_t)a->sa_handler, a->sa_flags & SA_SIGINFO);
	if (n < 0)
		return;
	a->sa_sigaction = caught_table[n];
	a->sa_flags |= SA_SIGINFO; /* or the kernel leaves the siginfo out */
}

static void to_program(struct sigaction *a)
{
	int n = index_of(default_table, DEFAULTS, (const void *)a->sa_sigaction);

	if (n >= 0) {
		default_to_program(a, (unsigned)n);
		return;
	}
	n = index_of(caught_table, HANDLERS, (const void *)a->sa_sigaction);
	if (n < 0)
		return;
	a->sa_sigaction = (handler_fn *)PG_GET(handlers[n]);
	a->sa_flags = (a->sa_flags & ~SA_SIGINFO) | info_of((unsigned)n);
}

/* SA_RESETHAND has put the real default back before handler number I runs: take it over as at
 * start. */
static void watch_again(unsigned i)
{
	struct sigaction a;

	if (pg_confined || NEXT(sigaction)(SIGPIPE, NULL, &a) || a.sa_handler != SIG_DFL)
		return;
	a.sa_flags = (a.sa_flags & ~SA_SIGINFO) | info_of(i);
	to_kernel(&a, true);
	NEXT(sigaction)(SIGPIPE, &a, NULL);
}

static bool before_handler(unsigned i, const siginfo_t *si, void *uc, struct pg_op *op)
{
	int saved = errno;
	bool is_hit = !pg_hit_is_stale(uc) && pg_hit_recognise(si, uc, op);

	if (is_hit)
		report.broken(op, PG_SIG_CAUGHT);
	else if (!by_itself(si, uc))
		pg_owed = 0;
	watch_again(i);
	errno = saved;
	return is_hit;
}

static enum pg_state state_of(sighandler_t handler)
{
	if (handler == SIG_DFL)
		return PG_STATE_DEFAULT;
	return handler == SIG_IGN ? PG_STATE_IGNORED : PG_STATE_CAUGHT;
}

static void record(enum pg_state from, enum pg_state to, uintptr_t by)
{
	unsigned i = __atomic_fetch_add(&next_change, 1, __ATOMIC_RELAXED) % CHANGES;
	struct pg_change c = {.from = from, .to = to, .by = pg_code_at(by), .at = pg_now()};

	if (pg_sigpipe_changed) /* a system call that only a verbose log pays */
		c.tid = (int)pg_sys0(SYS_gettid);

	changes[i] = c;
	if (pg_sigpipe_changed)
		pg_sigpipe_changed(&c);
}

int pg_sigpipe_action(const struct sigaction *act, struct sigaction *old, uintptr_t by)
{
	struct sigaction mine, was;
	int ret;

	if (act) {
		mine = *act;
		to_kernel(&mine, true);
	}
	ret = NEXT(sigaction)(SIGPIPE, act ? &mine : NULL, &was);
	if (ret)
		return ret;
	to_program(&was);
	if (act && state_of(act->sa_handler) != state_of(was.sa_handler))
		record(state_of(was.sa_handler), state_of(act->sa_handler), by);
	if (old)
		*old = was;
	return 0;
}

sighandler_t pg_sigpipe_adopt(sighandler_t old, uintptr_t by)
{
	struct sigaction was = {.sa_handler = old}, now, mine;

	if (old == SIG_ERR)
		return old;
	to_program(&was);
	if (NEXT(sigaction)(SIGPIPE, NULL, &now))
		return was.sa_handler;
	mine = now;
	to_program(&now);
	if (mine.sa_handler == now.sa_handler && now.sa_handler != SIG_IGN) {
		to_kernel(&mine, true);
		NEXT(sigaction)(SIGPIPE, &mine, NULL);
	}
	if (state_of(now.sa_handler) != state_of(was.sa_handler))
		record(state_of(was.sa_handler), state_of(now.sa_handler), by);
	return was.sa_handler;
}

/* The kernel's own answer, by system call: libc's sigaction may be another preload's. */
static sighandler_t handler_now(void)
{
	struct sigaction a = {.sa_handler = SIG_DFL};
	uintptr_t kernel[8] = {0};

	pg_sys4(SYS_rt_sigaction, SIGPIPE, 0, kernel, PG_SIGSET_BYTES);
	a.sa_handler = (sighandler_t)kernel[0];
	to_program(&a);
	return a.sa_handler;
}

enum pg_signal pg_sigpipe_outcome(void)
{
	uint64_t blocked = 0;

	pg_sys4(SYS_rt_sigprocmask, SIG_BLOCK, 0, &blocked, PG_SIGSET_BYTES);
	return pg_sigpipe_outcome_under(blocked);
}

enum pg_signal pg_sigpipe_outcome_under(uint64_t blocked)
{
	if (blocked >> (SIGPIPE - 1) & 1)
		return PG_SIG_BLOCKED;
	switch (state_of(handler_now())) {
	case PG_STATE_IGNORED:
		return PG_SIG_IGNORED;
	case PG_STATE_CAUGHT:
		return PG_SIG_CAUGHT;
	case PG_STATE_DEFAULT:
		break;
	}
	return is_init() ? PG_SIG_NONE : PG_SIG_FATAL;
}

/* A vfork child writes into the same ring: only an entry that agrees with the kernel is believed.
 */
bool pg_sigpipe_last_change(enum pg_signal outcome, struct pg_change *change)
{
	enum pg_state now = outcome == PG_SIG_IGNORED  ? PG_STATE_IGNORED
			    : outcome == PG_SIG_CAUGHT ? PG_STATE_CAUGHT
						       : state_of(handler_now());
	unsigned last = __atomic_load_n(&next_change, __ATOMIC_RELAXED);

	for (unsigned back = 1; back <= CHANGES && back <= last; back++) {
		*change = changes[(last - back) % CHANGES];
		if (change->to == now && change->by.at)
			return true;
	}
	return false;
}

/*
 * The way back from a handler that was set without libc. The kernel of x86-64
 * has none of its own; unwinders know these instructions, and gdb the name.
 */
#ifdef PG_NEEDS_RESTORER
extern const char pg_restore_rt[] __asm__("__restore_rt") PG_HIDDEN;
#define RESTORER ((uintptr_t)pg_restore_rt)
#define RESTORER_FLAG PG_SA_RESTORER
#else
#define RESTORER 0
#define RESTORER_FLAG 0
#endif

/* What rt_sigaction(2) takes: four words and, on 64 bits, no more. */
struct kernel_action {
	uintptr_t handler, flags, restorer;
	uint64_t mask __attribute__((packed, aligned(sizeof(long))));
};

/* libc's sigaction may be a sanitizer's, which is not ready before the program's constructors. */
static bool kernel_action(const struct sigaction *act, struct sigaction *old)
{
	struct kernel_action a = {0}, was = {0};

	if (act) {
		a.handler = (uintptr_t)act->sa_sigaction;
		a.flags = (uint32_t)act->sa_flags | RESTORER_FLAG;
		a.restorer = RESTORER;
		a.mask = mask_word(&act->sa_mask);
	}
	if (pg_sys(SYS_rt_sigaction, PG_W(SIGPIPE), PG_W(act ? &a : NULL), PG_W(&was),
		   PG_W(PG_SIGSET_BYTES)))
		return false;
	if (old) {
		memset(old, 0, sizeof *old);
		old->sa_sigaction = (handler_fn *)was.handler;
		old->sa_flags = (int)was.flags;
		set_mask_word(&old->sa_mask, was.mask);
	}
	return true;
}

enum pg_state pg_sigpipe_start(const struct pg_sigpipe_calls *calls)
{
	struct sigaction now;
	enum pg_state state;

	report = *calls;
	if (!kernel_action(NULL, &now))
		return PG_STATE_DEFAULT;
	to_program(&now);
	state = state_of(now.sa_handler);
	if (state != PG_STATE_DEFAULT)
		return state;
	to_kernel(&now, false);
	kernel_action(&now, NULL);
	return state;
}

void pg_sigpipe_alternate(size_t size)
{
	enum { OURS = 6144, OLD_MIN = 2048, AUX_MIN_STACK = 51 }; /* AT_MINSIGSTKSZ, Linux 5.14 */
	unsigned long kernels = pg_auxval(AUX_MIN_STACK);
	struct sigaction a;

	if (size >= (kernels ? kernels : OLD_MIN) + OURS || PG_GET(no_alternate))
		return;
	PG_PUT(no_alternate, true);
	if (NEXT(sigaction)(SIGPIPE, NULL, &a) ||
	    index_of(default_table, DEFAULTS, (const void *)a.sa_sigaction) < 0)
		return;
	a.sa_flags = (int)((uint32_t)a.sa_flags & ~(uint32_t)SA_ONSTACK);
	NEXT(sigaction)(SIGPIPE, &a, NULL);
}

void pg_sigpipe_withdraw(bool undo)
{
	struct sigaction a;

	if (NEXT(sigaction)(SIGPIPE, NULL, &a))
		return;
	to_program(&a);
	if (undo)
		to_kernel(&a, true);
	NEXT(sigaction)(SIGPIPE, &a, NULL);
}

/*
 * With SA_RESETHAND the kernel itself puts the default back when our handler
 * runs; the handler then has the write made once more, and that one kills.
 */
void pg_sigpipe_confine(bool undo)
{
	struct sigaction a;

	if (pg_config.suppress == PG_SUPPRESS) /* which needs no system call */
		return;
	if (NEXT(sigaction)(SIGPIPE, NULL, &a) ||
	    index_of(default_table, DEFAULTS, (const void *)a.sa_sigaction) < 0)
		return;
	if (undo)
		a.sa_flags = (int)((uint32_t)a.sa_flags & ~(uint32_t)SA_RESETHAND);
	else
		a.sa_flags = (int)((uint32_t)a.sa_flags | SA_RESETHAND);
	NEXT(sigaction)(SIGPIPE, &a, NULL);
}
