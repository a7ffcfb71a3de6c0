/* SPDX-License-Identifier: MIT */
#ifndef PG_I386_H
#define PG_I386_H

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

/* The context that another signal's handler was given, as it begins; 0: it is none. Without
 * SA_SIGINFO there are but the registers. */
static inline uintptr_t pg_context_beneath(const ucontext_t *uc, pg_word_at *word)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	uintptr_t sp = (uintptr_t)g[REG_ESP], signal, given, registers = sp + 8;

	if (g[REG_EAX] <= 0 || g[REG_EAX] > 64 || !word(sp + 4, &signal) ||
	    signal != (uintptr_t)g[REG_EAX])
		return 0;
	if (!g[REG_ECX] && !g[REG_EDX])
		return registers - offsetof(ucontext_t, uc_mcontext);
	return word(sp + 12, &given) && given == (uintptr_t)g[REG_ECX] ? given : 0;
}

#define PG_CONTEXT_RESULT(uc) ((int64_t)(uc)->uc_mcontext.gregs[REG_EAX])
#define PG_CONTEXT_PC(uc) ((uc)->uc_mcontext.gregs[REG_EIP])
#define PG_CONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_ESP])
#define PG_CONTEXT_NUMBER(uc) ((uc)->uc_mcontext.gregs[REG_EAX])

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
