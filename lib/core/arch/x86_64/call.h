/* SPDX-License-Identifier: MIT
 *
 * x86_64: a call on another stack (System V ABI, "Function Calling Sequence").  A call and its return, so a shadow stack
 * stays right. */
#ifndef VPAGER_CORE_ARCH_X86_64_CALL_H
#define VPAGER_CORE_ARCH_X86_64_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	endbr64\n"                                                                                             \
	"	push %rbp\n"                                                                                           \
	"	.cfi_def_cfa_offset 16\n"                                                                              \
	"	.cfi_offset %rbp, -16\n"                                                                               \
	"	mov %rsp, %rbp\n"                                                                                      \
	"	.cfi_def_cfa_register %rbp\n"                                                                          \
	"	mov %rdi, %rsp\n"                                                                                      \
	"	mov %rdx, %rdi\n"                                                                                      \
	"	call *%rsi\n"                                                                                          \
	"	mov %rbp, %rsp\n"                                                                                      \
	"	pop %rbp\n"                                                                                            \
	"	.cfi_def_cfa %rsp, 8\n"                                                                                \
	"	ret\n"                                                                                                 \
	ARCH_CALL_ON_END

#endif
