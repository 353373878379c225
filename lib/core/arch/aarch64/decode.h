/* SPDX-License-Identifier: MIT
 *
 * AArch64: the fault syndrome where the kernel delivers it, else the instruction.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_AARCH64_DECODE_H
#define VPAGER_CORE_ARCH_AARCH64_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.sp) == AARCH64_FRAME_SP, "sp");
_Static_assert(offsetof(ucontext_t, uc_mcontext.pc) == AARCH64_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.__reserved) == AARCH64_FRAME_RECORDS, "records");

#define ARCH_NAME "aarch64"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)aarch64_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)aarch64_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return aarch64_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* True for every size of address space; si_addr has no tag in its top byte. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 63;
}

#endif
