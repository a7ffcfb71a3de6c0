/* SPDX-License-Identifier: MIT */
#if defined(__x86_64__) && !defined(__ILP32__)

#include "arch/function.h"

#ifndef PG_JUMPS

.hidden pg_sys
FUNCTION(pg_sys)
	mov %rdi,%rax
	mov %rsi,%rdi
	mov %rdx,%rsi
	mov %rcx,%rdx
	mov %r8,%r10
	mov %r9,%r8
	mov 8(%rsp),%r9
	syscall
	ret
END(pg_sys)

#else

FUNCTION(vfork)
	sub $8,%rsp
	.cfi_adjust_cfa_offset 8
	call pg_vfork_prepare
	add $8,%rsp
	.cfi_adjust_cfa_offset -8
	jmp *%rax
END(vfork)
.globl __vfork
.set __vfork,vfork

FUNCTION(syscall)
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
END(syscall)

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
