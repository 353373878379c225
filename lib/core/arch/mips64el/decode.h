/* SPDX-License-Identifier: MIT
 *
 * MIPS n64, little-endian: the instruction tells.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_MIPS64EL_DECODE_H
#define VPAGER_CORE_ARCH_MIPS64EL_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs[29]) == MIPS64EL_FRAME_SP, "sp");
_Static_assert(offsetof(ucontext_t, uc_mcontext.pc) == MIPS64EL_FRAME_PC, "pc");

#define ARCH_NAME "mips64el"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)mips64el_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)mips64el_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return mips64el_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* xuseg is the lowest quarter. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 62;
}

#endif
