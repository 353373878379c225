/* SPDX-License-Identifier: MIT
 *
 * What a RISC-V instruction does to memory: the opcode maps of the RISC-V Instruction Set Manual, volume I: RV64GC, V, Zcb,
 * Zabha, Zacas, Zalasr, Zicboz, Zicfiss.  Pure, compiles on every host, runs in the handler.  READ is said only of
 * instructions that cannot write; an AMO is WRITE; what is not known here is UNKNOWN. */
#ifndef VPAGER_CORE_ARCH_RISCV64_INSN_H
#define VPAGER_CORE_ARCH_RISCV64_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "vpager.h"

/* Four bytes or more: the lowest two bits are set. */
static inline bool riscv64_is_long(uint16_t insn)
{
	return (insn & 3) == 3;
}

static inline enum vpager_access riscv64_short_access(uint16_t insn)
{
	unsigned quadrant = insn & 3, funct3 = insn >> 13, zcb = insn >> 10 & 7;

	if (insn == 0x6081 || insn == 0x6281) /* C.SSPUSH x1; C.SSPOPCHK x5 */
		return insn == 0x6081 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ;
	if (quadrant == 1)
		return VPAGER_ACCESS_UNKNOWN;
	switch (funct3) {
	case 1: /* C.FLD, C.FLDSP */
	case 2: /* C.LW, C.LWSP */
	case 3: /* C.LD, C.LDSP */
		return VPAGER_ACCESS_READ;
	case 4: /* C.LBU, C.LHU, C.LH; C.SB, C.SH */
		if (quadrant == 2 || zcb > 3)
			return VPAGER_ACCESS_UNKNOWN;
		return zcb < 2 ? VPAGER_ACCESS_READ : VPAGER_ACCESS_WRITE;
	case 5: /* C.FSD, C.FSDSP */
	case 6: /* C.SW, C.SWSP */
	case 7: /* C.SD, C.SDSP */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access riscv64_amo_access(uint32_t insn)
{
	switch (insn >> 27) {
	case 0x02: /* LR */
	case 0x06: /* L.AQ */
		return VPAGER_ACCESS_READ;
	case 0x00: /* AMOADD */
	case 0x01: /* AMOSWAP */
	case 0x03: /* SC */
	case 0x04: /* AMOXOR */
	case 0x05: /* AMOCAS */
	case 0x07: /* S.RL */
	case 0x08: /* AMOOR */
	case 0x09: /* SSAMOSWAP */
	case 0x0c: /* AMOAND */
	case 0x10: /* AMOMIN */
	case 0x14: /* AMOMAX */
	case 0x18: /* AMOMINU */
	case 0x1c: /* AMOMAXU */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access riscv64_insn_access(uint32_t insn)
{
	unsigned funct3 = insn >> 12 & 7;

	if (!riscv64_is_long((uint16_t)insn))
		return riscv64_short_access((uint16_t)insn);
	switch (insn & 0x7f) {
	case 0x03: /* LB to LWU */
		return funct3 == 7 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_READ;
	case 0x07: /* FLH to FLQ and the loads of V */
		return VPAGER_ACCESS_READ;
	case 0x0f: /* CBO.ZERO; the other cache operations neither read nor write */
		return funct3 == 2 && insn >> 20 == 4 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_UNKNOWN;
	case 0x23: /* SB to SD */
		return funct3 > 3 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_WRITE;
	case 0x27: /* FSH to FSQ and the stores of V */
		return VPAGER_ACCESS_WRITE;
	case 0x2f:
		return riscv64_amo_access(insn);
	case 0x73: /* SSPUSH x1, x5; SSPOPCHK x1, x5 */
		if (insn == 0xce104073 || insn == 0xce504073)
			return VPAGER_ACCESS_WRITE;
		if (insn == 0xcdc0c073 || insn == 0xcdc2c073)
			return VPAGER_ACCESS_READ;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

#endif
