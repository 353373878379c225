/* SPDX-License-Identifier: MIT
 *
 * The RISC-V (64-bit) signal frame, from its bytes: struct ucontext of arch/riscv/include/uapi/asm/ucontext.h (uc_mcontext
 * at 176), in it struct sigcontext of asm/sigcontext.h, which begins with pc and x1 to x31 (asm/ptrace.h).  The cause of the
 * fault stays in the kernel, so the instruction is what tells.  Pure, compiles on every host, runs in the handler. */
#ifndef VPAGER_CORE_ARCH_RISCV64_FRAME_H
#define VPAGER_CORE_ARCH_RISCV64_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum { RISCV64_FRAME_PC = 176, RISCV64_FRAME_SP = 176 + 2 * 8 };

static inline uint64_t riscv64_pc(const void *uc)
{
	return bytes_le64((const char *)uc + RISCV64_FRAME_PC);
}

static inline uint64_t riscv64_sp(const void *uc)
{
	return bytes_le64((const char *)uc + RISCV64_FRAME_SP);
}

static inline struct arch_access riscv64_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	uint64_t pc = riscv64_pc(uc);
	unsigned char text[4] = {0};
	size_t n;

	if (sig.address == pc)
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, 0);
	n = peek(pc, text, sizeof text);
	if (n >= 2 && n < 4 && riscv64_is_long(bytes_le16(text))) /* its second half is on the page that faulted */
		return arch_access_by_insn(sig.address == pc + 2 ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_UNKNOWN, 0);
	return arch_access_by_insn(n >= 2 ? riscv64_insn_access(bytes_le32(text)) : VPAGER_ACCESS_UNKNOWN, 0);
}

#endif
