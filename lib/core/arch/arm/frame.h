/* SPDX-License-Identifier: MIT
 *
 * The 32-bit Arm signal frame, from its bytes: struct ucontext of arch/arm/include/asm/ucontext.h (uc_mcontext at 20), in it
 * struct sigcontext of arch/arm/include/uapi/asm/sigcontext.h.  error_code is the fault status register with WnR in bit 11
 * and, for a prefetch abort, bit 31 (arch/arm/mm/fault.h); a 64-bit kernel delivers bit 11 alone and trap_no 0
 * (arch/arm64/kernel/signal32.c), qemu-user zeros.  Pure, compiles on every host, runs in the handler. */
#ifndef VPAGER_CORE_ARCH_ARM_FRAME_H
#define VPAGER_CORE_ARCH_ARM_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum {
	ARM_FRAME_TRAP_NO = 20,
	ARM_FRAME_ERROR_CODE = 24,
	ARM_FRAME_SP = 84,
	ARM_FRAME_PC = 92,
	ARM_FRAME_CPSR = 96
};

static inline uint32_t arm_pc(const void *uc)
{
	return bytes_le32((const char *)uc + ARM_FRAME_PC);
}

static inline uint32_t arm_sp(const void *uc)
{
	return bytes_le32((const char *)uc + ARM_FRAME_SP);
}

static inline struct arch_access arm_access_by_status(uint32_t trap_no, uint32_t status)
{
	if (status >> 11 & 1)
		return arch_access_by_hardware(VPAGER_ACCESS_WRITE, status);
	if (trap_no != 14 || status == 0)
		return arch_access_unknown(status);
	return arch_access_by_hardware(status >> 31 ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_READ, status);
}

static inline enum vpager_access arm_text_access(const void *uc, arch_peek_fn peek)
{
	bool thumb = bytes_le32((const char *)uc + ARM_FRAME_CPSR) >> 5 & 1;
	unsigned char text[4] = {0};
	size_t n = peek(arm_pc(uc), text, sizeof text);

	if (thumb && n >= 2 && (n == 4 || !thumb_is_long(bytes_le16(text))))
		return thumb_insn_access(bytes_le16(text), bytes_le16(text + 2));
	return !thumb && n == 4 ? arm_insn_access(bytes_le32(text)) : VPAGER_ACCESS_UNKNOWN;
}

static inline struct arch_access arm_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	const char *frame = (const char *)uc;
	struct arch_access hardware =
	    arm_access_by_status(bytes_le32(frame + ARM_FRAME_TRAP_NO), bytes_le32(frame + ARM_FRAME_ERROR_CODE));

	if (hardware.access == VPAGER_ACCESS_WRITE || hardware.access == VPAGER_ACCESS_EXEC)
		return hardware;
	if (sig.address == arm_pc(uc))
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, hardware.hw_code);
	return arch_access_settle(hardware, arm_text_access(uc, peek));
}

#endif
