/* SPDX-License-Identifier: MIT */
#ifndef PG_I386_H
#define PG_I386_H

#include "arch/x86_narrow.h"

/* The largest page, and the registers that a caller gets back. */
enum { PG_PAGE_MOST = 4096, PG_UNWIND_REGISTERS = 8 };

/* The folder of its libraries; <linux/audit.h>'s name, and <elf.h>'s. */
#define PG_LIBRARIES "i386-linux-gnu"
#define PG_AUDIT AUDIT_ARCH_I386
#define PG_ELF_MACHINE EM_386

/* The outside engine knows its registers. */
#define PG_TRACES 1

/* Old system calls that make or end descriptors here. */
#define PG_RAW_OLD X(SYS_pipe) X(SYS_dup2) X(SYS_fcntl64)

/* Before glibc 2.32: its word in the thread's own block (tcbhead_t). */
#ifdef __GLIBC__
#define PG_ASK_THREADS(has) __asm__ volatile("movl %%gs:0xc, %0" : "=r"(has))
#endif

/* The carry of the one half goes to the other, once, whoever adds meanwhile: the sum is right when
 * nobody does. */
#define PG_ADD(sum, n)                                                                             \
	__asm__ volatile("lock addl %1, (%0)\n\tlock adcl %2, 4(%0)"                               \
			 :                                                                         \
			 : "r"(sum), "ri"((uint32_t)(n)), "ri"((uint32_t)((uint64_t)(n) >> 32))    \
			 : "cc", "memory")

/* ---- what a signal interrupted, for hit.c ---- */
#ifdef PG_ARCH_CONTEXT

enum { PG_TRAP_BYTES = 2, PG_RESULT_TAKES_FIRST = false, PG_NUMBER_IS_LOST = true };

static inline void pg_context_args(const ucontext_t *uc, uintptr_t arg[6])
{
	static const int order[6] = {REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP};

	for (int i = 0; i < 6; i++)
		arg[i] = (uintptr_t)uc->uc_mcontext.gregs[order[i]];
}

static inline void pg_context_set_args(ucontext_t *uc, const uintptr_t *arg, int n)
{
	static const int order[3] = {REG_EBX, REG_ECX, REG_EDX};

	for (int i = 0; i < n; i++)
		uc->uc_mcontext.gregs[order[i]] = (greg_t)arg[i];
}

/* The context that another signal's handler was given, as it begins; 0: it is none. */
static inline uintptr_t pg_context_beneath(const ucontext_t *uc, pg_word_at *word)
{
	return pg_narrow_beneath((const uint32_t *)uc->uc_mcontext.gregs, word);
}

#define PG_CONTEXT_RESULT(uc) ((int64_t)(uc)->uc_mcontext.gregs[REG_EAX])
#define PG_CONTEXT_PC(uc) ((uc)->uc_mcontext.gregs[REG_EIP])
#define PG_CONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_ESP])
#define PG_CONTEXT_NUMBER(uc) ((uc)->uc_mcontext.gregs[REG_EAX])
#define PG_CONTEXT_FRAME(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_EBP])

#endif

/* ---- a stopped thread's, for registers.c ---- */
#ifdef PG_ARCH_TRACEE

/* Of a 64-bit thread, which this process cannot look after, it would be more. */
union pg_set {
	struct user_regs_struct own;
	uint64_t room[40];
};
enum { PG_HAS_SOCKETCALL = true };

static inline void pg_set_context(const union pg_set *set, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;

	g[REG_EBX] = (greg_t)set->own.ebx;
	g[REG_ECX] = (greg_t)set->own.ecx;
	g[REG_EDX] = (greg_t)set->own.edx;
	g[REG_ESI] = (greg_t)set->own.esi;
	g[REG_EDI] = (greg_t)set->own.edi;
	g[REG_EBP] = (greg_t)set->own.ebp;
	g[REG_ESP] = (greg_t)set->own.esp;
	g[REG_EAX] = (greg_t)set->own.eax;
	g[REG_EIP] = (greg_t)set->own.eip;
}

#define PG_SET_NUMBER orig_eax
#define PG_SET_RESULT eax
#define PG_SET_PC eip
#define PG_SET_FIRST ebx
#define PG_SET_SECOND ecx
#define PG_SET_THIRD edx

#endif

/* ---- the tables' registers, for unwinder.c ---- */
#ifdef PG_ARCH_UNWIND

enum { EBX, EBP, SP, ESI, EDI, RETURN, REGISTERS };
static const int8_t slots[] = {-1, -1, -1, EBX, SP, EBP, ESI, EDI, RETURN};
static const int16_t in_context[REGISTERS] = {REG_EBX, REG_EBP, REG_ESP, REG_ESI, REG_EDI, REG_EIP};
/* mov $173,%eax; int $0x80 */
static const uint8_t restorers[][9] = {{0xb8, 0xad, 0, 0, 0, 0xcd, 0x80, 0, 0}};
enum { RESTORER_BYTES = 7 };
/* Code without tables that keeps a frame has its caller's frame pointer where this one points to,
 * and the way back above it. */
#define FRAME EBP
#define CONTEXT_BYTES (offsetof(ucontext_t, uc_mcontext.gregs) + sizeof(gregset_t))
#define CONTEXT_REGISTER(i) offsetof(ucontext_t, uc_mcontext.gregs[in_context[i]])
#define CONTEXT_PC offsetof(ucontext_t, uc_mcontext.gregs[REG_EIP])
#define CONTEXT_ON_STACK(sp) (load_or_zero(c, (sp) + 8)) /* the handler's third argument */
#define STRIPPED(pc) (pc)
#define HERE(c)                                                                                    \
	__asm__ volatile("movl %%ebx,(%0)\n movl %%ebp,4(%0)\n movl %%esp,8(%0)\n"                 \
			 "movl %%esi,12(%0)\n movl %%edi,16(%0)\n call 1f\n 1: popl 20(%0)\n"      \
			 :                                                                         \
			 : "r"((c)->reg)                                                           \
			 : "memory")

#endif
#endif
