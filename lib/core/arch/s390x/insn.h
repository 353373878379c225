/* SPDX-License-Identifier: MIT
 *
 * What a z/Architecture instruction does to memory: appendix B of the Principles of Operation (SA22-7832), general, decimal,
 * floating-point and vector instructions.  Pure, compiles on every host, runs in the handler.  READ is said only of
 * instructions that cannot write, or of an operand that is only read; UNKNOWN of privileged and cryptographic instructions,
 * of those with three operands in memory, and of all that is not listed. */
#ifndef VPAGER_CORE_ARCH_S390X_INSN_H
#define VPAGER_CORE_ARCH_S390X_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vpager.h"

/* What the operands' addresses follow from, and the page that faulted. */
struct s390x_machine {
	uint64_t pc, page, gpr[16];
};

enum s390x_effect {
	S390X_OTHER,
	S390X_READS,
	S390X_WRITES,
	S390X_MOVES,         /* writes D1(B1), reads D2(B2) */
	S390X_MOVES_INVERSE, /* the same, D2(B2) being the last byte */
	S390X_MOVES_LONG,    /* writes at r1, reads at the other register, lengths in the next ones */
	S390X_MOVES_PAGE     /* the same, a page each */
};

static inline size_t s390x_insn_len(const unsigned char *text)
{
	return text[0] < 0x40 ? 2 : text[0] < 0xc0 ? 4 : 6;
}

/* 0x40 to 0xbf: RX, RS and SI; 0xa5 and 0xa7 have no operand in memory. */
static inline enum s390x_effect s390x_effect_rx(unsigned op)
{
	switch (op) {
	case 0x43:          /* IC */
	case 0x48 ... 0x4c: /* LH, CH, AH, SH, MH */
	case 0x4f:          /* CVB */
	case 0x54 ... 0x5f: /* N to SL */
	case 0x67 ... 0x6f: /* MXD, LD to SW */
	case 0x71:          /* MS */
	case 0x78 ... 0x7f: /* LE to SU */
	case 0x91:          /* TM */
	case 0x95:          /* CLI */
	case 0x98:          /* LM */
	case 0x9a:          /* LAM */
	case 0xa9:          /* CLCLE */
	case 0xbd:          /* CLM */
	case 0xbf:          /* ICM */
		return S390X_READS;
	case 0x40:          /* STH */
	case 0x42:          /* STC */
	case 0x4e:          /* CVD */
	case 0x50:          /* ST */
	case 0x60:          /* STD */
	case 0x70:          /* STE */
	case 0x90:          /* STM */
	case 0x92 ... 0x94: /* MVI, TS, NI */
	case 0x96 ... 0x97: /* OI, XI */
	case 0x9b:          /* STAM */
	case 0xba ... 0xbb: /* CS, CDS */
	case 0xbe:          /* STCM */
		return S390X_WRITES;
	case 0xa8: /* MVCLE */
		return S390X_MOVES_LONG;
	}
	return S390X_OTHER;
}

static inline enum s390x_effect s390x_effect_b2(unsigned op)
{
	switch (op) {
	case 0x1a: /* CFC */
	case 0x41: /* CKSM */
	case 0x57: /* CUSE */
	case 0x5d: /* CLST */
	case 0x5e: /* SRST */
	case 0x9d: /* LFPC */
	case 0xbd: /* LFAS */
		return S390X_READS;
	case 0x05: /* STCK */
	case 0x78: /* STCKE */
	case 0x7c: /* STCKF */
	case 0x9c: /* STFPC */
	case 0xb0: /* STFLE */
		return S390X_WRITES;
	case 0x54: /* MVPG */
		return S390X_MOVES_PAGE;
	}
	return S390X_OTHER;
}

