/* SPDX-License-Identifier: MIT
 *
 * A CPU that we do not know: the kernel's address and si_code are all there is, and page states do the rest.  Runs in the
 * handler.  Claim nothing here. */
#ifndef VPAGER_CORE_ARCH_GENERIC_DECODE_H
#define VPAGER_CORE_ARCH_GENERIC_DECODE_H

#include "../access.h"

#define ARCH_NAME "generic"
#define ARCH_ADDRESS_EXACT 0

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	(void)uc;
	return 0;
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	(void)uc;
	return 0;
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	(void)si;
	(void)uc;
	return arch_access_unknown(0);
}

static inline bool arch_kernel_half(uintptr_t address)
{
	(void)address;
	return false;
}

#endif
