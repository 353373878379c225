/* SPDX-License-Identifier: MIT
 *
 * 32-bit Arm: the write bit of the fault status where the kernel delivers it, else the instruction.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_ARM_DECODE_H
#define VPAGER_CORE_ARCH_ARM_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.trap_no) == ARM_FRAME_TRAP_NO, "trap_no");
_Static_assert(offsetof(ucontext_t, uc_mcontext.error_code) == ARM_FRAME_ERROR_CODE, "error_code");
_Static_assert(offsetof(ucontext_t, uc_mcontext.arm_sp) == ARM_FRAME_SP, "sp");
_Static_assert(offsetof(ucontext_t, uc_mcontext.arm_pc) == ARM_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.arm_cpsr) == ARM_FRAME_CPSR, "cpsr");

#define ARCH_NAME "arm"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)arm_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)arm_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return arm_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* A 64-bit kernel gives programs all but the last page; how much more a 32-bit one keeps is its own configuration. */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >= 0xfffff000;
}

#endif
