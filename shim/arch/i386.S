/* SPDX-License-Identifier: MIT */
/* The system call, from syscall(2), "Architecture calling conventions"; with PG_JUMPS, what only a
 * preloaded library has. */
#if defined(__i386__)

#ifndef PG_JUMPS

/* pg_sys(nr, a, b, c, d, e, f): a leaf, without a frame. */
.text
.globl pg_sys
.hidden pg_sys
.type pg_sys,@function
pg_sys:
	.cfi_startproc
	endbr32
	push %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebx,0
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi,0
	push %edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset edi,0
	push %ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebp,0
	mov 20(%esp),%eax
	mov 24(%esp),%ebx
	mov 28(%esp),%ecx
	mov 32(%esp),%edx
	mov 36(%esp),%esi
	mov 40(%esp),%edi
	mov 44(%esp),%ebp
	int $0x80
	pop %ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebp
	pop %edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore edi
	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	pop %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebx
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
	endbr32
	sub $12,%esp
	.cfi_adjust_cfa_offset 12
	call pg_vfork_prepare
	add $12,%esp
	.cfi_adjust_cfa_offset -12
	jmp *%eax
	.cfi_endproc
.size vfork,.-vfork
.globl __vfork
.set __vfork,vfork

/* syscall(2) may be vfork, clone or rt_sigreturn, so it is a jump, too: to libc's own for all but
 * the system calls whose bit is set in pg_watched. */
.text
.globl syscall
.type syscall,@function
syscall:
	.cfi_startproc
	endbr32
	call 4f
	add $_GLOBAL_OFFSET_TABLE_,%ecx
	mov 4(%esp),%eax
	cmp $511,%eax
	ja 1f
	bt %eax,pg_watched@GOTOFF(%ecx)
	jc 2f
1:	mov pg_next_syscall@GOTOFF(%ecx),%eax
	test %eax,%eax
	jz pg_syscall_early
	jmp *%eax
2:	jmp pg_syscall_watched
4:	mov (%esp),%ecx
	ret
	.cfi_endproc
.size syscall,.-syscall

#endif
#endif

#include "arch/marks.h"
