/* SPDX-License-Identifier: MIT
 *
 * AArch64 system calls: number in x8, arguments in x0 to x5, result in x0; nothing else changes (syscall(2),
 * arch/arm64/kernel/entry.S).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_AARCH64_SYSCALL_H
#define VPAGER_CORE_ARCH_AARCH64_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	register long x8 __asm__("x8") = nr;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory", "cc");
	return x0;
}

#define ARCH_OFF64(x) , (long)(x)

typedef struct {
	unsigned long word[1];
} arch_sigset_t;

/* struct sigaction of include/linux/signal_types.h; a restorer because asm/signal.h has SA_RESTORER. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
