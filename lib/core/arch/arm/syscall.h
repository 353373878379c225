/* SPDX-License-Identifier: MIT
 *
 * 32-bit Arm EABI system calls: number in r7, arguments in r0 to r5, result in r0; nothing else changes (syscall(2),
 * arch/arm/kernel/entry-common.S).  r7 may be the frame pointer of Thumb code: a compiler does not let go of it, and what it does
 * not know of is not in the unwind tables.  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_ARM_SYSCALL_H
#define VPAGER_CORE_ARCH_ARM_SYSCALL_H

#ifdef __thumb__
#define ARM_SYS_CALL_MODE "	.thumb\n	.thumb_func\n"
#else
#define ARM_SYS_CALL_MODE "	.arm\n"
#endif

#define ARCH_SYS_CALL                                                                                                  \
	"	.text\n"                                                                                               \
	"	.syntax unified\n"                                                                                     \
	"	.align 2\n"                                                                                            \
	"	.globl sys_call\n"                                                                                     \
	"	.hidden sys_call\n"                                                                                    \
	ARM_SYS_CALL_MODE                                                                                              \
	"	.type sys_call, %function\n"                                                                           \
	"sys_call:\n"                                                                                                  \
	"	.fnstart\n"                                                                                            \
	"	push {r4, r5, r6, r7}\n"                                                                               \
	"	.save {r4, r5, r6, r7}\n"                                                                              \
	"	mov r7, r0\n"                                                                                          \
	"	mov r0, r1\n"                                                                                          \
	"	mov r1, r2\n"                                                                                          \
	"	mov r2, r3\n"                                                                                          \
	"	ldr r3, [sp, #16]\n"                                                                                   \
	"	ldr r4, [sp, #20]\n"                                                                                   \
	"	ldr r5, [sp, #24]\n"                                                                                   \
	"	svc 0\n"                                                                                               \
	"	pop {r4, r5, r6, r7}\n"                                                                                \
	"	bx lr\n"                                                                                               \
	"	.fnend\n"                                                                                              \
	"	.size sys_call, .-sys_call\n"

#define ARCH_OFF64(x) , (long)(uint32_t)(x), (long)(uint32_t)((uint64_t)(x) >> 32)

typedef struct {
	unsigned long word[2];
} arch_sigset_t;

/* struct sigaction of arch/arm/include/uapi/asm/signal.h. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
