/* SPDX-License-Identifier: MIT
 *
 * 32-bit ARM: a call on another stack (Procedure Call Standard for the Arm Architecture; unwinding by its Exception Handling
 * ABI). */
#ifndef VPAGER_CORE_ARCH_ARM_CALL_H
#define VPAGER_CORE_ARCH_ARM_CALL_H

#ifdef __thumb__
#define ARM_CALL_MODE "	.thumb\n	.thumb_func\n"
#else
#define ARM_CALL_MODE "	.arm\n"
#endif

#define ARCH_CALL_ON                                                                                                   \
	"	.text\n"                                                                                               \
	"	.syntax unified\n"                                                                                     \
	"	.align 2\n"                                                                                            \
	"	.globl arch_call_on\n"                                                                                 \
	"	.hidden arch_call_on\n"                                                                                \
	ARM_CALL_MODE                                                                                                  \
	"	.type arch_call_on, %function\n"                                                                       \
	"arch_call_on:\n"                                                                                              \
	"	.fnstart\n"                                                                                            \
	"	push {r11, lr}\n"                                                                                      \
	"	.save {r11, lr}\n"                                                                                     \
	"	mov r11, sp\n"                                                                                         \
	"	.setfp r11, sp\n"                                                                                      \
	"	mov sp, r0\n"                                                                                          \
	"	mov r0, r2\n"                                                                                          \
	"	blx r1\n"                                                                                              \
	"	mov sp, r11\n"                                                                                         \
	"	pop {r11, pc}\n"                                                                                       \
	"	.fnend\n"                                                                                              \
	"	.size arch_call_on, .-arch_call_on\n"

#endif
