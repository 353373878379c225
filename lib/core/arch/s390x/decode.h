/* SPDX-License-Identifier: MIT
 *
 * s390x: the instruction tells, and the operand that lies in the page.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_S390X_DECODE_H
#define VPAGER_CORE_ARCH_S390X_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.psw.addr) == S390X_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs) == S390X_FRAME_GPRS, "registers");

#define ARCH_NAME "s390x"
#define ARCH_ADDRESS_EXACT 0 /* si_addr is the first byte of the page */

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)s390x_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)s390x_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return s390x_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* Programs have an address space to themselves. */
static inline bool arch_kernel_half(uintptr_t address)
{
	(void)address;
	return false;
}

#endif
