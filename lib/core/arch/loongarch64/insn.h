/* SPDX-License-Identifier: MIT
 *
 * What a LoongArch instruction does to memory: the encoding tables of the "LoongArch Reference Manual, volume 1", with LSX,
 * LASX, LBT, and the atomics of version 1.1.  Pure, compiles on every host, runs in the handler.  READ is said only of
 * instructions that cannot write; an atomic memory operation is WRITE; what is not known here is UNKNOWN. */
#ifndef VPAGER_CORE_ARCH_LOONGARCH64_INSN_H
#define VPAGER_CORE_ARCH_LOONGARCH64_INSN_H

#include <stdint.h>
#include "vpager.h"

/* Register plus register: top byte 0x38, the operation in 23:15. */
static inline enum vpager_access loongarch64_indexed_access(uint32_t insn)
{
	unsigned operation = insn >> 15 & 0x1ff;

	if (operation >= 0xae && operation <= 0xe3) /* SC.Q, LLACQ, SCREL; AMCAS to AMMIN_DB.DU */
		return operation == 0xaf && !(insn >> 10 & 1) ? VPAGER_ACCESS_READ : VPAGER_ACCESS_WRITE;
	if (operation >= 0xe8 && operation <= 0xff) { /* bound-checked: fld 4, fst 4, ld 8, st 8 */
		if ((operation >= 0xec && operation <= 0xef) || operation >= 0xf8)
			return VPAGER_ACCESS_WRITE;
		return VPAGER_ACCESS_READ;
	}
	if (operation & 7)
		return VPAGER_ACCESS_UNKNOWN;
	switch (operation >> 3) {
	case 0x00: /* LDX.B, .H, .W, .D, .BU, .HU, .WU */
	case 0x01:
	case 0x02:
	case 0x03:
	case 0x08:
	case 0x09:
	case 0x0a:
	case 0x0c: /* FLDX.S, .D */
	case 0x0d:
	case 0x10: /* VLDX */
	case 0x12: /* XVLDX */
		return VPAGER_ACCESS_READ;
	case 0x04: /* STX.B, .H, .W, .D */
	case 0x05:
	case 0x06:
	case 0x07:
	case 0x0e: /* FSTX.S, .D */
	case 0x0f:
	case 0x11: /* VSTX */
	case 0x13: /* XVSTX */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* Register plus 12 bits: top bytes 0x28 to 0x2f, the operation in 26:22. */
static inline enum vpager_access loongarch64_offset_access(uint32_t insn)
{
	switch (insn >> 22 & 0x1f) {
	case 0x00: /* LD.B, .H, .W, .D, .BU, .HU, .WU */
	case 0x01:
	case 0x02:
	case 0x03:
	case 0x08:
	case 0x09:
	case 0x0a:
	case 0x0c: /* FLD.S, .D */
	case 0x0e:
	case 0x10: /* VLD */
	case 0x12: /* XVLD */
	case 0x18: /* LDL.W, LDR.W, LDL.D, LDR.D */
	case 0x19:
	case 0x1a:
	case 0x1b:
		return VPAGER_ACCESS_READ;
	case 0x04: /* ST.B, .H, .W, .D */
	case 0x05:
	case 0x06:
	case 0x07:
	case 0x0d: /* FST.S, .D */
	case 0x0f:
	case 0x11: /* VST */
	case 0x13: /* XVST */
	case 0x1c: /* STL.W, STR.W, STL.D, STR.D */
	case 0x1d:
	case 0x1e:
	case 0x1f:
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access loongarch64_insn_access(uint32_t insn)
{
	switch (insn >> 24) {
	case 0x20: /* LL.W */
	case 0x22: /* LL.D */
	case 0x24: /* LDPTR.W */
	case 0x26: /* LDPTR.D */
	case 0x30: /* VLDREPL */
	case 0x32: /* XVLDREPL */
		return VPAGER_ACCESS_READ;
	case 0x21: /* SC.W */
	case 0x23: /* SC.D */
	case 0x25: /* STPTR.W */
	case 0x27: /* STPTR.D */
	case 0x31: /* VSTELM */
	case 0x33: /* XVSTELM */
		return VPAGER_ACCESS_WRITE;
	case 0x38:
		return loongarch64_indexed_access(insn);
	}
	return insn >> 27 == 0x28 >> 3 ? loongarch64_offset_access(insn) : VPAGER_ACCESS_UNKNOWN;
}

#endif
