/* SPDX-License-Identifier: MIT
 *
 * AArch64: a call on another stack (Procedure Call Standard for the Arm 64-bit Architecture, AAPCS64).  hint 34 is `bti
 * c'. */
#ifndef VPAGER_CORE_ARCH_AARCH64_CALL_H
#define VPAGER_CORE_ARCH_AARCH64_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	hint #34\n"                                                                                            \
	"	stp x29, x30, [sp, #-16]!\n"                                                                           \
	"	.cfi_def_cfa_offset 16\n"                                                                              \
	"	.cfi_offset x29, -16\n"                                                                                \
	"	.cfi_offset x30, -8\n"                                                                                 \
	"	mov x29, sp\n"                                                                                         \
	"	.cfi_def_cfa x29, 16\n"                                                                                \
	"	mov sp, x0\n"                                                                                          \
	"	mov x0, x2\n"                                                                                          \
	"	blr x1\n"                                                                                              \
	"	mov sp, x29\n"                                                                                         \
	"	.cfi_def_cfa sp, 16\n"                                                                                 \
	"	ldp x29, x30, [sp], #16\n"                                                                             \
	"	.cfi_def_cfa_offset 0\n"                                                                               \
	"	.cfi_restore x29\n"                                                                                    \
	"	.cfi_restore x30\n"                                                                                    \
	"	ret\n"                                                                                                 \
	ARCH_CALL_ON_END

#endif
