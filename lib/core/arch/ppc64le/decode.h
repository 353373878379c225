/* SPDX-License-Identifier: MIT
 *
 * 64-bit little-endian PowerPC: DSISR where it is one, else the instruction.
 * Runs in the handler.  frame.h knows the layout; here it is held against the C library's idea of the same frame. */
#ifndef VPAGER_CORE_ARCH_PPC64LE_DECODE_H
#define VPAGER_CORE_ARCH_PPC64LE_DECODE_H

#include <stddef.h>
#include "../../peek.h"
#include "frame.h"

_Static_assert(offsetof(ucontext_t, uc_mcontext.gp_regs[1]) == PPC64LE_FRAME_SP, "sp");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gp_regs[32]) == PPC64LE_FRAME_PC, "pc");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gp_regs[40]) == PPC64LE_FRAME_TRAP, "trap");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gp_regs[42]) == PPC64LE_FRAME_DSISR, "dsisr");

#define ARCH_NAME "ppc64le"
#define ARCH_ADDRESS_EXACT 1

static inline uintptr_t arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)ppc64le_pc(uc);
}

static inline uintptr_t arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)ppc64le_sp(uc);
}

static inline struct arch_access arch_access(const siginfo_t *si, const ucontext_t *uc)
{
	return ppc64le_access(uc, (struct arch_signal){si->si_signo, si->si_code, (uintptr_t)si->si_addr}, peek_text);
}

/* stdu rs,d(r1) or stdux rs,r1,rb, which store the back chain: however large the frame, and so however far below r1 (Power ISA
 * 3.0B, book I, 3.3.3). */
#define ARCH_FRAME_BY_STORE 1
static inline bool arch_makes_frame(const ucontext_t *uc)
{
	uint32_t insn;

	return peek_text(arch_pc(uc), &insn, sizeof insn) == sizeof insn &&
	       ((insn & 0xfc1f0003u) == 0xf8010001u || (insn & 0xfc1f07feu) == 0x7c01016au);
}

/* The kernel begins at 0xc000000000000000 (arch/powerpc/include/asm/page.h). */
static inline bool arch_kernel_half(uintptr_t address)
{
	return address >> 63;
}

#endif
