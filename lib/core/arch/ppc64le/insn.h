/* SPDX-License-Identifier: MIT
 *
 * What a Power instruction does to memory: Power ISA 3.1, appendix "Power ISA Instruction Set Sorted by Opcode".  Needed
 * where the frame has no DSISR (segment faults, emulators).  Pure, compiles on every host, runs in the handler.  READ is
 * said only of instructions that cannot write; what is not known here is UNKNOWN. */
#ifndef VPAGER_CORE_ARCH_PPC64LE_INSN_H
#define VPAGER_CORE_ARCH_PPC64LE_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "vpager.h"

/* A prefixed instruction is two words; they never cross 64 bytes. */
static inline bool ppc64le_is_prefix(uint32_t word)
{
	return word >> 26 == 1;
}

/* Primary opcode 31, extended opcode in bits 10:1. */
static inline enum vpager_access ppc64le_indexed_access(unsigned xo)
{
	switch (xo) {
	case 7:   /* lvebx */
	case 12:  /* lxsiwzx */
	case 13:  /* lxvrbx */
	case 20:  /* lwarx */
	case 21:  /* ldx */
	case 23:  /* lwzx */
	case 39:  /* lvehx */
	case 45:  /* lxvrhx */
	case 52:  /* lbarx */
	case 53:  /* ldux */
	case 54:  /* dcbst: as a load, like the other cache operations */
	case 55:  /* lwzux */
	case 71:  /* lvewx */
	case 76:  /* lxsiwax */
	case 77:  /* lxvrwx */
	case 84:  /* ldarx */
	case 86:  /* dcbf */
	case 87:  /* lbzx */
	case 103: /* lvx */
	case 109: /* lxvrdx */
	case 116: /* lharx */
	case 119: /* lbzux */
	case 268: /* lxvx */
	case 269: /* lxvl */
	case 276: /* lqarx */
	case 279: /* lhzx */
	case 300: /* lxvx, whose bit 6 is ignored */
	case 301: /* lxvll */
	case 311: /* lhzux */
	case 332: /* lxvdsx */
	case 333: /* lxvpx */
	case 341: /* lwax */
	case 343: /* lhax */
	case 359: /* lvxl */
	case 364: /* lxvwsx */
	case 373: /* lwaux */
	case 375: /* lhaux */
	case 524: /* lxsspx */
	case 532: /* ldbrx */
	case 533: /* lswx */
	case 534: /* lwbrx */
	case 535: /* lfsx */
	case 567: /* lfsux */
	case 588: /* lxsdx */
	case 597: /* lswi */
	case 599: /* lfdx */
	case 631: /* lfdux */
	case 754: /* hashchk */
	case 780: /* lxvw4x */
	case 781: /* lxsibzx */
	case 790: /* lhbrx */
	case 791: /* lfdpx */
	case 812: /* lxvh8x */
	case 813: /* lxsihzx */
	case 844: /* lxvd2x */
	case 855: /* lfiwax */
	case 876: /* lxvb16x */
	case 887: /* lfiwzx */
	case 982: /* icbi */
		return VPAGER_ACCESS_READ;
	case 135:  /* stvebx */
	case 140:  /* stxsiwx */
	case 141:  /* stxvrbx */
	case 149:  /* stdx */
	case 150:  /* stwcx. */
	case 151:  /* stwx */
	case 167:  /* stvehx */
	case 173:  /* stxvrhx */
	case 181:  /* stdux */
	case 182:  /* stqcx. */
	case 183:  /* stwux */
	case 199:  /* stvewx */
	case 205:  /* stxvrwx */
	case 214:  /* stdcx. */
	case 215:  /* stbx */
	case 231:  /* stvx */
	case 237:  /* stxvrdx */
	case 247:  /* stbux */
	case 396:  /* stxvx */
	case 397:  /* stxvl */
	case 407:  /* sthx */
	case 428:  /* stxvx, whose bit 6 is ignored */
	case 429:  /* stxvll */
	case 439:  /* sthux */
	case 461:  /* stxvpx */
	case 487:  /* stvxl */
	case 582:  /* lwat: load and modify */
	case 614:  /* ldat */
	case 652:  /* stxsspx */
	case 660:  /* stdbrx */
	case 661:  /* stswx */
	case 662:  /* stwbrx */
	case 663:  /* stfsx */
	case 694:  /* stbcx. */
	case 695:  /* stfsux */
	case 710:  /* stwat */
	case 716:  /* stxsdx */
	case 722:  /* hashst */
	case 725:  /* stswi */
	case 726:  /* sthcx. */
	case 727:  /* stfdx */
	case 742:  /* stdat */
	case 759:  /* stfdux */
	case 908:  /* stxvw4x */
	case 909:  /* stxsibx */
	case 918:  /* sthbrx */
	case 919:  /* stfdpx */
	case 940:  /* stxvh8x */
	case 941:  /* stxsihx */
	case 972:  /* stxvd2x */
	case 983:  /* stfiwx */
	case 1004: /* stxvb16x */
	case 1014: /* dcbz */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* The second word: prefix type 0 (8LS) has opcodes of its own, type 2 (MLS) those of the unprefixed instructions. */
static inline enum vpager_access ppc64le_prefixed_access(uint32_t prefix, uint32_t suffix)
{
	switch ((prefix >> 24 & 3) << 8 | suffix >> 26) {
	case 41:        /* plwa */
	case 42:        /* plxsd */
	case 43:        /* plxssp */
	case 50:        /* plxv */
	case 51:        /* plxv */
	case 56:        /* plq */
	case 57:        /* pld */
	case 58:        /* plxvp */
	case 0x200 | 32: /* plwz */
	case 0x200 | 34: /* plbz */
	case 0x200 | 40: /* plhz */
	case 0x200 | 42: /* plha */
	case 0x200 | 48: /* plfs */
	case 0x200 | 50: /* plfd */
		return VPAGER_ACCESS_READ;
	case 46:        /* pstxsd */
	case 47:        /* pstxssp */
	case 54:        /* pstxv */
	case 55:        /* pstxv */
	case 60:        /* pstq */
	case 61:        /* pstd */
	case 62:        /* pstxvp */
	case 0x200 | 36: /* pstw */
	case 0x200 | 38: /* pstb */
	case 0x200 | 44: /* psth */
	case 0x200 | 52: /* pstfs */
	case 0x200 | 54: /* pstfd */
		return VPAGER_ACCESS_WRITE;
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* next: the word after it, looked at only if the first is a prefix. */
static inline enum vpager_access ppc64le_insn_access(uint32_t insn, uint32_t next)
{
	unsigned opcode = insn >> 26;

	if (ppc64le_is_prefix(insn))
		return ppc64le_prefixed_access(insn, next);
	switch (opcode) {
	case 6: /* lxvp, stxvp */
		return (insn & 15) == 0   ? VPAGER_ACCESS_READ
		       : (insn & 15) == 1 ? VPAGER_ACCESS_WRITE
		                          : VPAGER_ACCESS_UNKNOWN;
	case 31:
		return ppc64le_indexed_access(insn >> 1 & 0x3ff);
	case 56: /* lq */
		return VPAGER_ACCESS_READ;
	case 57: /* lfdp, lxsd, lxssp */
		return (insn & 3) == 1 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_READ;
	case 58: /* ld, ldu, lwa */
		return (insn & 3) == 3 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_READ;
	case 61: /* lxv; stxv, stfdp, stxsd, stxssp */
		return (insn & 7) == 1 ? VPAGER_ACCESS_READ : VPAGER_ACCESS_WRITE;
	case 62: /* std, stdu, stq */
		return (insn & 3) == 3 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_WRITE;
	}
	if (opcode >= 32 && opcode <= 55) /* four loads, four stores, and so on, but for 46: lmw */
		return opcode & 4 && opcode != 46 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ;
	return VPAGER_ACCESS_UNKNOWN;
}

#endif
