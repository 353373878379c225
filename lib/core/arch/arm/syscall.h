/* SPDX-License-Identifier: MIT
 *
 * 32-bit Arm EABI system calls: number in r7, arguments in r0 to r5, result in r0; nothing else changes (syscall(2),
 * arch/arm/kernel/entry-common.S).  r7 may be the frame pointer of Thumb code, so it is saved by hand.  Runs in the
 * handler. */
#ifndef VPAGER_CORE_ARCH_ARM_SYSCALL_H
#define VPAGER_CORE_ARCH_ARM_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = d;
	register long r4 __asm__("r4") = e;
	register long r5 __asm__("r5") = f;
	register long r6 __asm__("r6") = nr;
	register long r8 __asm__("r8");

	__asm__ volatile("mov %[saved], r7\n\t"
	                 "mov r7, %[nr]\n\t"
	                 "svc 0\n\t"
	                 "mov r7, %[saved]"
	                 : "+r"(r0), [saved] "=&r"(r8)
	                 : [nr] "r"(r6), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5)
	                 : "memory", "cc");
	return r0;
}

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
