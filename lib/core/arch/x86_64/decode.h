/* SPDX-License-Identifier: MIT
 *
 * x86_64: the CPU's error code says everything.  Runs in the handler.  frame.h knows the layout; here it is held against
 * the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_X86_64_DECODE_H
#define VPAGER_CORE_ARCH_X86_64_DECODE_H

#include <stddef.h>
#include "frame.h"

#define X86_64_GREG(n) (offsetof(ucontext_t, uc_mcontext.gregs) + (n) * sizeof(greg_t))
/* Every libc numbers them alike: REG_RSP 15, REG_RIP 16, REG_ERR 19, REG_TRAPNO 20. */
_Static_assert(X86_64_GREG(15) == X86_64_FRAME_SP && X86_64_GREG(16) == X86_64_FRAME_PC, "pc and sp");
_Static_assert(X86_64_GREG(19) == X86_64_FRAME_ERR && X86_64_GREG(20) == X86_64_FRAME_TRAPNO, "err and trapno");
#undef X86_64_GREG

#define ARCH_NAME "x86_64"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)x86_64_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)x86_64_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return x86_64_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, NULL);
}

/* True for 48-bit and 57-bit address spaces; what lies between the halves is a #GP and carries no address. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 63;
}

#endif
