/* SPDX-License-Identifier: MIT
 *
 * 64-bit Power, little-endian: a call on another stack (64-Bit ELF V2 ABI).  The callee may belong to another module and
 * wants its address in r12; r2 is saved where its callers save it; the new stack's first word links back. */
#ifndef VPAGER_CORE_ARCH_PPC64LE_CALL_H
#define VPAGER_CORE_ARCH_PPC64LE_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	mflr 0\n"                                                                                              \
	"	std 0, 16(1)\n"                                                                                        \
	"	std 31, -8(1)\n"                                                                                       \
	"	.cfi_offset lr, 16\n"                                                                                  \
	"	.cfi_offset r31, -8\n"                                                                                 \
	"	stdu 1, -48(1)\n"                                                                                      \
	"	.cfi_def_cfa_offset 48\n"                                                                              \
	"	std 2, 24(1)\n"                                                                                        \
	"	mr 31, 1\n"                                                                                            \
	"	.cfi_def_cfa_register r31\n"                                                                           \
	"	stdu 31, -32(3)\n"                                                                                     \
	"	mr 1, 3\n"                                                                                             \
	"	mr 12, 4\n"                                                                                            \
	"	mtctr 12\n"                                                                                            \
	"	mr 3, 5\n"                                                                                             \
	"	bctrl\n"                                                                                               \
	"	mr 1, 31\n"                                                                                            \
	"	.cfi_def_cfa_register r1\n"                                                                            \
	"	ld 2, 24(1)\n"                                                                                         \
	"	addi 1, 1, 48\n"                                                                                       \
	"	.cfi_def_cfa_offset 0\n"                                                                               \
	"	ld 0, 16(1)\n"                                                                                         \
	"	ld 31, -8(1)\n"                                                                                        \
	"	mtlr 0\n"                                                                                              \
	"	.cfi_restore lr\n"                                                                                     \
	"	.cfi_restore r31\n"                                                                                    \
	"	blr\n"                                                                                                 \
	ARCH_CALL_ON_END

#endif
