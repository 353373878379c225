/* SPDX-License-Identifier: MIT
 *
 * s390x: a call on another stack (ELF Application Binary Interface, s390x Supplement).  Registers are saved in the caller's
 * frame; each frame has 160 bytes for its callee. */
#ifndef VPAGER_CORE_ARCH_S390X_CALL_H
#define VPAGER_CORE_ARCH_S390X_CALL_H

#define ARCH_CALL_ON                                                                                                   \
	ARCH_CALL_ON_BEGIN                                                                                             \
	"	stmg %r11, %r15, 88(%r15)\n"                                                                           \
	"	.cfi_offset %r11, -72\n"                                                                               \
	"	.cfi_offset %r14, -48\n"                                                                               \
	"	.cfi_offset %r15, -40\n"                                                                               \
	"	lgr %r11, %r15\n"                                                                                      \
	"	.cfi_def_cfa %r11, 160\n"                                                                              \
	"	aghi %r2, -160\n"                                                                                      \
	"	stg %r15, 0(%r2)\n"                                                                                    \
	"	lgr %r15, %r2\n"                                                                                       \
	"	lgr %r2, %r4\n"                                                                                        \
	"	basr %r14, %r3\n"                                                                                      \
	"	lmg %r11, %r15, 88(%r11)\n"                                                                            \
	"	.cfi_def_cfa %r15, 160\n"                                                                              \
	"	.cfi_restore %r11\n"                                                                                   \
	"	.cfi_restore %r14\n"                                                                                   \
	"	.cfi_restore %r15\n"                                                                                   \
	"	br %r14\n"                                                                                             \
	ARCH_CALL_ON_END

#endif
