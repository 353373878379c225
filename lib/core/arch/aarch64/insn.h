/* SPDX-License-Identifier: MIT
 *
 * What an A64 instruction does to memory: "C4.1 A64 instruction set encoding" of the Arm Architecture Reference Manual
 * (DDI 0487), the groups Loads and Stores, SVE memory, SME memory, and the data cache operations that user code has.  Pure,
 * compiles on every host, runs in the handler.  READ is said only of instructions that cannot write; read-modify-write is
 * WRITE; what is not known here is UNKNOWN. */
#ifndef VPAGER_CORE_ARCH_AARCH64_INSN_H
#define VPAGER_CORE_ARCH_AARCH64_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "vpager.h"

static inline enum vpager_access aarch64_load_if(bool load)
{
	return load ? VPAGER_ACCESS_READ : VPAGER_ACCESS_WRITE;
}

/* Exclusives, ordered accesses, compare and swap. */
static inline enum vpager_access aarch64_exclusive_access(uint32_t insn)
{
	bool o2 = insn >> 23 & 1, load = insn >> 22 & 1, o1 = insn >> 21 & 1, pair = insn >> 31;

	if (o1 && (o2 || !pair))
		return VPAGER_ACCESS_WRITE; /* CAS, CASP */
	return aarch64_load_if(load);
}

/* LDR of a literal (bit 24 clear); LDAPUR and STLUR, memory tags, memory copy and set (bit 24 set). */
static inline enum vpager_access aarch64_literal_or_misc_access(uint32_t insn)
{
	unsigned size = insn >> 30, opc = insn >> 22 & 3, low = insn >> 10 & 3;
	bool vector = insn >> 26 & 1;

	if (!(insn >> 24 & 1)) /* size 3 is PRFM, which does not fault */
		return size == 3 ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_READ;
	if (insn >> 21 & 1) {
		if (low == 0 && size == 0) /* SWPP, LDCLRP, LDSETP */
			return vector ? VPAGER_ACCESS_UNKNOWN : VPAGER_ACCESS_WRITE;
		if (size != 3 || vector)
			return VPAGER_ACCESS_UNKNOWN;
		if (low == 0 && (opc == 1 || opc == 3)) /* LDG; LDGM */
			return VPAGER_ACCESS_READ;
		return VPAGER_ACCESS_WRITE; /* STG, STZG, ST2G, STZ2G, STGM, STZGM */
	}
	if (low == 1 && size == 0) /* CPY* read and write; SET* write */
		return opc == 3 ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_UNKNOWN;
	if (low == 2 && vector) /* LDAPUR and STLUR of a vector register */
		return aarch64_load_if(opc & 1);
	if (low == 2 && size >= 2) /* LDIAPP and STILP */
		return aarch64_load_if(opc & 1);
	if (low == 0 && !vector) /* STLUR*; LDAPUR* */
		return aarch64_load_if(opc != 0);
	return VPAGER_ACCESS_UNKNOWN;
}

/* LDADD and its kind, SWP; LDAPR; 64-byte accesses. */
static inline enum vpager_access aarch64_atomic_access(uint32_t insn)
{
	unsigned size = insn >> 30, operation = insn >> 12 & 15;
	bool vector = insn >> 26 & 1;

	if (!vector && operation == 12) /* LDAPR */
		return VPAGER_ACCESS_READ;
	if (!vector && operation == 13 && size == 3) /* LD64B */
		return VPAGER_ACCESS_READ;
	return VPAGER_ACCESS_WRITE;
}

/* One register: size in 31:30, vector in 26, opc in 23:22. */
static inline enum vpager_access aarch64_register_access(uint32_t insn)
{
	unsigned size = insn >> 30, opc = insn >> 22 & 3, low = insn >> 10 & 3;
	bool vector = insn >> 26 & 1, unsigned_offset = insn >> 24 & 1;

	if (!unsigned_offset && insn >> 21 & 1) {
		if (low == 0)
			return aarch64_atomic_access(insn);
		if (low != 2) /* LDRAA, LDRAB */
			return size == 3 && !vector ? VPAGER_ACCESS_READ : VPAGER_ACCESS_UNKNOWN;
	}
	if (vector) /* opc 2 and 3 are the 128-bit forms of 0 and 1 */
		return aarch64_load_if(opc & 1);
	if (size == 3 && opc >= 2) /* PRFM does not fault */
		return VPAGER_ACCESS_UNKNOWN;
	return aarch64_load_if(opc != 0);
}

static inline enum vpager_access aarch64_load_store_access(uint32_t insn)
{
	switch (insn >> 27 & 7) { /* 29:27 */
	case 1: /* 001: exclusives; with bit 26 the structure loads and stores of AdvSIMD */
		if (insn >> 26 & 1)
			return insn >> 31 ? VPAGER_ACCESS_UNKNOWN : aarch64_load_if(insn >> 22 & 1);
		return insn >> 24 & 1 ? VPAGER_ACCESS_UNKNOWN : aarch64_exclusive_access(insn);
	case 3: /* 011 */
		return aarch64_literal_or_misc_access(insn);
	case 5: /* 101: pairs */
		return aarch64_load_if(insn >> 22 & 1);
	case 7: /* 111 */
		return aarch64_register_access(insn);
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* Top byte of SVE: 84/85 and c4/c5 gather, broadcast, LDR; a4/a5 contiguous loads; a0/a1 multi-register, of which bit 21
 * stores; e4/e5 stores.  Of SME: e0/e1, bit 21 stores. */
static inline enum vpager_access aarch64_sve_access(uint32_t insn)
{
	switch (insn >> 25) {
	case 0x84 >> 1:
	case 0xc4 >> 1:
	case 0xa4 >> 1:
		return VPAGER_ACCESS_READ;
	case 0xe4 >> 1:
		return VPAGER_ACCESS_WRITE;
	case 0xa0 >> 1: /* with bit 23 an outer product */
		return insn >> 23 & 1 ? VPAGER_ACCESS_UNKNOWN : aarch64_load_if(!(insn >> 21 & 1));
	case 0xe0 >> 1:
		return aarch64_load_if(!(insn >> 21 & 1));
	}
	return VPAGER_ACCESS_UNKNOWN;
}

/* DC ZVA, GVA and GZVA write; DC CVAU, CVAC, CVAP, CVADP, CIVAC and IC IVAU count as reads. */
static inline enum vpager_access aarch64_cache_access(uint32_t insn)
{
	unsigned crm = insn >> 8 & 15, op2 = insn >> 5 & 7;

	if (crm == 4 && (op2 == 1 || op2 == 3 || op2 == 4))
		return VPAGER_ACCESS_WRITE;
	if (op2 == 1 && (crm == 5 || crm == 10 || crm == 11 || crm == 12 || crm == 13 || crm == 14))
		return VPAGER_ACCESS_READ;
	return VPAGER_ACCESS_UNKNOWN;
}

static inline enum vpager_access aarch64_insn_access(uint32_t insn)
{
	if ((insn & 0xfffff000) == 0xd50b7000) /* SYS #3, C7 */
		return aarch64_cache_access(insn);
	if ((insn >> 25 & 5) == 4) /* 28:25 = x1x0 */
		return aarch64_load_store_access(insn);
	if ((insn & 0x9a000000) == 0x80000000)
		return aarch64_sve_access(insn);
	return VPAGER_ACCESS_UNKNOWN;
}

#endif
