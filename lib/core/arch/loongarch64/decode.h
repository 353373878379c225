/* SPDX-License-Identifier: MIT
 *
 * LoongArch, 64-bit: sc_flags where the kernel delivers them, else the instruction.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_LOONGARCH64_DECODE_H
#define VPAGER_CORE_ARCH_LOONGARCH64_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.__pc) == LOONGARCH64_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.__gregs[3]) == LOONGARCH64_FRAME_SP, "sp");
_Static_assert(offsetof(ucontext_t, uc_mcontext.__flags) == LOONGARCH64_FRAME_FLAGS, "flags");

#define ARCH_NAME "loongarch64"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)loongarch64_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)loongarch64_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return loongarch64_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* The kernel has the direct windows and the high half. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 63;
}

#endif
