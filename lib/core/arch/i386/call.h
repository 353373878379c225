/* SPDX-License-Identifier: MIT
 *
 * i386: a call on another stack (System V ABI, Intel386 supplement).  The stack is aligned to 16 bytes before a call's
 * return address. */
#ifndef VPAGER_CORE_ARCH_I386_CALL_H
#define VPAGER_CORE_ARCH_I386_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	endbr32\n"                                                                                             \
	"	push %ebp\n"                                                                                           \
	"	.cfi_def_cfa_offset 8\n"                                                                               \
	"	.cfi_offset %ebp, -8\n"                                                                                \
	"	mov %esp, %ebp\n"                                                                                      \
	"	.cfi_def_cfa_register %ebp\n"                                                                          \
	"	mov 12(%ebp), %ecx\n"                                                                                  \
	"	mov 16(%ebp), %edx\n"                                                                                  \
	"	mov 8(%ebp), %esp\n"                                                                                   \
	"	sub $12, %esp\n"                                                                                       \
	"	push %edx\n"                                                                                           \
	"	call *%ecx\n"                                                                                          \
	"	mov %ebp, %esp\n"                                                                                      \
	"	pop %ebp\n"                                                                                            \
	"	.cfi_def_cfa %esp, 4\n"                                                                                \
	"	ret\n"                                                                                                 \
	ARCH_CALL_ON_END

#endif
