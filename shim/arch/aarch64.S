/* SPDX-License-Identifier: MIT */
/* The system call, from syscall(2), "Architecture calling conventions"; with PG_JUMPS, what only a
 * preloaded library has. */
#if defined(__aarch64__)

#ifndef PG_JUMPS

/* pg_sys(nr, a, b, c, d, e, f): a leaf, without a frame. */
.text
.globl pg_sys
.hidden pg_sys
.type pg_sys,%function
pg_sys:
	.cfi_startproc
	hint #34
	mov x8,x0
	mov x0,x1
	mov x1,x2
	mov x2,x3
	mov x3,x4
	mov x4,x5
	mov x5,x6
	svc #0
	ret
	.cfi_endproc
.size pg_sys,.-pg_sys

#else

/* vfork returns twice, the second time when the child has used the stack: no frame of ours may be
 * there. So it is a jump. */
.text
.globl vfork
.type vfork,%function
vfork:
	.cfi_startproc
	hint #34
	stp x29,x30,[sp,#-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x29,0
	.cfi_rel_offset x30,8
	bl pg_vfork_prepare
	ldp x29,x30,[sp],#16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x29
	.cfi_restore x30
	mov x16,x0
	br x16
	.cfi_endproc
.size vfork,.-vfork
.globl __vfork
.set __vfork,vfork

/* syscall(2) may be vfork, clone or rt_sigreturn, so it is a jump, too: to libc's own for all but
 * the system calls whose bit is set in pg_watched. */
.text
.globl syscall
.type syscall,%function
syscall:
	.cfi_startproc
	hint #34
	cmp x0,#511
	b.hi 1f
	adrp x9,pg_watched
	add x9,x9,:lo12:pg_watched
	lsr x10,x0,#3
	ldrb w9,[x9,x10]
	and w10,w0,#7
	lsr w9,w9,w10
	tbnz w9,#0,2f
	/* x16: a function that only calls may reach (BTI) takes jumps by x16 and x17, too */
1:	adrp x16,pg_next_syscall
	ldr x16,[x16,:lo12:pg_next_syscall]
	cbz x16,3f
	br x16
2:	b pg_syscall_watched
3:	b pg_syscall_early
	.cfi_endproc
.size syscall,.-syscall

#endif
#endif

#include "arch/marks.h"
