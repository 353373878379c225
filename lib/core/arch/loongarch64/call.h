/* SPDX-License-Identifier: MIT
 *
 * LoongArch: a call on another stack (LoongArch ELF psABI, "Procedure Calling Convention"). */
#ifndef VPAGER_CORE_ARCH_LOONGARCH64_CALL_H
#define VPAGER_CORE_ARCH_LOONGARCH64_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	addi.d $sp, $sp, -16\n"                                                                                \
	"	.cfi_def_cfa_offset 16\n"                                                                              \
	"	st.d $ra, $sp, 8\n"                                                                                    \
	"	st.d $fp, $sp, 0\n"                                                                                    \
	"	.cfi_offset 1, -8\n"                                                                                   \
	"	.cfi_offset 22, -16\n"                                                                                 \
	"	addi.d $fp, $sp, 16\n"                                                                                 \
	"	.cfi_def_cfa 22, 0\n"                                                                                  \
	"	move $sp, $a0\n"                                                                                       \
	"	move $t0, $a1\n"                                                                                       \
	"	move $a0, $a2\n"                                                                                       \
	"	jirl $ra, $t0, 0\n"                                                                                    \
	"	addi.d $sp, $fp, -16\n"                                                                                \
	"	.cfi_def_cfa 3, 16\n"                                                                                  \
	"	ld.d $ra, $sp, 8\n"                                                                                    \
	"	ld.d $fp, $sp, 0\n"                                                                                    \
	"	.cfi_restore 1\n"                                                                                      \
	"	.cfi_restore 22\n"                                                                                     \
	"	addi.d $sp, $sp, 16\n"                                                                                 \
	"	.cfi_def_cfa_offset 0\n"                                                                               \
	"	jr $ra\n"                                                                                              \
	ARCH_CALL_ON_END

#endif
