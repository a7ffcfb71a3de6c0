/* SPDX-License-Identifier: MIT */
#include "outside/registers.h"

#include "outside/bytes.h"
#include "outside/narrow.h"

#include "base/sys.h"

#include <elf.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

#if defined(__x86_64__) || defined(__i386__)

/* The kernel's user_regs of a 32-bit thread. */
struct narrow {
	uint32_t bx, cx, dx, si, di, bp, ax, ds, es, fs, gs, orig_ax, ip, cs, flags, sp, ss;
};

/* A 32-bit process's own are those of its machine. */
static void settle_number(struct pg_registers *r, uint32_t number, int tid)
{
	long unpacked;

	if (number == PG_NARROW_SOCKETCALL) {
		unpacked = pg_narrow_unpack(tid, r->arg);
		r->number = unpacked < 0 ? r->number : unpacked;
	} else {
		r->number = PG_NARROW_AUDIT ? pg_narrow_number(number) : (long)number;
	}
}

static void from_narrow(struct pg_registers *r, const struct narrow *n, int tid)
{
	*r = (struct pg_registers){
		.number = PG_NARROW_AUDIT ? -1 : (long)n->orig_ax,
		.arg = {(long)n->bx, (long)n->cx, (long)n->dx, (long)n->si, (long)n->di,
			(long)n->bp},
		.result = (int32_t)n->ax,
		.arguments = true,
		.narrow = sizeof(long) > sizeof n->ax,
		.pc = n->ip,
		.sp = n->sp,
		.frame = n->bp,
	};
	r->narrow_call = r->narrow;
	settle_number(r, n->orig_ax, tid);
}

/* Signals that come at once have their frames one on another, those of lower numbers first. What
 * the handler that R is about to run interrupted; false: R is not. Without SA_SIGINFO there are but
 * the registers. */
static bool under_narrow(int tid, const struct pg_registers *r, struct narrow *n)
{
	enum { CONTEXT = 20, GS, FS, ES, DS, DI, SI, BP, SP, BX, DX, CX, AX, TRAP, ERR, IP, WORDS };
	uint32_t top[4], w[WORDS - GS], number = n->orig_ax;
	uintptr_t at = r->sp + sizeof *top * 2;

	if (n->ax - 1 >= 64 || !pg_bytes_read(tid, r->sp, top, sizeof top) || top[1] != n->ax)
		return false;
	if (n->cx || n->dx)
		at = (uintptr_t)n->cx + CONTEXT;
	if ((n->cx && n->cx != top[3]) || !pg_bytes_read(tid, at, w, sizeof w))
		return false;
	*n = (struct narrow){w[BX - GS],       w[CX - GS],	w[DX - GS], w[SI - GS],
			     w[DI - GS],       w[BP - GS],	w[AX - GS], .orig_ax = number,
			     .ip = w[IP - GS], .sp = w[SP - GS]};
	return true;
}

#ifdef __x86_64__
/* What the kernel gives of a thread: of a 32-bit one, or the machine's own. */
union set {
	struct user_regs_struct wide;
	struct narrow narrow;
};
#define SET(set, narrow_, in_narrow, in_wide, value)                                               \
	((narrow_) ? (void)((set).narrow.in_narrow = (uint32_t)(value))                            \
		   : (void)((set).wide.in_wide = (unsigned long)(value)))

static void from_wide(struct pg_registers *r, const struct user_regs_struct *w)
{
	*r = (struct pg_registers){
		.number = (long)w->orig_rax,
		.arg = {(long)w->rdi, (long)w->rsi, (long)w->rdx, (long)w->r10, (long)w->r8,
			(long)w->r9},
		.result = (long)w->rax,
		.arguments = true,
		.pc = w->rip,
		.sp = w->rsp,
		.frame = w->rbp,
	};
}

/* By int $0x80: numbers and words are those of a 32-bit program. */
static void from_mixed(struct pg_registers *r, const struct user_regs_struct *w, int tid)
{
	const unsigned long all[6] = {w->rbx, w->rcx, w->rdx, w->rsi, w->rdi, w->rbp};

	for (int i = 0; i < 6; i++)
		r->arg[i] = (long)(uint32_t)all[i];
	r->result = (int32_t)w->rax;
	r->number = -1;
	r->narrow_call = true;
	settle_number(r, (uint32_t)w->orig_rax, tid);
}

