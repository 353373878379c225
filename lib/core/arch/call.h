/* SPDX-License-Identifier: MIT
 *
 * Running a function on another stack.  A call and no switch: the callee returns through it, so unwinders, exceptions and
 * shadow stacks go through, and registers need not be saved but the two that link the stacks.  Each arch/<cpu>/call.h
 * gives the function's text as ARCH_CALL_ON, with unwind information in which the frame is found by the frame pointer
 * alone; where there is none, ARCH_CALL_ON is not defined and there are no stacks. */
#ifndef VPAGER_CORE_ARCH_CALL_H
#define VPAGER_CORE_ARCH_CALL_H

#include <stdint.h>

#define ARCH_CALL_ON_BEGIN                                                                                             \
	"	.text\n"                                                                                               \
	"	.balign 16\n"                                                                                          \
	"	.globl arch_call_on\n"                                                                                 \
	"	.hidden arch_call_on\n"                                                                                \
	"	.type arch_call_on, %function\n"                                                                       \
	"arch_call_on:\n"                                                                                              \
	"	.cfi_sections .eh_frame\n" /* for exceptions, whatever the compiler would have for debuggers only */   \
	"	.cfi_startproc\n"
#define ARCH_CALL_ON_END                                                                                               \
	"	.cfi_endproc\n"                                                                                        \
	"	.size arch_call_on, .-arch_call_on\n"

/* fn(arg) with the stack below top, which is a multiple of 16. */
void arch_call_on(uintptr_t top, void (*fn)(void *arg), void *arg);

#endif
