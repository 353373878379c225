/* SPDX-License-Identifier: MIT
 *
 * PowerPC system calls: number in r0, arguments in r3 to r8, result in r3, an error positive and with the summary overflow
 * bit of cr0 set; r4 to r12, ctr and xer are destroyed (Documentation/powerpc/syscall64-abi.rst).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_PPC64LE_SYSCALL_H
#define VPAGER_CORE_ARCH_PPC64LE_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r3 __asm__("r3") = a;
	register long r4 __asm__("r4") = b;
	register long r5 __asm__("r5") = c;
	register long r6 __asm__("r6") = d;
	register long r7 __asm__("r7") = e;
	register long r8 __asm__("r8") = f;
	register long r0 __asm__("r0") = nr;

	__asm__ volatile("sc\n\t"
	                 "bns+ 1f\n\t"
	                 "neg %0, %0\n"
	                 "1:"
	                 : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "+r"(r0)
	                 :
	                 : "r9", "r10", "r11", "r12", "cr0", "ctr", "xer", "memory");
	return r3;
}

#define ARCH_OFF64(x) , (long)(x)

typedef struct {
	unsigned long word[1];
} arch_sigset_t;

/* struct sigaction of arch/powerpc/include/uapi/asm/signal.h. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
