/* SPDX-License-Identifier: MIT */
#define PG_ARCH_CONTEXT
#define PG_ARCH_TRACEE
#include <sys/user.h>
#include <ucontext.h>

#include "outside/registers.h"

#include "outside/bytes.h"
#include "outside/narrow.h"

#include "base/sys.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#if PG_TRACES

/* ---- as the kernel gives them ---- */

struct thread {
	int tid;
	union pg_set set;
	bool narrow;
};

static bool take(int tid, struct thread *t)
{
	struct iovec io = {&t->set, sizeof t->set};

	t->tid = tid;
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io))
		return false;
#ifdef PG_SET_NARROW
	t->narrow = io.iov_len == sizeof t->set.narrow;
#else
	t->narrow = false;
#endif
	return t->narrow || io.iov_len == sizeof t->set.own;
}

static bool put(const struct thread *t)
{
	struct iovec io = {(void *)&t->set, sizeof t->set.own};

#ifdef PG_SET_NARROW
	if (t->narrow)
		io.iov_len = sizeof t->set.narrow;
#endif
	return !ptrace(PTRACE_SETREGSET, t->tid, (void *)NT_PRSTATUS, &io);
}

#ifdef PG_SET_NARROW
#define SET(t, in_own, in_narrow, value)                                                           \
	((t)->narrow ? (void)((t)->set.narrow.in_narrow = (uint32_t)(value))                       \
		     : (void)((t)->set.own.in_own = (__typeof__((t)->set.own.in_own))(value)))
#else
#define SET(t, in_own, in_narrow, value)                                                           \
	((void)((t)->set.own.in_own = (__typeof__((t)->set.own.in_own))(value)))
#endif

/* ---- as a handler would find them, of the machine's own kind ---- */

/* One thread at a time is looked at: what of, and whose memory is asked. */
static ucontext_t own;
static int owner;

static bool word_at(uintptr_t at, uintptr_t *word)
{
	return pg_bytes_read(owner, at, word, sizeof *word);
}

static bool own_beneath(void)
{
	uintptr_t at = pg_context_beneath(&own, word_at);

	return at && pg_bytes_read(owner, at + offsetof(ucontext_t, uc_mcontext), &own.uc_mcontext,
				   sizeof own.uc_mcontext);
}

static long own_number(const struct thread *t)
{
#ifdef PG_SET_APART
	(void)t;
	return (long)PG_CONTEXT_NUMBER(&own);
#else
	return (long)t->set.own.PG_SET_NUMBER;
#endif
}

static void put_args(struct pg_registers *r, const uintptr_t arg[6])
{
	for (int i = 0; i < 6; i++)
		r->arg[i] = (long)arg[i];
	if (PG_RESULT_TAKES_FIRST)
		r->arg[0] = -1;
}

/* socketcall(2) becomes what it stands for. */
static void unpack(struct pg_registers *r)
{
	long number = pg_narrow_unpack(owner, r->arg);

	r->number = number < 0 ? r->number : number;
}

static void from_own(struct pg_registers *r, const struct thread *t)
{
	uintptr_t arg[6];

	*r = (struct pg_registers){
		.number = own_number(t),
		.result = (long)PG_CONTEXT_RESULT(&own),
		.arguments = !PG_RESULT_TAKES_FIRST,
		.pc = (uintptr_t)PG_CONTEXT_PC(&own),
		.sp = PG_CONTEXT_SP(&own),
		.frame = PG_CONTEXT_FRAME(&own),
	};
	pg_context_args(&own, arg);
	put_args(r, arg);
	if (PG_HAS_SOCKETCALL && r->number == PG_NARROW_SOCKETCALL)
		unpack(r);
}

/* ---- of 32 bits, in a process of 64 ---- */

#ifdef PG_SET_NARROW

static uint32_t narrow[PG_NARROW_WORDS];

static bool narrow_word_at(uintptr_t at, uintptr_t *word)
{
	uint32_t w;

	if (!pg_bytes_read(owner, at, &w, sizeof w))
		return false;
	*word = w;
	return true;
}

