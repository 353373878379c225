/* SPDX-License-Identifier: MIT
 *
 * MIPS n64 system calls: number in $2, arguments in $4 to $9, result in $2, an error positive and with $7 not zero; $1, $3,
 * $8 to $15, $24, $25, hi and lo are destroyed (syscall(2), arch/mips/kernel/scall64-n64.S).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_MIPS64EL_SYSCALL_H
#define VPAGER_CORE_ARCH_MIPS64EL_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long v0 __asm__("$2") = nr;
	register long a0 __asm__("$4") = a;
	register long a1 __asm__("$5") = b;
	register long a2 __asm__("$6") = c;
	register long a3 __asm__("$7") = d;
	register long a4 __asm__("$8") = e;
	register long a5 __asm__("$9") = f;

	__asm__ volatile("syscall"
	                 : "+r"(v0), "+r"(a3), "+r"(a4), "+r"(a5)
	                 : "r"(a0), "r"(a1), "r"(a2)
	                 : "$1", "$3", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi", "lo", "memory");
	return a3 ? -v0 : v0;
}

#define ARCH_OFF64(x) , (long)(x)

typedef struct {
	unsigned long word[2];
} arch_sigset_t;

/* struct sigaction of arch/mips/include/uapi/asm/signal.h: flags first, 128 signals, no restorer. */
struct arch_sigaction {
	unsigned int flags;
	void (*handler)(int);
	arch_sigset_t mask;
};

#endif
