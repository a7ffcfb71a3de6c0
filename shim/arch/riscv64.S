/* SPDX-License-Identifier: MIT */
/* The system call, from syscall(2), "Architecture calling conventions"; with PG_JUMPS, what only a
 * preloaded library has. */
#if defined(__riscv) && __riscv_xlen == 64

#ifndef PG_JUMPS

/* pg_sys(nr, a, b, c, d, e, f): a leaf, without a frame. */
.text
.globl pg_sys
.hidden pg_sys
.type pg_sys,@function
pg_sys:
	.cfi_startproc
	mv a7,a0
	mv a0,a1
	mv a1,a2
	mv a2,a3
	mv a3,a4
	mv a4,a5
	mv a5,a6
	ecall
	ret
	.cfi_endproc
.size pg_sys,.-pg_sys

#else

/* vfork returns twice, the second time when the child has used the stack: no frame of ours may be
 * there. So it is a jump. */
.text
.globl vfork
.type vfork,@function
vfork:
	.cfi_startproc
	addi sp,sp,-16
	.cfi_adjust_cfa_offset 16
	sd ra,8(sp)
	.cfi_rel_offset ra,8
	call pg_vfork_prepare
	ld ra,8(sp)
	.cfi_restore ra
	addi sp,sp,16
	.cfi_adjust_cfa_offset -16
	jr a0
	.cfi_endproc
.size vfork,.-vfork
.globl __vfork
.set __vfork,vfork

/* syscall(2) may be vfork, clone or rt_sigreturn, so it is a jump, too: to libc's own for all but
 * the system calls whose bit is set in pg_watched. */
.globl syscall
.type syscall,@function
syscall:
	.cfi_startproc
	li t0,511
	bgtu a0,t0,1f
	lla t0,pg_watched
	srli t1,a0,3
	add t0,t0,t1
	lbu t0,0(t0)
	andi t1,a0,7
	srl t0,t0,t1
	andi t0,t0,1
	bnez t0,2f
1:	lla t0,pg_next_syscall
	ld t0,0(t0)
	beqz t0,3f
	jr t0
2:	tail pg_syscall_watched
3:	tail pg_syscall_early
	.cfi_endproc
.size syscall,.-syscall

#endif
#endif

#include "arch/marks.h"
