/* SPDX-License-Identifier: MIT
 *
 * The MIPS n64 signal frame, from its bytes: struct ucontext of arch/mips/include/uapi/asm/ucontext.h (uc_mcontext at 40),
 * in it struct sigcontext of asm/sigcontext.h: 32 registers, 32 of the FPU, hi and lo four times each, pc.  Neither cause
 * nor bad address is there, so the instruction is what tells.  Pure, compiles on every host, runs in the handler.  The one
 * thing not to break: a fault in the delay slot of a branch has the branch's pc. */
#ifndef VPAGER_CORE_ARCH_MIPS64EL_FRAME_H
#define VPAGER_CORE_ARCH_MIPS64EL_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum { MIPS64EL_FRAME_SP = 40 + 29 * 8, MIPS64EL_FRAME_PC = 40 + (32 + 32 + 8) * 8 };

static inline uint64_t mips64el_pc(const void *uc)
{
	return bytes_le64((const char *)uc + MIPS64EL_FRAME_PC);
}

static inline uint64_t mips64el_sp(const void *uc)
{
	return bytes_le64((const char *)uc + MIPS64EL_FRAME_SP);
}

static inline struct arch_access mips64el_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	uint64_t pc = mips64el_pc(uc);
	unsigned char text[8] = {0};
	size_t n;

	if (sig.address == pc)
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, 0);
	if (pc & 3) /* MIPS16 or microMIPS */
		return arch_access_unknown(0);
	n = peek(pc, text, sizeof text);
	if (n < 4)
		return arch_access_unknown(0);
	if (!mips64el_has_delay_slot(bytes_le32(text)))
		return arch_access_by_insn(mips64el_insn_access(bytes_le32(text)), 0);
	if (n < 8)
		return arch_access_by_insn(sig.address == pc + 4 ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_UNKNOWN, 0);
	return arch_access_by_insn(mips64el_insn_access(bytes_le32(text + 4)), 0);
}

#endif
