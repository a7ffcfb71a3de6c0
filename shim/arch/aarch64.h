/* SPDX-License-Identifier: MIT */
#ifndef PG_AARCH64_H
#define PG_AARCH64_H

/* The largest page, and the registers that a caller gets back. */
enum { PG_PAGE_MOST = 65536, PG_UNWIND_REGISTERS = 14 };

/* The folder of its libraries; <linux/audit.h>'s name, and <elf.h>'s. */
#define PG_LIBRARIES "aarch64-linux-gnu"
#define PG_AUDIT AUDIT_ARCH_AARCH64
#define PG_ELF_MACHINE EM_AARCH64

/* The outside engine knows its registers. */
#define PG_TRACES 1

/* Old system calls that make or end descriptors here. */
#define PG_RAW_OLD X(SYS_accept)

/* ---- what a signal interrupted, for hit.c ---- */
#ifdef PG_ARCH_CONTEXT

enum { PG_TRAP_BYTES = 4, PG_RESULT_TAKES_FIRST = true, PG_NUMBER_IS_LOST = false };

static inline void pg_context_args(const ucontext_t *uc, uintptr_t arg[6])
{
	for (int i = 0; i < 6; i++)
		arg[i] = uc->uc_mcontext.regs[i];
}

static inline void pg_context_set_args(ucontext_t *uc, const uintptr_t *arg, int n)
{
	for (int i = 0; i < n; i++)
		uc->uc_mcontext.regs[i] = arg[i];
}

/* The context that another signal's handler was given, as it begins; 0: it is none. It is behind
 * the siginfo_t, and its vector registers (FPSIMD_MAGIC) come first. */
static inline uintptr_t pg_context_beneath(const ucontext_t *uc, pg_word_at *word)
{
	uintptr_t at = uc->uc_mcontext.sp + 128, first;
	uint64_t signal = uc->uc_mcontext.regs[0];

	if (!signal || signal > 64 ||
	    !word(at + offsetof(ucontext_t, uc_mcontext.__reserved), &first))
		return 0;
	return (uint32_t)first == 0x46508001 ? at : 0;
}

#define PG_CONTEXT_RESULT(uc) ((int64_t)(uc)->uc_mcontext.regs[0])
#define PG_CONTEXT_PC(uc) ((uc)->uc_mcontext.pc)
#define PG_CONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.sp)
#define PG_CONTEXT_NUMBER(uc) ((uc)->uc_mcontext.regs[8])
#define PG_CONTEXT_FRAME(uc) ((uintptr_t)(uc)->uc_mcontext.regs[29])

#endif

/* ---- a stopped thread's, for registers.c ---- */
#ifdef PG_ARCH_TRACEE

union pg_set {
	struct user_regs_struct own;
};
enum { PG_HAS_SOCKETCALL = false };

static inline void pg_set_context(const union pg_set *set, ucontext_t *uc)
{
	for (int i = 0; i < 31; i++)
		uc->uc_mcontext.regs[i] = set->own.regs[i];
	uc->uc_mcontext.sp = set->own.sp;
	uc->uc_mcontext.pc = set->own.pc;
}

/* The number has a set of its own (NT_ARM_SYSTEM_CALL, an int). */
#define PG_SET_APART 0x404
#define PG_SET_RESULT regs[0]

#endif

/* ---- the tables' registers, for unwinder.c ---- */
#ifdef PG_ARCH_UNWIND

enum { X19, X29 = 10, RETURN = 11, SP, REGISTERS }; /* x30 is the way back */
static const int8_t slots[] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
			       -1, -1, -1, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, SP};
/* mov x8,#139; svc #0 */
static const uint8_t restorers[][9] = {{0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0}};
enum { RESTORER_BYTES = 8 };
#define CONTEXT_BYTES (offsetof(ucontext_t, uc_mcontext.pc) + sizeof(uint64_t))
#define CONTEXT_REGISTER(i)                                                                        \
	((i) == SP ? offsetof(ucontext_t, uc_mcontext.sp)                                          \
		   : offsetof(ucontext_t, uc_mcontext.regs[19 + (i)]))
#define CONTEXT_PC offsetof(ucontext_t, uc_mcontext.pc)
#define CONTEXT_ON_STACK(sp) ((sp) + 128) /* behind the siginfo_t */

/* Without the signature of a return address (hint #7: xpaclri; nothing on older machines). */
static uintptr_t stripped(uintptr_t pc)
{
	register uintptr_t x30 __asm__("x30") = pc;

	__asm__("hint #7" : "+r"(x30));
	return x30;
}
#define STRIPPED(pc) stripped(pc)
#define HERE(c)                                                                                    \
	__asm__ volatile("stp x19,x20,[%0]\n stp x21,x22,[%0,#16]\n stp x23,x24,[%0,#32]\n"        \
			 "stp x25,x26,[%0,#48]\n stp x27,x28,[%0,#64]\n stp x29,x30,[%0,#80]\n"    \
			 "mov x9,sp\n str x9,[%0,#96]\n adr x9,.\n str x9,%1\n"                    \
			 :                                                                         \
			 : "r"((c)->reg), "m"((c)->pc)                                             \
			 : "x9", "memory")

#define PG_HERE_SETS_PC 1

#endif
#endif