static bool is_mixed(int tid)
{
	struct __ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) > 0 &&
	       info.arch == AUDIT_ARCH_I386;
}

static void from_any(struct pg_registers *r, const struct user_regs_struct *w, int tid)
{
	from_wide(r, w);
	if (is_mixed(tid))
		from_mixed(r, w, tid);
}

/* As under_narrow(). */
static bool under_wide(int tid, struct user_regs_struct *w)
{
	gregset_t g;

	if (w->rax || w->rdi - 1 >= 64 || w->rdx != w->rsp + sizeof(long) ||
	    !pg_bytes_read(tid, w->rdx + offsetof(ucontext_t, uc_mcontext.gregs), g, sizeof g))
		return false;
	w->rax = (unsigned long)g[REG_RAX];
	w->rbx = (unsigned long)g[REG_RBX];
	w->rcx = (unsigned long)g[REG_RCX];
	w->rdx = (unsigned long)g[REG_RDX];
	w->rsi = (unsigned long)g[REG_RSI];
	w->rdi = (unsigned long)g[REG_RDI];
	w->rbp = (unsigned long)g[REG_RBP];
	w->rsp = (unsigned long)g[REG_RSP];
	w->r8 = (unsigned long)g[REG_R8];
	w->r9 = (unsigned long)g[REG_R9];
	w->r10 = (unsigned long)g[REG_R10];
	w->rip = (unsigned long)g[REG_RIP];
	return true;
}
#else
/* Of a 64-bit thread, which this process cannot look after, it would be more. */
union set {
	struct narrow narrow, room[4];
};
#define SET(set, narrow_, in_narrow, in_wide, value)                                               \
	((void)(narrow_), (void)((set).narrow.in_narrow = (uint32_t)(value)))
#endif

static bool take(int tid, union set *set, bool *narrow)
{
	struct iovec io = {set, sizeof *set};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io))
		return false;
	*narrow = io.iov_len == sizeof set->narrow;
	return *narrow || sizeof(long) > sizeof set->narrow.ax;
}

static bool put(int tid, union set *set, bool narrow)
{
	struct iovec io = {set, narrow ? sizeof set->narrow : sizeof *set};

	return !ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}

static void from_set(struct pg_registers *r, const union set *set, bool narrow, int tid)
{
#ifdef __x86_64__
	if (!narrow) {
		from_any(r, &set->wide, tid);
		return;
	}
#endif
	(void)narrow;
	from_narrow(r, &set->narrow, tid);
}

static bool under(int tid, const struct pg_registers *r, union set *set, bool narrow)
{
#ifdef __x86_64__
	if (!narrow)
		return under_wide(tid, &set->wide);
#endif
	(void)narrow;
	return under_narrow(tid, r, &set->narrow);
}

bool pg_registers_read(int tid, struct pg_registers *r)
{
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow))
		return false;
	from_set(r, &set, narrow, tid);
	return true;
}

bool pg_registers_read_call(int tid, struct pg_registers *r)
{
	enum { SIGNALS = 64 };
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow))
		return false;
	from_set(r, &set, narrow, tid);
	for (int i = 0; i < SIGNALS && under(tid, r, &set, narrow); i++)
		from_set(r, &set, narrow, tid);
	return true;
}

bool pg_registers_skip(int tid)
{
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow))
		return false;
	SET(set, narrow, orig_ax, orig_rax, -1);
	return put(tid, &set, narrow);
}

bool pg_registers_result(int tid, long result)
{
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow))
		return false;
	SET(set, narrow, ax, rax, result);
	return put(tid, &set, narrow);
}

bool pg_registers_again(int tid, long number, long how)
{
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow))
		return false;
	SET(set, narrow, orig_ax, orig_rax, number);
	SET(set, narrow, ax, rax, how);
	return put(tid, &set, narrow);
}

bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS])
{
	enum { AX, CX, DX, BX, SP, BP, SI, DI, IP };
	union set set;
	bool narrow;

	if (!take(tid, &set, &narrow) || !narrow)
		return false;
	reg[AX] = set.narrow.ax;
	reg[CX] = set.narrow.cx;
	reg[DX] = set.narrow.dx;
	reg[BX] = set.narrow.bx;
	reg[SP] = set.narrow.sp;
	reg[BP] = set.narrow.bp;
	reg[SI] = set.narrow.si;
	reg[DI] = set.narrow.di;
	reg[IP] = set.narrow.ip;
	return true;
}

_Static_assert(sizeof(union set) <= sizeof((struct pg_registers_set *)0)->room, "it has room");

bool pg_registers_keep(int tid, struct pg_registers_set *set)
{
	union set own;

	if (!take(tid, &own, &set->narrow))
		return false;
	memcpy(set->room, &own, sizeof own);
	return true;
}

bool pg_registers_instead(int tid, const struct pg_registers_set *set, long number,
			  const long arg[3])
{
	union set own;

	memcpy(&own, set->room, sizeof own);
	SET(own, set->narrow, orig_ax, orig_rax, number);
	SET(own, set->narrow, ax, rax, number);
	SET(own, set->narrow, bx, rdi, arg[0]);
	SET(own, set->narrow, cx, rsi, arg[1]);
	SET(own, set->narrow, dx, rdx, arg[2]);
	return put(tid, &own, set->narrow);
}

/* Behind each of the instructions that call is one of two bytes that does, or the vDSO's that the
 * kernel itself goes back to. */
bool pg_registers_enter(int tid, const struct pg_registers_set *set)
{
	enum { CALL_BYTES = 2 };
	union set own;

	memcpy(&own, set->room, sizeof own);
	if (set->narrow) {
		own.narrow.ax = own.narrow.orig_ax;
		own.narrow.ip -= CALL_BYTES;
	}
#ifdef __x86_64__
	else {
		own.wide.rax = own.wide.orig_rax;
		own.wide.rip -= CALL_BYTES;
	}
#endif
	return put(tid, &own, set->narrow);
}

#elif defined(__aarch64__)

static bool take(int tid, struct user_regs_struct *set)
{
	struct iovec io = {set, sizeof *set};

	return !ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) &&
	       io.iov_len == sizeof *set;
}

static bool put(int tid, struct user_regs_struct *set)
{
	struct iovec io = {set, sizeof *set};

	return !ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}

/* The result takes the first argument's register. */
bool pg_registers_read(int tid, struct pg_registers *r)
{
	struct user_regs_struct set;

	if (!take(tid, &set))
		return false;
	*r = (struct pg_registers){
		.number = (long)set.regs[8],
		.arg = {-1, (long)set.regs[1], (long)set.regs[2], (long)set.regs[3],
			(long)set.regs[4], (long)set.regs[5]},
		.result = (long)set.regs[0],
		.pc = set.pc,
		.sp = set.sp,
		.frame = set.regs[29],
	};
	return true;
}

bool pg_registers_skip(int tid)
{
	int none = -1;
	struct iovec io = {&none, sizeof none};

	return !ptrace(PTRACE_SETREGSET, tid, (void *)0x404, &io); /* NT_ARM_SYSTEM_CALL */
}

bool pg_registers_result(int tid, long result)
{
	struct user_regs_struct set;

	if (!take(tid, &set))
		return false;
	set.regs[0] = (unsigned long)result;
	return put(tid, &set);
}

/* The first argument is lost. */
bool pg_registers_again(int tid, long number, long how)
{
	(void)number, (void)how;
	return pg_registers_result(tid, -4); /* EINTR */
}

#else

bool pg_registers_read(int tid, struct pg_registers *r)
{
	(void)tid;
	*r = (struct pg_registers){.number = -1};
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

#if !defined(__x86_64__) && !defined(__i386__)

bool pg_registers_read_call(int tid, struct pg_registers *r)
{
	return pg_registers_read(tid, r);
}

bool pg_registers_narrow(int tid, uint32_t reg[PG_NARROW_REGISTERS])
{
	(void)tid, (void)reg;
	return false;
}

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
