/* SPDX-License-Identifier: MIT
 *
 * MIPS64, n64: a call on another stack (MIPSpro N32 ABI Handbook).  The callee wants its address in t9; gp is
 * callee-saved. */
#ifndef VPAGER_CORE_ARCH_MIPS64EL_CALL_H
#define VPAGER_CORE_ARCH_MIPS64EL_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	.set push\n"                                                                                           \
	"	.set noreorder\n"                                                                                      \
	"	daddiu $sp, $sp, -16\n"                                                                                \
	"	.cfi_def_cfa_offset 16\n"                                                                              \
	"	sd $ra, 8($sp)\n"                                                                                      \
	"	sd $fp, 0($sp)\n"                                                                                      \
	"	.cfi_offset 31, -8\n"                                                                                  \
	"	.cfi_offset 30, -16\n"                                                                                 \
	"	move $fp, $sp\n"                                                                                       \
	"	.cfi_def_cfa 30, 16\n"                                                                                 \
	"	move $sp, $a0\n"                                                                                       \
	"	move $t9, $a1\n"                                                                                       \
	"	jalr $t9\n"                                                                                            \
	"	move $a0, $a2\n"                                                                                       \
	"	move $sp, $fp\n"                                                                                       \
	"	.cfi_def_cfa 29, 16\n"                                                                                 \
	"	ld $ra, 8($sp)\n"                                                                                      \
	"	ld $fp, 0($sp)\n"                                                                                      \
	"	.cfi_restore 31\n"                                                                                     \
	"	.cfi_restore 30\n"                                                                                     \
	"	jr $ra\n"                                                                                              \
	"	daddiu $sp, $sp, 16\n"                                                                                 \
	"	.set pop\n"                                                                                            \
	ARCH_CALL_ON_END

#endif