static bool narrow_beneath(void)
{
	uintptr_t at = pg_narrow_beneath(narrow, narrow_word_at);

	return at && pg_bytes_read(owner, at + PG_NARROW_CONTEXT, narrow, sizeof narrow);
}

static void settle_number(struct pg_registers *r, uint32_t number)
{
	r->narrow_call = true;
	r->number = pg_narrow_number(number);
	if (number == PG_NARROW_SOCKETCALL)
		unpack(r);
}

static void from_narrow(struct pg_registers *r, const struct thread *t)
{
	uintptr_t arg[6];

	*r = (struct pg_registers){
		.result = (int32_t)narrow[PG_NARROW_AX],
		.arguments = true,
		.narrow = true,
		.pc = narrow[PG_NARROW_IP],
		.sp = narrow[PG_NARROW_SP],
		.frame = narrow[PG_NARROW_BP],
	};
	pg_narrow_args(narrow, arg);
	put_args(r, arg);
	settle_number(r, t->set.narrow.orig_ax);
}

/* By int $0x80: numbers and words are those of a 32-bit program. */
static bool is_mixed(void)
{
	struct __ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, owner, (void *)sizeof info, &info) > 0 &&
	       info.arch == PG_NARROW_AUDIT;
}

static void from_mixed(struct pg_registers *r, const struct thread *t)
{
	uintptr_t arg[6];

	pg_context_narrow_args(&own, arg);
	put_args(r, arg);
	r->result = (int32_t)r->result;
	settle_number(r, (uint32_t)t->set.own.PG_SET_NUMBER);
}

static void find(const struct thread *t)
{
	owner = t->tid;
	if (t->narrow)
		pg_narrow_context(&t->set.narrow, narrow);
	else
		pg_set_context(&t->set, &own);
}

static bool find_beneath(const struct thread *t)
{
	return t->narrow ? narrow_beneath() : own_beneath();
}

static void from_found(struct pg_registers *r, const struct thread *t)
{
	if (t->narrow) {
		from_narrow(r, t);
		return;
	}
	from_own(r, t);
	if (is_mixed())
		from_mixed(r, t);
}

bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS])
{
	static const uint8_t order[PG_NARROW_REGISTERS] = {
		PG_NARROW_AX, PG_NARROW_CX, PG_NARROW_DX, PG_NARROW_BX, PG_NARROW_SP,
		PG_NARROW_BP, PG_NARROW_SI, PG_NARROW_DI, PG_NARROW_IP};
	struct thread t;

	if (!take(tid, &t) || !t.narrow)
		return false;
	find(&t);
	for (int i = 0; i < PG_NARROW_REGISTERS; i++)
		reg[i] = narrow[order[i]];
	return true;
}

#else

static void find(const struct thread *t)
{
	owner = t->tid;
	pg_set_context(&t->set, &own);
}

static bool find_beneath(const struct thread *t)
{
	(void)t;
	return own_beneath();
}

static void from_found(struct pg_registers *r, const struct thread *t)
{
	from_own(r, t);
}

bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS])
{
	(void)tid, (void)reg;
	return false;
}

#endif

/* ---- read ---- */

bool pg_registers_read(int tid, struct pg_registers *r)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
	find(&t);
	from_found(r, &t);
	return true;
}

bool pg_registers_read_call(int tid, struct pg_registers *r)
{
	enum { SIGNALS = 64 };
	struct thread t;

	if (!take(tid, &t))
		return false;
	find(&t);
	for (int i = 0; i < SIGNALS && find_beneath(&t); i++)
		;
	from_found(r, &t);
	return true;
}

/* ---- changed ---- */

bool pg_registers_result(int tid, long result)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
	SET(&t, PG_SET_RESULT, ax, result);
	return put(&t);
}

#ifdef PG_SET_APART

bool pg_registers_in_call(int tid)
{
	(void)tid;
	return false;
}

bool pg_registers_skip(int tid)
{
	int none = -1;
	struct iovec io = {&none, sizeof none};

	return !ptrace(PTRACE_SETREGSET, tid, (void *)PG_SET_APART, &io);
}

