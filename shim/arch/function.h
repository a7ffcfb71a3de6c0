/* SPDX-License-Identifier: MIT */
/*
 * What a machine's file of assembly defines, each between FUNCTION and END:
 *
 * pg_sys(nr, a, b, c, d, e, f): the system call, from syscall(2), "Architecture calling conventions".
 * A leaf, without a frame, or with one that the unwind tables tell.
 *
 * With PG_JUMPS, what only a preloaded library has. vfork returns twice, the second time when the child
 * has used the stack: no frame of ours may be there, so it is a jump. syscall(2) may be vfork, clone
 * or rt_sigreturn, so it is a jump, too: to libc's own for all but the system calls whose bit is set in
 * pg_watched, and to pg_syscall_early where libc's is not known yet.
 *
 * At its end it includes arch/marks.h.
 */
#ifdef __aarch64__
#define LANDING hint #34 /* bti c: where jumps and calls may arrive */
#elif defined(__x86_64__)
#define LANDING endbr64
#elif defined(__i386__)
#define LANDING endbr32
#else
#define LANDING
#endif

#define FUNCTION(name) \
.text; \
.globl name; \
.type name,%function; \
name: \
	.cfi_startproc; \
	LANDING
#define END(name) \
	.cfi_endproc; \
.size name,.-name
