/* SPDX-License-Identifier: MIT */
/* 32-bit threads of x86, as i386 and x86_64 know them. */
#ifndef PG_X86_NARROW_H
#define PG_X86_NARROW_H

#include <stdbool.h>
#include <stdint.h>

/* The registers in the context that a handler is given, which begin after five words. */
enum {
	PG_NARROW_CONTEXT = 20,
	PG_NARROW_DI = 4,
	PG_NARROW_SI,
	PG_NARROW_BP,
	PG_NARROW_SP,
	PG_NARROW_BX,
	PG_NARROW_DX,
	PG_NARROW_CX,
	PG_NARROW_AX,
	PG_NARROW_IP = 14,
	PG_NARROW_WORDS
};

/* The context that the handler was given which begins with the registers G; 0: it is none. Without
 * SA_SIGINFO there are but the registers. WORD reads one of 32 bits. */
static inline uintptr_t pg_narrow_beneath(const uint32_t *g, pg_word_at *word)
{
	uintptr_t sp = g[PG_NARROW_SP], signal, given;

	if (g[PG_NARROW_AX] - 1 >= 64 || !word(sp + 4, &signal) || signal != g[PG_NARROW_AX])
		return 0;
	if (!g[PG_NARROW_CX] && !g[PG_NARROW_DX])
		return sp + 8 - PG_NARROW_CONTEXT;
	return word(sp + 12, &given) && given == g[PG_NARROW_CX] ? given : 0;
}

static inline void pg_narrow_args(const uint32_t *g, uintptr_t arg[6])
{
	static const uint8_t order[6] = {PG_NARROW_BX, PG_NARROW_CX, PG_NARROW_DX,
					 PG_NARROW_SI, PG_NARROW_DI, PG_NARROW_BP};

	for (int i = 0; i < 6; i++)
		arg[i] = g[order[i]];
}

/* What the kernel of x86_64 gives of such a thread, its user_regs. */
struct pg_narrow_set {
	uint32_t bx, cx, dx, si, di, bp, ax, ds, es, fs, gs, orig_ax, ip, cs, flags, sp, ss;
};

static inline void pg_narrow_context(const struct pg_narrow_set *set, uint32_t *g)
{
	g[PG_NARROW_DI] = set->di;
	g[PG_NARROW_SI] = set->si;
	g[PG_NARROW_BP] = set->bp;
	g[PG_NARROW_SP] = set->sp;
	g[PG_NARROW_BX] = set->bx;
	g[PG_NARROW_DX] = set->dx;
	g[PG_NARROW_CX] = set->cx;
	g[PG_NARROW_AX] = set->ax;
	g[PG_NARROW_IP] = set->ip;
}

#endif
