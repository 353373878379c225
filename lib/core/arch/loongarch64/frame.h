/* SPDX-License-Identifier: MIT
 *
 * The LoongArch (64-bit) signal frame, from its bytes: struct ucontext of arch/loongarch/include/uapi/asm/ucontext.h
 * (uc_mcontext at 176), in it struct sigcontext of asm/sigcontext.h: pc, 32 registers, sc_flags.  For SIGSEGV the kernel
 * tells in sc_flags whether it was a read (a fetch too) or a write; for SIGBUS they are an older fault's.  qemu-user sets
 * neither.  Pure, compiles on every host, runs in the handler. */
#ifndef VPAGER_CORE_ARCH_LOONGARCH64_FRAME_H
#define VPAGER_CORE_ARCH_LOONGARCH64_FRAME_H

#include <signal.h>
#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum {
	LOONGARCH64_FRAME_PC = 176,
	LOONGARCH64_FRAME_SP = 176 + 8 + 3 * 8,
	LOONGARCH64_FRAME_FLAGS = 176 + 8 + 32 * 8
};
#define LOONGARCH64_SC_ADDRERR_RD (1u << 30)
#define LOONGARCH64_SC_ADDRERR_WR (1u << 31)

static inline uint64_t loongarch64_pc(const void *uc)
{
	return bytes_le64((const char *)uc + LOONGARCH64_FRAME_PC);
}

static inline uint64_t loongarch64_sp(const void *uc)
{
	return bytes_le64((const char *)uc + LOONGARCH64_FRAME_SP);
}

static inline struct arch_access loongarch64_access_by_flags(uint32_t flags)
{
	if (flags & LOONGARCH64_SC_ADDRERR_WR)
		return arch_access_by_hardware(VPAGER_ACCESS_WRITE, flags);
	if (flags & LOONGARCH64_SC_ADDRERR_RD)
		return arch_access_by_hardware(VPAGER_ACCESS_READ, flags);
	return arch_access_unknown(0);
}

static inline struct arch_access loongarch64_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	struct arch_access hardware =
	    loongarch64_access_by_flags(sig.signo == SIGSEGV ? bytes_le32((const char *)uc + LOONGARCH64_FRAME_FLAGS) : 0);
	uint64_t pc = loongarch64_pc(uc);
	unsigned char text[4];

	if (hardware.access == VPAGER_ACCESS_WRITE)
		return hardware;
	if (sig.address == pc)
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, hardware.hw_code);
	if (peek(pc, text, sizeof text) < sizeof text)
		return arch_access_unknown(hardware.hw_code);
	return arch_access_settle(hardware, loongarch64_insn_access(bytes_le32(text)));
}

#endif
