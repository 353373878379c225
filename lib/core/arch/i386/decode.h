/* SPDX-License-Identifier: MIT
 *
 * i386: the CPU's error code says everything, as on x86_64.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_I386_DECODE_H
#define VPAGER_CORE_ARCH_I386_DECODE_H

#include <stddef.h>
#include "frame.h"

#define I386_GREG(n) (offsetof(ucontext_t, uc_mcontext.gregs) + (n) * sizeof(greg_t))
/* Every libc numbers them alike: REG_ESP 7, REG_TRAPNO 12, REG_ERR 13, REG_EIP 14. */
_Static_assert(I386_GREG(7) == I386_FRAME_SP && I386_GREG(14) == I386_FRAME_PC, "pc and sp");
_Static_assert(I386_GREG(12) == I386_FRAME_TRAPNO && I386_GREG(13) == I386_FRAME_ERR, "trapno and err");
#undef I386_GREG

#define ARCH_NAME "i386"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)i386_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)i386_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return i386_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, NULL);
}

/* A 64-bit kernel gives programs all below 0xffffe000 (IA32_PAGE_OFFSET); how much more a 32-bit one keeps is its own
 * configuration. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >= 0xffffe000;
}

#endif
