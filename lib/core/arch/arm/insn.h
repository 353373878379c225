/* SPDX-License-Identifier: MIT
 *
 * What an A32 or a Thumb instruction does to memory: "A32 instruction set encoding" and "T32 instruction set encoding" of
 * the Arm Architecture Reference Manual (DDI 0406, DDI 0487 part F).  Pure, compiles on every host, runs in the handler.
 * READ is said only of instructions that cannot write; what is not known here is UNKNOWN. */
#ifndef VPAGER_CORE_ARCH_ARM_INSN_H
#define VPAGER_CORE_ARCH_ARM_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "vpager.h"

static inline enum vpager_access arm_load_if(bool load)
{
	return load ? VPAGER_ACCESS_READ : VPAGER_ACCESS_WRITE;
}

/* LDC, STC, VLDR, VSTR, VLDM, VSTM have one shape in A32 and T32; transfers of two core registers share it with
 * PUDW = 0010, and 0000 is undefined. */
static inline enum vpager_access arm_coprocessor_access(uint32_t insn)
{
	unsigned puw = insn >> 21 & 0xd; /* P, U, W without D */

	return puw == 0 ? VPAGER_ACCESS_UNKNOWN : arm_load_if(insn >> 20 & 1);
}

/* Bits 7 and 4 set in the data-processing space: halfwords, doublewords, exclusives, SWP. */
static inline enum vpager_access arm_extra_access(uint32_t insn)
{
	unsigned kind = insn >> 5 & 3;
	bool load = insn >> 20 & 1;

	if (kind == 0) { /* multiplications, with bit 24 exclusives; without bit 23 SWP */
		if (!(insn >> 24 & 1))
			return VPAGER_ACCESS_UNKNOWN;
		if (!(insn >> 23 & 1))
			return load || insn >> 21 & 1 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_WRITE;
		return arm_load_if(load);
	}
	if (kind == 2 && !load) /* LDRD, alone with L clear */
		return VPAGER_ACCESS_READ;
	return arm_load_if(load);
}

static inline enum vpager_access arm_unconditional_access(uint32_t insn)
{
	if ((insn >> 24 & 15) == 4 && !(insn >> 20 & 1)) /* NEON elements and structures */
		return arm_load_if(insn >> 21 & 1);
	return VPAGER_ACCESS_UNKNOWN; /* LDC2 and STC2 have become arithmetic of AdvSIMD */
}

static inline enum vpager_access arm_insn_access(uint32_t insn)
{
	if (insn >> 28 == 15)
		return arm_unconditional_access(insn);
	switch (insn >> 25 & 7) {
	case 0:
		return (insn & 0x90) == 0x90 ? arm_extra_access(insn) : VPAGER_ACCESS_UNKNOWN;
	case 3:
		if (insn >> 4 & 1) /* media instructions */
			return VPAGER_ACCESS_UNKNOWN;
		return arm_load_if(insn >> 20 & 1);
	case 2:
	case 4:
		return arm_load_if(insn >> 20 & 1);
	case 6:
		return arm_coprocessor_access(insn);
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline bool thumb_is_long(uint16_t first)
{
	return first >> 11 >= 0x1d;
}

static inline enum vpager_access thumb_short_access(uint16_t insn)
{
	switch (insn >> 11) {
	case 0x09: /* LDR of a literal */
		return VPAGER_ACCESS_READ;
	case 0x0a: /* register offset: STR, STRH, STRB, LDRSB */
		return arm_load_if((insn >> 9 & 3) == 3);
	case 0x0b: /* LDR, LDRH, LDRB, LDRSH */
		return VPAGER_ACCESS_READ;
	case 0x0c: /* STR, LDR, STRB, LDRB, STRH, LDRH, STR and LDR of sp, STM, LDM */
	case 0x0d:
	case 0x0e:
	case 0x0f:
	case 0x10:
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x18:
	case 0x19:
		return arm_load_if(insn >> 11 & 1);
	case 0x16: /* PUSH */
		return (insn & 0x0600) == 0x0400 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_UNKNOWN;
	case 0x17: /* POP */
		return (insn & 0x0600) == 0x0400 ? VPAGER_ACCESS_READ : VPAGER_ACCESS_UNKNOWN;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access thumb_insn_access(uint16_t first, uint16_t second)
{
	uint32_t insn = (uint32_t)first << 16 | second;
	bool load = insn >> 20 & 1;

	if (!thumb_is_long(first))
		return thumb_short_access(first);
	switch (insn >> 25) {
	case 0x74: /* multiple, double, exclusive, table branch */
		return arm_load_if(load);
	case 0x7c: /* single; 1111 1001 xxx0: NEON elements and structures */
		if ((insn >> 24 & 1) && !load)
			return arm_load_if(insn >> 21 & 1);
		return arm_load_if(load);
	case 0x76:
		return arm_coprocessor_access(insn);
	}
	return VPAGER_ACCESS_UNKNOWN;
}

#endif
