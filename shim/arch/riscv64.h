/* SPDX-License-Identifier: MIT */
#ifndef PG_RISCV64_H
#define PG_RISCV64_H

/* The largest page, and the registers that a caller gets back. */
enum { PG_PAGE_MOST = 4096, PG_UNWIND_REGISTERS = 14 };

/* The folder of its libraries; <linux/audit.h>'s name, and <elf.h>'s. */
#define PG_LIBRARIES "riscv64-linux-gnu"
#define PG_AUDIT AUDIT_ARCH_RISCV64
#define PG_ELF_MACHINE EM_RISCV

/* The outside engine does not know its registers. */
#define PG_TRACES 0

/* Old system calls that make or end descriptors here. */
#define PG_RAW_OLD X(SYS_accept)

/* Its frame pointer is the canonical frame address; clang 14 fails at the builtin of that name. */
#define PG_CFA ((uintptr_t)__builtin_frame_address(0))

/* ---- what a signal interrupted, for hit.c ---- */
#ifdef PG_ARCH_CONTEXT

enum { PG_TRAP_BYTES = 4, PG_RESULT_TAKES_FIRST = true, PG_NUMBER_IS_LOST = false };

static inline void pg_context_args(const ucontext_t *uc, uintptr_t arg[6])
{
	for (int i = 0; i < 6; i++)
		arg[i] = uc->uc_mcontext.__gregs[10 + i];
}

static inline void pg_context_set_args(ucontext_t *uc, const uintptr_t *arg, int n)
{
	for (int i = 0; i < n; i++)
		uc->uc_mcontext.__gregs[10 + i] = arg[i];
}

/* The context that another signal's handler was given, as it begins; 0: it is none. */
static inline uintptr_t pg_context_beneath(const ucontext_t *uc, pg_word_at *word)
{
	const unsigned long *g =
		uc->uc_mcontext.__gregs; /* sp is 2, the first arguments 10 to 12 */
	bool begins = g[10] && g[10] <= 64 && g[11] == g[2] && g[12] == g[2] + 128;

	(void)word;
	return begins ? g[12] : 0;
}

#define PG_CONTEXT_RESULT(uc) ((int64_t)(uc)->uc_mcontext.__gregs[10])
#define PG_CONTEXT_PC(uc) ((uc)->uc_mcontext.__gregs[0])
#define PG_CONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.__gregs[2])
#define PG_CONTEXT_NUMBER(uc) ((uc)->uc_mcontext.__gregs[17])

#endif

/* ---- the tables' registers, for unwinder.c ---- */
#ifdef PG_ARCH_UNWIND

enum { S0, S1, S2, S11 = 11, RETURN, SP, REGISTERS };
static const int8_t slots[] = {-1, RETURN, SP, -1, -1, -1, -1, -1, S0, S1, -1, -1, -1, -1,
			       -1, -1,	   -1, -1, 2,  3,  4,  5,  6,  7,  8,  9,  10, 11};
/* li a7,139; ecall */
static const uint8_t restorers[][9] = {{0x93, 0x08, 0xb0, 0x08, 0x73, 0, 0, 0, 0}};
enum { RESTORER_BYTES = 8 };
#define CONTEXT_BYTES (offsetof(ucontext_t, uc_mcontext.__gregs) + 32 * sizeof(uint64_t))
#define CONTEXT_REGISTER(i)                                                                        \
	offsetof(ucontext_t, uc_mcontext.__gregs[(i) == SP	 ? 2                               \
						 : (i) == RETURN ? 1                               \
						 : (i) < 2	 ? (i) + 8                         \
								 : (i) + 16])
#define CONTEXT_PC offsetof(ucontext_t, uc_mcontext.__gregs[0])
#define CONTEXT_ON_STACK(sp) ((sp) + 128) /* behind the siginfo_t */
#define STRIPPED(pc) (pc)
#define HERE(c)                                                                                    \
	__asm__ volatile("sd s0,0(%0)\n sd s1,8(%0)\n sd s2,16(%0)\n sd s3,24(%0)\n"               \
			 "sd s4,32(%0)\n sd s5,40(%0)\n sd s6,48(%0)\n sd s7,56(%0)\n"             \
			 "sd s8,64(%0)\n sd s9,72(%0)\n sd s10,80(%0)\n sd s11,88(%0)\n"           \
			 "sd ra,96(%0)\n sd sp,104(%0)\n 1: lla t0,1b\n sd t0,%1\n"                \
			 :                                                                         \
			 : "r"((c)->reg), "m"((c)->pc)                                             \
			 : "t0", "memory")

#define PG_HERE_SETS_PC 1

#endif
#endif
