/* SPDX-License-Identifier: MIT
 *
 * x86_64 system calls: number in rax, arguments in rdi, rsi, rdx, r10, r8, r9, result in rax; the instruction itself
 * destroys rcx and r11 (syscall(2), arch/x86/entry/entry_64.S).  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_X86_64_SYSCALL_H
#define VPAGER_CORE_ARCH_X86_64_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}

#define ARCH_OFF64(x) , (long)(x)

typedef struct {
	unsigned long word[1];
} arch_sigset_t;

/* struct sigaction of arch/x86/include/uapi/asm/signal.h.  A handler needs the restorer, with SA_RESTORER in flags. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
