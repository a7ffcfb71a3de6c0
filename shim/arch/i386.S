/* SPDX-License-Identifier: MIT */
#if defined(__i386__)

#include "arch/function.h"

#ifndef PG_JUMPS

.hidden pg_sys
FUNCTION(pg_sys)
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
END(pg_sys)

#else

FUNCTION(vfork)
	sub $12,%esp
	.cfi_adjust_cfa_offset 12
	call pg_vfork_prepare
	add $12,%esp
	.cfi_adjust_cfa_offset -12
	jmp *%eax
END(vfork)
.globl __vfork
.set __vfork,vfork

FUNCTION(syscall)
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
END(syscall)

#endif
#endif

#include "arch/marks.h"
