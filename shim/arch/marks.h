/* SPDX-License-Identifier: MIT */
/* At the end of each file of assembly, also of one that is for another machine: no executable stack;
 * ready for control-flow integrity (IBT and shadow stacks; BTI and PAC). */
#ifdef __CET__
#include <cet.h>
#endif
#ifdef __aarch64__
.section .note.gnu.property,"a"
.balign 8
.long 4, 16, 5
.asciz "GNU"
.long 0xc0000000, 4, 3, 0
#endif
.section .note.GNU-stack,"",%progbits
