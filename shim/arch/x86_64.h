/* SPDX-License-Identifier: MIT */
#ifndef PG_X86_64_H
#define PG_X86_64_H

/* The largest page, and the registers that a caller gets back. */
enum { PG_PAGE_MOST = 4096, PG_UNWIND_REGISTERS = 8 };

/* The folder of its libraries; <linux/audit.h>'s name, and <elf.h>'s. */
#define PG_LIBRARIES "x86_64-linux-gnu"
#define PG_AUDIT AUDIT_ARCH_X86_64
#define PG_ELF_MACHINE EM_X86_64

/* The outside engine knows its registers. */
#define PG_TRACES 1

/* Old system calls that make or end descriptors here. */
#define PG_RAW_OLD X(SYS_pipe) X(SYS_dup2) X(SYS_accept)

/* Before glibc 2.32: its word in the thread's own block (tcbhead_t). */
#ifdef __GLIBC__
#define PG_ASK_THREADS(has) __asm__ volatile("movl %%fs:0x18, %0" : "=r"(has))
#endif

/* Its kernel has no way back from a handler of its own. */
#define PG_NEEDS_RESTORER 1

/* A function that a hot path asks in passing: its caller's registers stay as they are. */
#if !defined(__clang__) && __GNUC__ >= 11
#define PG_KEEPS_REGISTERS __attribute__((no_caller_saved_registers, target("general-regs-only")))
#endif

/* One instruction. */
#define PG_ADD(sum, n) __asm__ volatile("lock addq %1,%0" : "+m"(*(sum)) : "r"(n) : "cc")

/* ---- what a signal interrupted, for hit.c ---- */
#ifdef PG_ARCH_CONTEXT

enum { PG_TRAP_BYTES = 2, PG_RESULT_TAKES_FIRST = false, PG_NUMBER_IS_LOST = true };

static inline void pg_context_args(const ucontext_t *uc, uintptr_t arg[6])
{
	static const int order[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

	for (int i = 0; i < 6; i++)
		arg[i] = (uintptr_t)uc->uc_mcontext.gregs[order[i]];
}

static inline void pg_context_set_args(ucontext_t *uc, const uintptr_t *arg, int n)
{
	static const int order[3] = {REG_RDI, REG_RSI, REG_RDX};

	for (int i = 0; i < n; i++)
		uc->uc_mcontext.gregs[order[i]] = (greg_t)arg[i];
}

/* The context that another signal's handler was given, as it begins; 0: it is none. */
static inline uintptr_t pg_context_beneath(const ucontext_t *uc, pg_word_at *word)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	bool begins =
		!g[REG_RAX] && g[REG_RDI] > 0 && g[REG_RDI] <= 64 && g[REG_RDX] == g[REG_RSP] + 8;

	(void)word;
	return begins ? (uintptr_t)g[REG_RDX] : 0;
}

#define PG_CONTEXT_RESULT(uc) ((int64_t)(uc)->uc_mcontext.gregs[REG_RAX])
#define PG_CONTEXT_PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define PG_CONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_RSP])
#define PG_CONTEXT_NUMBER(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#define PG_CONTEXT_FRAME(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_RBP])
/* What the kernel leaves the way back in, and no instruction after a system call reads. */
#define PG_CONTEXT_SPARE(uc) ((uc)->uc_mcontext.gregs[REG_RCX])

#endif

/* ---- a stopped thread's, for registers.c ---- */
#ifdef PG_ARCH_TRACEE
#include "arch/x86_narrow.h"

/* Which of the two it is, its length says. */
union pg_set {
	struct user_regs_struct own;
	struct pg_narrow_set narrow;
};
#define PG_SET_NARROW 1
enum { PG_HAS_SOCKETCALL = false };

static inline void pg_set_context(const union pg_set *set, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;

	g[REG_R8] = (greg_t)set->own.r8;
	g[REG_R9] = (greg_t)set->own.r9;
	g[REG_R10] = (greg_t)set->own.r10;
	g[REG_RDI] = (greg_t)set->own.rdi;
	g[REG_RSI] = (greg_t)set->own.rsi;
	g[REG_RBP] = (greg_t)set->own.rbp;
	g[REG_RBX] = (greg_t)set->own.rbx;
	g[REG_RDX] = (greg_t)set->own.rdx;
	g[REG_RAX] = (greg_t)set->own.rax;
	g[REG_RCX] = (greg_t)set->own.rcx;
	g[REG_RSP] = (greg_t)set->own.rsp;
	g[REG_RIP] = (greg_t)set->own.rip;
}

/* Where int $0x80 has the arguments of a call of 32 bits. */
static inline void pg_context_narrow_args(const ucontext_t *uc, uintptr_t arg[6])
{
	static const int order[6] = {REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP};

	for (int i = 0; i < 6; i++)
		arg[i] = (uint32_t)uc->uc_mcontext.gregs[order[i]];
}

#define PG_SET_NUMBER orig_rax
#define PG_SET_RESULT rax
#define PG_SET_PC rip
#define PG_SET_FIRST rdi
#define PG_SET_SECOND rsi
#define PG_SET_THIRD rdx

#endif

/* ---- the tables' registers, for unwinder.c ---- */
#ifdef PG_ARCH_UNWIND

enum { RBX, RBP, SP, R12, R13, R14, R15, RETURN, REGISTERS };
static const int8_t slots[] = {-1, -1, -1, RBX, -1,  -1,  RBP, SP,    -1,
			       -1, -1, -1, R12, R13, R14, R15, RETURN};
static const int16_t in_context[REGISTERS] = {REG_RBX, REG_RBP, REG_RSP, REG_R12,
					      REG_R13, REG_R14, REG_R15, REG_RIP};
/* mov $15,%rax (or %eax); syscall */
static const uint8_t restorers[][9] = {{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05},
				       {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05, 0, 0}};
enum { RESTORER_BYTES = 7 };
/* Code without tables that keeps a frame has its caller's frame pointer where this one points to,
 * and the way back above it. */
#define FRAME RBP
#define CONTEXT_BYTES (offsetof(ucontext_t, uc_mcontext.gregs) + sizeof(gregset_t))
#define CONTEXT_REGISTER(i) offsetof(ucontext_t, uc_mcontext.gregs[in_context[i]])
#define CONTEXT_PC offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP])
/* Where the restorer finds it: the kernel's frame without the way back that has been taken. */
#define CONTEXT_ON_STACK(sp) (sp)
#define STRIPPED(pc) (pc)
#define HERE(c)                                                                                    \
	__asm__ volatile("movq %%rbx,(%0)\n movq %%rbp,8(%0)\n movq %%rsp,16(%0)\n"                \
			 "movq %%r12,24(%0)\n movq %%r13,32(%0)\n movq %%r14,40(%0)\n"             \
			 "movq %%r15,48(%0)\n 1: leaq 1b(%%rip),%%rax\n movq %%rax,56(%0)\n"       \
			 :                                                                         \
			 : "r"((c)->reg)                                                           \
			 : "rax", "memory")

#endif
#endif
