/* SPDX-License-Identifier: MIT
 *
 * s390x system calls: svc 0 with the number in r1, arguments in r2 to r7, result in r2; nothing else changes (syscall(2),
 * arch/s390/kernel/entry.S).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_S390X_SYSCALL_H
#define VPAGER_CORE_ARCH_S390X_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r2 __asm__("r2") = a;
	register long r3 __asm__("r3") = b;
	register long r4 __asm__("r4") = c;
	register long r5 __asm__("r5") = d;
	register long r6 __asm__("r6") = e;
	register long r7 __asm__("r7") = f;
	register long r1 __asm__("r1") = nr;

	__asm__ volatile("svc 0" : "+d"(r2) : "d"(r3), "d"(r4), "d"(r5), "d"(r6), "d"(r7), "d"(r1) : "memory", "cc");
	return r2;
}

#define ARCH_OFF64(x) , (long)(x)
#define ARCH_MMAP_BY_POINTER 1 /* sys_old_mmap, also in 64-bit mode */

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