/* The first argument is lost. */
bool pg_registers_again(int tid, long number, long how)
{
	(void)number, (void)how;
	return pg_registers_result(tid, -EINTR);
}

#else

bool pg_registers_in_call(int tid)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
#ifdef PG_SET_NARROW
	if (t.narrow)
		return (int32_t)t.set.narrow.orig_ax >= 0;
#endif
	return (int32_t)t.set.own.PG_SET_NUMBER >= 0;
}

bool pg_registers_skip(int tid)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
	SET(&t, PG_SET_NUMBER, orig_ax, -1);
	return put(&t);
}

bool pg_registers_again(int tid, long number, long how)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
	SET(&t, PG_SET_NUMBER, orig_ax, number);
	SET(&t, PG_SET_RESULT, ax, how);
	return put(&t);
}

#endif
#else

bool pg_registers_read(int tid, struct pg_registers *r)
{
	(void)tid;
	*r = (struct pg_registers){.number = -1};
	return false;
}

bool pg_registers_read_call(int tid, struct pg_registers *r)
{
	return pg_registers_read(tid, r);
}

bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS])
{
	(void)tid, (void)reg;
	return false;
}

bool pg_registers_in_call(int tid)
{
	(void)tid;
	return false;
}

bool pg_registers_skip(int tid)
{
	(void)tid;
	return false;
}

bool pg_registers_result(int tid, long result)
{
	(void)tid, (void)result;
	return false;
}

bool pg_registers_again(int tid, long number, long how)
{
	(void)tid, (void)number, (void)how;
	return false;
}

#endif

/* ---- another call in the place of one ---- */

#if PG_TRACES && !defined(PG_SET_APART)

_Static_assert(sizeof(union pg_set) <= sizeof((struct pg_registers_set *)0)->room, "it has room");

bool pg_registers_keep(int tid, struct pg_registers_set *set)
{
	struct thread t;

	if (!take(tid, &t))
		return false;
	set->narrow = t.narrow;
	memcpy(set->room, &t.set, sizeof t.set);
	return true;
}

static struct thread kept(int tid, const struct pg_registers_set *set)
{
	struct thread t = {.tid = tid, .narrow = set->narrow};

	memcpy(&t.set, set->room, sizeof t.set);
	return t;
}

bool pg_registers_instead(int tid, const struct pg_registers_set *set, long number,
			  const long arg[3])
{
	struct thread t = kept(tid, set);

	SET(&t, PG_SET_NUMBER, orig_ax, number);
	SET(&t, PG_SET_RESULT, ax, number);
	SET(&t, PG_SET_FIRST, bx, arg[0]);
	SET(&t, PG_SET_SECOND, cx, arg[1]);
	SET(&t, PG_SET_THIRD, dx, arg[2]);
	return put(&t);
}

/* Behind each of the instructions that call is one of PG_TRAP_BYTES bytes that does, or the vDSO's
 * that the kernel itself goes back to. */
bool pg_registers_enter(int tid, const struct pg_registers_set *set)
{
	struct thread t = kept(tid, set);

#ifdef PG_SET_NARROW
	if (t.narrow) {
		t.set.narrow.ax = t.set.narrow.orig_ax;
		t.set.narrow.ip -= PG_TRAP_BYTES;
		return put(&t);
	}
#endif
	t.set.own.PG_SET_RESULT = t.set.own.PG_SET_NUMBER;
	t.set.own.PG_SET_PC -= PG_TRAP_BYTES;
	return put(&t);
}

#else

bool pg_registers_keep(int tid, struct pg_registers_set *set)
{
	(void)tid, (void)set;
	return false;
}

bool pg_registers_instead(int tid, const struct pg_registers_set *set, long number,
			  const long arg[3])
{
	(void)tid, (void)set, (void)number, (void)arg;
	return false;
}

bool pg_registers_enter(int tid, const struct pg_registers_set *set)
{
	(void)tid, (void)set;
	return false;
}

#endif
