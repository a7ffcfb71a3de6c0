/* SPDX-License-Identifier: MIT */
#if defined(__riscv) && __riscv_xlen == 64

#include "arch/function.h"

#ifndef PG_JUMPS

.hidden pg_sys
FUNCTION(pg_sys)
	mv a7,a0
	mv a0,a1
	mv a1,a2
	mv a2,a3
	mv a3,a4
	mv a4,a5
	mv a5,a6
	ecall
	ret
END(pg_sys)

#else

FUNCTION(vfork)
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
END(vfork)
.globl __vfork
.set __vfork,vfork

FUNCTION(syscall)
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
END(syscall)

#endif
#endif

#include "arch/marks.h"
