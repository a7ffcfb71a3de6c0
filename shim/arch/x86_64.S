/* SPDX-License-Identifier: MIT */
/* The system call, from syscall(2), "Architecture calling conventions"; with PG_JUMPS, what only a
 * preloaded library has. */
#if defined(__x86_64__) && !defined(__ILP32__)

#ifndef PG_JUMPS

/* pg_sys(nr, a, b, c, d, e, f): a leaf, without a frame. */
.text
.globl pg_sys
.hidden pg_sys
.type pg_sys,@function
pg_sys:
	.cfi_startproc
	endbr64
	mov %rdi,%rax
	mov %rsi,%rdi
	mov %rdx,%rsi
	mov %rcx,%rdx
	mov %r8,%r10
	mov %r9,%r8
	mov 8(%rsp),%r9
	syscall
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
	endbr64
	sub $8,%rsp
	.cfi_adjust_cfa_offset 8
	call pg_vfork_prepare
	add $8,%rsp
	.cfi_adjust_cfa_offset -8
	jmp *%rax
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
	endbr64
	cmp $511,%rdi
	ja 1f
	lea pg_watched(%rip),%rax
	bt %rdi,(%rax)
	jc 2f
1:	mov pg_next_syscall(%rip),%rax
	test %rax,%rax
	jz pg_syscall_early
	jmp *%rax
2:	jmp pg_syscall_watched
	.cfi_endproc
.size syscall,.-syscall

/* The way back from a handler that was set without libc: the kernel has none of its own here.
 * Unwinders know these instructions, and gdb the name. */
.text
	nop
.globl __restore_rt
.hidden __restore_rt
.type __restore_rt,@function
__restore_rt:
	mov $15,%rax
	syscall
.size __restore_rt,.-__restore_rt

#endif
#endif

#include "arch/marks.h"