/* Relative to pc: 0xc4 loads and stores, 0xc6 compares (0 is EXRL, 2 a prefetch); op is the second byte's low half. */
static inline enum s390x_effect s390x_effect_relative(unsigned first, unsigned op)
{
	if (first == 0xc6)
		return (op >= 0x4 && op <= 0x8) || op == 0xa || op >= 0xc ? S390X_READS : S390X_OTHER;
	switch (op) {
	case 0x2:         /* LLHRL */
	case 0x4 ... 0x6: /* LGHRL, LHRL, LLGHRL */
	case 0x8:         /* LGRL */
	case 0xc ... 0xe: /* LGFRL, LRL, LLGFRL */
		return S390X_READS;
	case 0x7: /* STHRL */
	case 0xb: /* STGRL */
	case 0xf: /* STRL */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

/* 0xd0 to 0xff: storage to storage, except those that other functions have. */
static inline enum s390x_effect s390x_effect_ss(unsigned op)
{
	switch (op) {
	case 0xd0: /* TRTR */
	case 0xd5: /* CLC */
	case 0xdd: /* TRT */
	case 0xef: /* LMD */
	case 0xf9: /* CP */
		return S390X_READS;
	case 0xd1 ... 0xd4: /* MVN, MVC, MVZ, NC */
	case 0xd6 ... 0xd7: /* OC, XC */
	case 0xdc:          /* TR */
	case 0xde ... 0xdf: /* ED, EDMK */
	case 0xe1 ... 0xe2: /* PKU, UNPKU */
	case 0xe9 ... 0xea: /* PKA, UNPKA */
	case 0xf1 ... 0xf3: /* MVO, PACK, UNPK */
	case 0xf8:          /* ZAP */
	case 0xfa ... 0xfd: /* AP, SP, MP, DP */
		return S390X_MOVES;
	case 0xe8: /* MVCIN */
		return S390X_MOVES_INVERSE;
	case 0xf0: /* SRP, whose second operand is a number */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

/* 0xe3, by its last byte. */
static inline enum s390x_effect s390x_effect_e3(unsigned op)
{
	switch (op) {
	case 0x02:          /* LTG */
	case 0x04:          /* LG */
	case 0x06:          /* CVBY */
	case 0x08 ... 0x0f: /* AG to LRVG */
	case 0x12:          /* LT */
	case 0x14 ... 0x1f: /* LGF to LRVH */
	case 0x20 ... 0x21: /* CG, CLG */
	case 0x2a:          /* LZRG */
	case 0x30 ... 0x32: /* CGF, CLGF, LTGF */
	case 0x34:          /* CGH */
	case 0x38 ... 0x3c: /* AGH, SGH, LLZRGF, LZRF, MGH */
	case 0x47 ... 0x48: /* BIC, LLGFSG */
	case 0x4c ... 0x4d: /* LGG, LGSC */
	case 0x51:          /* MSY */
	case 0x53 ... 0x5c: /* MSC, NY to MFY */
	case 0x5e ... 0x5f: /* ALY, SLY */
	case 0x73:          /* ICY */
	case 0x76 ... 0x7c: /* LB to MHY */
	case 0x80 ... 0x89: /* NG to SLBG */
	case 0x8f ... 0x91: /* LPQ, LLGC, LLGH */
	case 0x94 ... 0x99: /* LLC to SLB */
	case 0x9c ... 0x9d: /* LLGTAT, LLGFAT */
	case 0x9f:          /* LAT */
	case 0xc0:          /* LBH */
	case 0xc2:          /* LLCH */
	case 0xc4:          /* LHH */
	case 0xc6:          /* LLHH */
	case 0xc8:          /* LFHAT */
	case 0xca:          /* LFH */
	case 0xcd:          /* CHF */
	case 0xcf:          /* CLHF */
		return S390X_READS;
	case 0x24 ... 0x26: /* STG, NTSTG, CVDY */
	case 0x2e ... 0x2f: /* CVDG, STRVG */
	case 0x3e ... 0x3f: /* STRV, STRVH */
	case 0x49:          /* STGSC */
	case 0x50:          /* STY */
	case 0x70:          /* STHY */
	case 0x72:          /* STCY */
	case 0x8e:          /* STPQ */
	case 0xc3:          /* STCH */
	case 0xc7:          /* STHH */
	case 0xcb:          /* STFH */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

/* 0xe5, by its second byte. */
static inline enum s390x_effect s390x_effect_e5(unsigned op)
{
	switch (op) {
	case 0x0a: /* MVCRL */
		return S390X_MOVES;
	case 0x44: /* MVHHI */
	case 0x48: /* MVGHI */
	case 0x4c: /* MVHI */
		return S390X_WRITES;
	case 0x54 ... 0x55: /* CHHSI, CLHHSI */
	case 0x58 ... 0x59: /* CGHSI, CLGHSI */
	case 0x5c ... 0x5d: /* CHSI, CLFHSI */
		return S390X_READS;
	}
	return S390X_OTHER;
}

/* 0xe6 and 0xe7, vectors, by the last byte. */
static inline enum s390x_effect s390x_effect_e6(unsigned op)
{
	switch (op) {
	case 0x01 ... 0x07: /* VLEBRH to VLER */
	case 0x34 ... 0x35: /* VPKZ, VLRL */
	case 0x37:          /* VLRLR */
		return S390X_READS;
	case 0x09 ... 0x0b: /* VSTEBRH, VSTEBRG, VSTEBRF */
	case 0x0e ... 0x0f: /* VSTBR, VSTER */
	case 0x3c ... 0x3d: /* VUPKZ, VSTRL */
	case 0x3f:          /* VSTRLR */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

static inline enum s390x_effect s390x_effect_e7(unsigned op)
{
	switch (op) {
	case 0x00 ... 0x07: /* VLEB to VLBB */
	case 0x12 ... 0x13: /* VGEG, VGEF */
	case 0x36 ... 0x37: /* VLM, VLL */
		return S390X_READS;
	case 0x08 ... 0x0b: /* VSTEB, VSTEH, VSTEG, VSTEF */
	case 0x0e:          /* VST */
	case 0x1a ... 0x1b: /* VSCEG, VSCEF */
	case 0x3e ... 0x3f: /* VSTM, VSTL */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

/* 0xeb, by its last byte. */
static inline enum s390x_effect s390x_effect_eb(unsigned op)
{
	switch (op) {
	case 0x04:          /* LMG */
	case 0x20 ... 0x21: /* CLMH, CLMY */
	case 0x23:          /* CLT */
	case 0x2b:          /* CLGT */
	case 0x51:          /* TMY */
	case 0x55:          /* CLIY */
	case 0x80 ... 0x81: /* ICMH, ICMY */
	case 0x8f:          /* CLCLU */
	case 0x96:          /* LMH */
	case 0x98:          /* LMY */
	case 0x9a:          /* LAMY */
	case 0xe0:          /* LOCFH */
	case 0xe2:          /* LOCG */
	case 0xf2:          /* LOC */
		return S390X_READS;
	case 0x14:          /* CSY */
	case 0x24:          /* STMG */
	case 0x26:          /* STMH */
	case 0x2c ... 0x2d: /* STCMH, STCMY */
	case 0x30 ... 0x31: /* CSG, CDSY */
	case 0x3e:          /* CDSG */
	case 0x52:          /* MVIY */
	case 0x54:          /* NIY */
	case 0x56 ... 0x57: /* OIY, XIY */
	case 0x6a:          /* ASI */
	case 0x6e:          /* ALSI */
	case 0x7a:          /* AGSI */
	case 0x7e:          /* ALGSI */
	case 0x90:          /* STMY */
	case 0x9b:          /* STAMY */
	case 0xe1:          /* STOCFH */
	case 0xe3 ... 0xe4: /* STOCG, LANG */
	case 0xe6 ... 0xe8: /* LAOG, LAXG, LAAG */
	case 0xea:          /* LAALG */
	case 0xf3 ... 0xf4: /* STOC, LAN */
	case 0xf6 ... 0xf8: /* LAO, LAX, LAA */
	case 0xfa:          /* LAAL */
		return S390X_WRITES;
	case 0x8e: /* MVCLU */
		return S390X_MOVES_LONG;
	}
	return S390X_OTHER;
}

/* 0xed, floating point, by its last byte.  Data class tests and shifts have an address that is no operand. */
static inline enum s390x_effect s390x_effect_ed(unsigned op)
{
	switch (op) {
	case 0x04 ... 0x0f: /* LDEB to MSEB */
	case 0x14 ... 0x15: /* SQEB, SQDB */
	case 0x17 ... 0x1f: /* MEEB to MSDB */
	case 0x24 ... 0x26: /* LDE, LXD, LXE */
	case 0x2e ... 0x2f: /* MAE, MSE */
	case 0x34 ... 0x35: /* SQE, SQD */
	case 0x37 ... 0x3f: /* MEE to MSD */
	case 0x64 ... 0x65: /* LEY, LDY */
	case 0xaa ... 0xab: /* CDZT, CXZT */
	case 0xae ... 0xaf: /* CDPT, CXPT */
		return S390X_READS;
	case 0x66 ... 0x67: /* STEY, STDY */
	case 0xa8 ... 0xa9: /* CZDT, CZXT */
	case 0xac ... 0xad: /* CPDT, CPXT */
		return S390X_WRITES;
	}
	return S390X_OTHER;
}

static inline enum s390x_effect s390x_effect(const unsigned char *text)
{
	switch (text[0]) {
	case 0x0e: /* MVCL */
		return S390X_MOVES_LONG;
	case 0x0f: /* CLCL */
		return S390X_READS;
	case 0xb2:
		return s390x_effect_b2(text[1]);
	case 0xb9: /* TRTRE, SRSTU, TRTE */
		return text[1] >= 0xbd && text[1] <= 0xbf ? S390X_READS : S390X_OTHER;
	case 0xc4:
	case 0xc6:
		return s390x_effect_relative(text[0], text[1] & 15);
	case 0xc8: /* ECTG; LPD, LPDG */
		return (text[1] & 15) == 1 || (text[1] & 14) == 4 ? S390X_READS : S390X_OTHER;
	case 0xe3:
		return s390x_effect_e3(text[5]);
	case 0xe5:
		return s390x_effect_e5(text[1]);
	case 0xe6:
		return s390x_effect_e6(text[5]);
	case 0xe7:
		return s390x_effect_e7(text[5]);
	case 0xeb:
		return s390x_effect_eb(text[5]);
	case 0xed:
		return s390x_effect_ed(text[5]);
	}
	if (text[0] >= 0x40 && text[0] <= 0xbf)
		return s390x_effect_rx(text[0]);
	return text[0] >= 0xd0 ? s390x_effect_ss(text[0]) : S390X_OTHER;
}

/* ---- which of two operands lies in the page ---- */

/* len bytes at from; a length of a large part of the address space is one that was never meant to end. */
static inline bool s390x_in_page(const struct s390x_machine *m, uint64_t from, uint64_t len)
{
	uint64_t first = from & ~(uint64_t)4095, past;

	if (len > (uint64_t)1 << 60)
		len = (uint64_t)1 << 60;
	past = (from & 4095) + len; /* the first byte behind, counted from the first page */
	return len && m->page - first < past;
}

static inline enum vpager_access s390x_either(bool written, bool read)
{
	if (written == read)
		return VPAGER_ACCESS_UNKNOWN;
	return written ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ;
}

/* Four bits of base register, twelve of displacement. */
static inline uint64_t s390x_base_displacement(const struct s390x_machine *m, const unsigned char *at)
{
	unsigned base = at[0] >> 4;

	return (base ? m->gpr[base] : 0) + (uint64_t)((at[0] & 15) << 8 | at[1]);
}

/* 16 bytes is the most that a decimal or packed operand has; a translation table has 256. */
static inline enum vpager_access s390x_move_access(const unsigned char *text, const struct s390x_machine *m, bool inverse)
{
	uint64_t to = s390x_base_displacement(m, text + 2), from = s390x_base_displacement(m, text + 4);
	uint64_t len = text[0] >= 0xf0 ? 16 : (uint64_t)text[1] + 1, from_len;

	if (text[0] == 0xe5) /* MVCRL: the length is in register 0 */
		len = (m->gpr[0] & 255) + 1;
	from_len = text[0] == 0xdc ? 256 : len;
	if (inverse)
		from -= len - 1;
	if (text[0] == 0xe1 || text[0] == 0xe9)
		len = 16;
	if (text[0] == 0xe2 || text[0] == 0xea)
		from_len = 16;
	return s390x_either(s390x_in_page(m, to, len), s390x_in_page(m, from, from_len));
}

/* The registers are kept up to date while these run. */
static inline enum vpager_access s390x_move_long_access(const unsigned char *text, const struct s390x_machine *m)
{
	unsigned r1 = text[1] >> 4 & 14, r2 = text[1] & 14;
	uint64_t most = text[0] == 0x0e ? 0xffffff : ~(uint64_t)0;

	return s390x_either(s390x_in_page(m, m->gpr[r1], m->gpr[r1 + 1] & most),
	                    s390x_in_page(m, m->gpr[r2], m->gpr[r2 + 1] & most));
}

static inline enum vpager_access s390x_insn_access(const unsigned char *text, const struct s390x_machine *m)
{
	switch (s390x_effect(text)) {
	case S390X_OTHER:
		break;
	case S390X_READS:
		return VPAGER_ACCESS_READ;
	case S390X_WRITES:
		return VPAGER_ACCESS_WRITE;
	case S390X_MOVES:
		return s390x_move_access(text, m, false);
	case S390X_MOVES_INVERSE:
		return s390x_move_access(text, m, true);
	case S390X_MOVES_LONG:
		return s390x_move_long_access(text, m);
	case S390X_MOVES_PAGE:
		return s390x_either((m->gpr[text[3] >> 4] & ~(uint64_t)4095) == m->page,
		                    (m->gpr[text[3] & 15] & ~(uint64_t)4095) == m->page);
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* ---- EX and EXRL ---- */

static inline bool s390x_is_execute(const unsigned char *text)
{
	return text[0] == 0x44 || (text[0] == 0xc6 && (text[1] & 15) == 0);
}

static inline uint64_t s390x_executed_address(const struct s390x_machine *m, const unsigned char *text)
{
	unsigned index = text[1] & 15;

	if (text[0] == 0x44) /* EX R1,D2(X2,B2) */
		return s390x_base_displacement(m, text + 2) + (index ? m->gpr[index] : 0);
	/* EXRL R1,RI2: halfwords, signed */
	return m->pc + 2 * (uint64_t)(int64_t)(int32_t)((uint32_t)text[2] << 24 | (uint32_t)text[3] << 16 |
	                                                (uint32_t)text[4] << 8 | text[5]);
}

#endif
