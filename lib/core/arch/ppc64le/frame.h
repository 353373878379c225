/* SPDX-License-Identifier: MIT
 *
 * The 64-bit little-endian PowerPC signal frame, from its bytes: struct ucontext of arch/powerpc/include/uapi/asm/ucontext.h
 * (uc_mcontext at 168), in it struct sigcontext of asm/sigcontext.h, whose gp_regs are laid out as struct pt_regs of
 * asm/ptrace.h: r0 to r31, nip, ..., trap (40), dar (41), dsisr (42).  Pure, compiles on every host, runs in the handler.
 * Emulators leave garbage in the last three: they are believed only where they agree with the signal. */
#ifndef VPAGER_CORE_ARCH_PPC64LE_FRAME_H
#define VPAGER_CORE_ARCH_PPC64LE_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum {
	PPC64LE_FRAME_GP_REGS = 168 + 64,
	PPC64LE_FRAME_SP = PPC64LE_FRAME_GP_REGS + 1 * 8,
	PPC64LE_FRAME_PC = PPC64LE_FRAME_GP_REGS + 32 * 8,
	PPC64LE_FRAME_TRAP = PPC64LE_FRAME_GP_REGS + 40 * 8,
	PPC64LE_FRAME_DAR = PPC64LE_FRAME_GP_REGS + 41 * 8,
	PPC64LE_FRAME_DSISR = PPC64LE_FRAME_GP_REGS + 42 * 8,
	PPC64LE_TRAP_DATA = 0x300,
	PPC64LE_DSISR_STORE = 0x02000000 /* DSISR_ISSTORE, arch/powerpc/include/asm/reg.h */
};

static inline uint64_t ppc64le_pc(const void *uc)
{
	return bytes_le64((const char *)uc + PPC64LE_FRAME_PC);
}

static inline uint64_t ppc64le_sp(const void *uc)
{
	return bytes_le64((const char *)uc + PPC64LE_FRAME_SP);
}

static inline enum vpager_access ppc64le_text_access(uint64_t pc, arch_peek_fn peek)
{
	unsigned char text[8] = {0}; /* a suffix of zeros, were it not to be read, is none */

	if (peek(pc, text, sizeof text) < 4)
		return VPAGER_ACCESS_UNKNOWN;
	return ppc64le_insn_access(bytes_le32(text), bytes_le32(text + 4));
}

static inline struct arch_access ppc64le_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	const char *frame = (const char *)uc;
	uint64_t pc = ppc64le_pc(uc), dsisr = bytes_le64(frame + PPC64LE_FRAME_DSISR);
	/* the low four bits of trap are the kernel's own flags */
	bool data = (bytes_le64(frame + PPC64LE_FRAME_TRAP) & ~(uint64_t)15) == PPC64LE_TRAP_DATA &&
	            bytes_le64(frame + PPC64LE_FRAME_DAR) == sig.address;

	if (data)
		return arch_access_by_hardware(dsisr & PPC64LE_DSISR_STORE ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ, dsisr);
	if (sig.address == pc)
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, 0);
	return arch_access_by_insn(ppc64le_text_access(pc, peek), 0);
}

#endif
