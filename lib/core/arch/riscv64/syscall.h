/* SPDX-License-Identifier: MIT
 *
 * RISC-V system calls: number in a7, arguments in a0 to a5, result in a0; nothing else changes (syscall(2),
 * arch/riscv/kernel/entry.S).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_RISCV64_SYSCALL_H
#define VPAGER_CORE_ARCH_RISCV64_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;
	register long a7 __asm__("a7") = nr;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
	return a0;
}

#define ARCH_OFF64(x) , (long)(x)

typedef struct {
	unsigned long word[1];
} arch_sigset_t;

/* struct sigaction of include/linux/signal_types.h; no restorer. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	arch_sigset_t mask;
};

#endif
