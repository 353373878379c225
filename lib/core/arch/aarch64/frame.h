/* SPDX-License-Identifier: MIT
 *
 * The AArch64 signal frame, from its bytes: struct ucontext of arch/arm64/include/uapi/asm/ucontext.h (uc_mcontext at 176),
 * in it struct sigcontext of asm/sigcontext.h, whose __reserved area is a list of records; esr_context is one of them, there
 * only if the kernel has a fault status to tell, in no fixed place.  Pure, compiles on every host, runs in the handler.
 * Never believe sigcontext.fault_address: it is an older fault's after an asynchronous signal. */
#ifndef VPAGER_CORE_ARCH_AARCH64_FRAME_H
#define VPAGER_CORE_ARCH_AARCH64_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum {
	AARCH64_FRAME_SP = 176 + 32 * 8,
	AARCH64_FRAME_PC = 176 + 33 * 8,
	AARCH64_FRAME_RECORDS = 176 + 36 * 8, /* aligned to 16 */
	AARCH64_FRAME_RECORDS_LEN = 4096,
	AARCH64_ESR_MAGIC = 0x45535201,
	AARCH64_SEGV_MTEAERR = 8 /* asynchronous tag check: its syndrome, if any, is another access's */
};

static inline uint64_t aarch64_pc(const void *uc)
{
	return bytes_le64((const char *)uc + AARCH64_FRAME_PC);
}

static inline uint64_t aarch64_sp(const void *uc)
{
	return bytes_le64((const char *)uc + AARCH64_FRAME_SP);
}

/* 0 without a record; the syndrome itself never is. */
static inline uint64_t aarch64_esr(const void *uc)
{
	const char *records = (const char *)uc + AARCH64_FRAME_RECORDS;
	size_t at = 0;

	/* Each record begins with a magic number and its size, a multiple of 16; both zero end the list. */
	while (at + 16 <= AARCH64_FRAME_RECORDS_LEN) {
		uint32_t magic = bytes_le32(records + at), size = bytes_le32(records + at + 4);

		if (magic == 0 || size < 16 || size % 16 || size > AARCH64_FRAME_RECORDS_LEN - at)
			return 0;
		if (magic == AARCH64_ESR_MAGIC)
			return bytes_le64(records + at + 8);
		at += size;
	}
	return 0;
}

/* ESR_EL1 in the Arm Architecture Reference Manual (DDI 0487): exception class 31:26, CM 8, WnR 6. */
static inline struct arch_access aarch64_access_by_esr(uint64_t esr)
{
	unsigned class = (unsigned)(esr >> 26) & 0x3f;
	bool write = esr >> 6 & 1, cache_maintenance = esr >> 8 & 1;

	if (class == 0x20)
		return arch_access_by_hardware(VPAGER_ACCESS_EXEC, esr);
	if (class != 0x24)
		return arch_access_unknown(esr);
	return arch_access_by_hardware(write && !cache_maintenance ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ, esr);
}

static inline struct arch_access aarch64_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	uint64_t pc = aarch64_pc(uc), esr = sig.si_code == AARCH64_SEGV_MTEAERR ? 0 : aarch64_esr(uc);
	struct arch_access hardware = aarch64_access_by_esr(esr);
	unsigned char text[4];

	if (hardware.access == VPAGER_ACCESS_WRITE || hardware.access == VPAGER_ACCESS_EXEC)
		return hardware;
	if (esr == 0 && sig.address == pc)
		return arch_access_by_insn(VPAGER_ACCESS_EXEC, 0);
	if (sig.si_code == AARCH64_SEGV_MTEAERR || peek(pc, text, sizeof text) < sizeof text)
		return arch_access_unknown(esr);
	return arch_access_settle(hardware, aarch64_insn_access(bytes_le32(text)));
}

#endif
