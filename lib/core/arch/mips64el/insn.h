/* SPDX-License-Identifier: MIT
 *
 * What a MIPS instruction does to memory: the opcode tables of "MIPS64 Architecture for Programmers, volume II-A" (releases
 * 2 to 6), volume IV-j (MSA), IV-e (DSP), and the Octeon's atomics.  Pure, compiles on every host, runs in the handler.
 * READ is said only of instructions that cannot write.  The four coprocessor 2 opcodes (0x32, 0x36, 0x3a, 0x3e) are
 * UNKNOWN: they are loads and stores on Loongson, branches on Octeon and in release 6. */
#ifndef VPAGER_CORE_ARCH_MIPS64EL_INSN_H
#define VPAGER_CORE_ARCH_MIPS64EL_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "vpager.h"

/* In release 6 some of these are compact branches, without a delay slot; such a one never faults on data. */
static inline bool mips64el_has_delay_slot(uint32_t insn)
{
	unsigned opcode = insn >> 26, function = insn & 0x3f, rs = insn >> 21 & 31, rt = insn >> 16 & 31;

	if (opcode == 0x00) /* SPECIAL: JR, JALR */
		return function == 0x08 || function == 0x09;
	if (opcode == 0x01) /* REGIMM: BLTZ, BGEZ, with "likely" and "and link"; BPOSGE32 */
		return (rt & 0x0c) == 0 || rt == 0x1c;
	if (opcode == 0x11) /* COP1: BC1F, BC1T; BC1EQZ, BC1NEZ; MSA's BZ and BNZ */
		return rs == 0x08 || rs == 0x09 || rs == 0x0d || rs == 0x0b || rs == 0x0f || rs >= 0x18;
	if (opcode == 0x12) /* COP2 */
		return rs == 0x08 || rs == 0x09 || rs == 0x0d;
	return (opcode >= 0x02 && opcode <= 0x07) || (opcode >= 0x14 && opcode <= 0x17) || opcode == 0x1d;
}

/* SPECIAL3: release 6 LL and SC, loads and stores of the other address space, DSP's indexed loads. */
static inline enum vpager_access mips64el_special3_access(uint32_t insn)
{
	switch (insn & 0x3f) {
	case 0x0a: /* LWX, LHX, LBUX, LDX */
	case 0x19: /* LWLE */
	case 0x1a: /* LWRE */
	case 0x28: /* LBUE */
	case 0x29: /* LHUE */
	case 0x2c: /* LBE */
	case 0x2d: /* LHE */
	case 0x2e: /* LLE */
	case 0x2f: /* LWE */
	case 0x36: /* LL */
	case 0x37: /* LLD */
		return VPAGER_ACCESS_READ;
	case 0x1c: /* SBE */
	case 0x1d: /* SHE */
	case 0x1e: /* SCE */
	case 0x1f: /* SWE */
	case 0x21: /* SWLE */
	case 0x22: /* SWRE */
	case 0x26: /* SC */
	case 0x27: /* SCD */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* COP1X: indexed loads and stores of the FPU. */
static inline enum vpager_access mips64el_cop1x_access(uint32_t insn)
{
	switch (insn & 0x3f) {
	case 0x00: /* LWXC1 */
	case 0x01: /* LDXC1 */
	case 0x05: /* LUXC1 */
		return VPAGER_ACCESS_READ;
	case 0x08: /* SWXC1 */
	case 0x09: /* SDXC1 */
	case 0x0d: /* SUXC1 */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access mips64el_insn_access(uint32_t insn)
{
	unsigned function = insn & 0x3f;

	switch (insn >> 26) {
	case 0x01: /* REGIMM: ASET, ACLR */
		return (insn >> 16 & 31) == 0x07 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_UNKNOWN;
	case 0x13:
		return mips64el_cop1x_access(insn);
	case 0x1c: /* SPECIAL2: Octeon's SAA, SAAD; LAI and its kind, ZCB */
		return function == 0x18 || function == 0x19 || function == 0x1f ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_UNKNOWN;
	case 0x1e: /* MSA: LD.df, ST.df */
		return function >> 2 == 8   ? VPAGER_ACCESS_READ
		       : function >> 2 == 9 ? VPAGER_ACCESS_WRITE
		                            : VPAGER_ACCESS_UNKNOWN;
	case 0x1f:
		return mips64el_special3_access(insn);
	case 0x1a: /* LDL */
	case 0x1b: /* LDR */
	case 0x20: /* LB */
	case 0x21: /* LH */
	case 0x22: /* LWL */
	case 0x23: /* LW */
	case 0x24: /* LBU */
	case 0x25: /* LHU */
	case 0x26: /* LWR */
	case 0x27: /* LWU */
	case 0x30: /* LL */
	case 0x31: /* LWC1 */
	case 0x34: /* LLD */
	case 0x35: /* LDC1 */
	case 0x37: /* LD */
		return VPAGER_ACCESS_READ;
	case 0x3b: /* PCREL: LWPC, LWUPC, LDPC */
		return (insn >> 19 & 3) == 1 || (insn >> 19 & 3) == 2 || (insn >> 18 & 7) == 6 ? VPAGER_ACCESS_READ
		                                                                             : VPAGER_ACCESS_UNKNOWN;
	case 0x28: /* SB */
	case 0x29: /* SH */
	case 0x2a: /* SWL */
	case 0x2b: /* SW */
	case 0x2c: /* SDL */
	case 0x2d: /* SDR */
	case 0x2e: /* SWR */
	case 0x38: /* SC */
	case 0x39: /* SWC1 */
	case 0x3c: /* SCD */
	case 0x3d: /* SDC1 */
	case 0x3f: /* SD */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

#endif
