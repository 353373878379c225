/* SPDX-License-Identifier: MIT
 *
 * RISC-V, 64-bit: the instruction tells.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_RISCV64_DECODE_H
#define VPAGER_CORE_ARCH_RISCV64_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.__gregs[0]) == RISCV64_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.__gregs[2]) == RISCV64_FRAME_SP, "sp");

#define ARCH_NAME "riscv64"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)riscv64_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)riscv64_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return riscv64_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* True for Sv39, Sv48 and Sv57. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 63;
}

#endif
