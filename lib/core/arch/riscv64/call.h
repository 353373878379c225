/* SPDX-License-Identifier: MIT
 *
 * RISC-V: a call on another stack (RISC-V ABIs specification, "Integer Calling Convention"). */
#ifndef VPAGER_CORE_ARCH_RISCV64_CALL_H
#define VPAGER_CORE_ARCH_RISCV64_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	addi sp, sp, -16\n"                                                                                    \
	"	.cfi_def_cfa_offset 16\n"                                                                              \
	"	sd ra, 8(sp)\n"                                                                                        \
	"	sd s0, 0(sp)\n"                                                                                        \
	"	.cfi_offset ra, -8\n"                                                                                  \
	"	.cfi_offset s0, -16\n"                                                                                 \
	"	addi s0, sp, 16\n"                                                                                     \
	"	.cfi_def_cfa s0, 0\n"                                                                                  \
	"	mv sp, a0\n"                                                                                           \
	"	mv a0, a2\n"                                                                                           \
	"	jalr a1\n"                                                                                             \
	"	addi sp, s0, -16\n"                                                                                    \
	"	.cfi_def_cfa sp, 16\n"                                                                                 \
	"	ld ra, 8(sp)\n"                                                                                        \
	"	ld s0, 0(sp)\n"                                                                                        \
	"	addi sp, sp, 16\n"                                                                                     \
	"	.cfi_def_cfa_offset 0\n"                                                                               \
	"	.cfi_restore ra\n"                                                                                     \
	"	.cfi_restore s0\n"                                                                                     \
	"	ret\n"                                                                                                 \
	ARCH_CALL_ON_END

#endif
