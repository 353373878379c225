/* SPDX-License-Identifier: MIT
 *
 * i386 system calls: number in eax, arguments in ebx, ecx, edx, esi, edi, ebp, result in eax; nothing else changes
 * (syscall(2), arch/x86/entry/entry_32.S).  ebp may be the frame pointer and ebx the pointer to the global offset table, so
 * the sixth argument travels on the stack.  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_I386_SYSCALL_H
#define VPAGER_CORE_ARCH_I386_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long number_and_sixth[2] = {nr, f};
	long result;

	__asm__ volatile("pushl %%ebp\n\t"
	                 "movl 4(%%eax), %%ebp\n\t"
	                 "movl (%%eax), %%eax\n\t"
	                 "int $0x80\n\t"
	                 "popl %%ebp"
	                 : "=a"(result)
	                 : "a"(number_and_sixth), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
	                 : "memory", "cc");
	return result;
}

#define ARCH_OFF64(x) , (long)(uint32_t)(x), (long)(uint32_t)((uint64_t)(x) >> 32)

typedef struct {
	unsigned long word[2];
} arch_sigset_t;

/* struct sigaction of arch/x86/include/uapi/asm/signal.h; the vDSO has a restorer where there is none. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
