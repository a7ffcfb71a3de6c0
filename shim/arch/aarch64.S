/* SPDX-License-Identifier: MIT */
#if defined(__aarch64__)

#include "arch/function.h"

#ifndef PG_JUMPS

.hidden pg_sys
FUNCTION(pg_sys)
	mov x8,x0
	mov x0,x1
	mov x1,x2
	mov x2,x3
	mov x3,x4
	mov x4,x5
	mov x5,x6
	svc #0
	ret
END(pg_sys)

#else

FUNCTION(vfork)
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
END(vfork)
.globl __vfork
.set __vfork,vfork

FUNCTION(syscall)
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
END(syscall)

#endif
#endif

#include "arch/marks.h"
