/* SPDX-License-Identifier: MIT
 *
 * For test_insn: each CPU's encodings, generated, and what the names that a disassembler gives them say about memory. */
#ifndef VPAGER_TESTS_INSN_CPUS_H
#define VPAGER_TESTS_INSN_CPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../lib/core/arch/aarch64/insn.h"
#include "../lib/core/arch/arm/insn.h"
#include "../lib/core/arch/bytes.h"
#include "../lib/core/arch/loongarch64/insn.h"
#include "../lib/core/arch/mips64el/insn.h"
#include "../lib/core/arch/ppc64le/insn.h"
#include "../lib/core/arch/riscv64/insn.h"
#include "../lib/core/arch/s390x/insn.h"

#define STRIDE 8 /* bytes from one instruction to the next; what it does not fill is no-operations */

/* What an instruction's text, "mnemonic operands", tells: the first rule that fits decides.  Its alternatives stand between
 * bars; one without a star, a bracket or a blank is the whole mnemonic, any other is compared with the text as the shell does.
 *   r  reads memory and cannot write it     w  writes it, or may     n  touches none
 *   u  privileged, or may do either: must be unknown                 -  anything is right
 * An alternative that nothing generated fits is a failure, unless a capital letter says that not every disassembler has it. */
struct rule {
	const char *pattern;
	char effect;
};

#define ALTERNATIVES 128 /* of one rule */
#define RULES 32

struct cpu {
	const char *name;
	uint16_t machine; /* e_machine */
	bool big_endian, is_32;
	uint32_t elf_flags;
	const char *riscv_arch; /* goes into .riscv.attributes */
	const char *tools, *options;
	const char *memory; /* what only an operand in memory has in it, between blanks; "" where operands do not tell */
	void (*generate)(void);
	enum vpager_access (*decode)(const unsigned char *text);
	const struct rule *rules;
};

/* ---- the encodings of one CPU ---- */

static unsigned char *code;
static size_t code_len, code_room;
static uint64_t seed;

/* xorshift64*: the same numbers on every host and in every run */
static uint32_t number(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)(seed * 0x2545f4914f6cdd1d >> 32);
}

static void emit(const unsigned char *slot)
{
	if (code_len + STRIDE > code_room) {
		code_room = code_room ? 2 * code_room : 1 << 20;
		code = realloc(code, code_room);
		if (!code)
			abort();
	}
	memcpy(code + code_len, slot, STRIDE);
	code_len += STRIDE;
}

static void put_le32(unsigned char *p, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(word >> 8 * i);
}

static void emit_le(uint32_t first, uint32_t second)
{
	unsigned char slot[STRIDE];

	put_le32(slot, first);
	put_le32(slot + 4, second);
	emit(slot);
}

#define AARCH64_NOP 0xd503201f
#define ARM_NOP 0xe320f000
#define THUMB_NOPS 0xbf00bf00
#define RISCV_NOPS 0x00010001
#define PPC_NOP 0x60000000
#define LOONGARCH_NOP 0x03400000

/* ---- AArch64 ---- */

static void aarch64_generate(void)
{
	for (uint32_t top = 0; top < 4096; top++) {
		bool memory = (top >> 5 & 5) == 4, sve = (top >> 5 & 0xd) == 0 && top >> 11;

		for (int i = 0; i < (memory ? 48 : sve ? 24 : 2); i++) {
			uint32_t word = top << 20 | (number() & 0xfffff);

			emit_le(word, AARCH64_NOP);
			emit_le(word | 0x1f0000, AARCH64_NOP); /* some want a register field of ones */
			emit_le(word | 0x007c00, AARCH64_NOP);
			emit_le((word & ~0x1fe000u), AARCH64_NOP);
		}
	}
	for (uint32_t low = 0; low < 1 << 12; low++) /* SYS: cache maintenance */
		emit_le(0xd50b7000 | low, AARCH64_NOP);
}

static enum vpager_access aarch64_decode(const unsigned char *text)
{
	return aarch64_insn_access(bytes_le32(text));
}

static const struct rule aarch64_rules[] = {
    /* binutils 2.44 has these for sizes that there are none of. */
    {"ldiapp*|stilp*|stlr * #-*]!|ldapr *], #*", '-'},
    {"ldadd*|ldclr*|ldeor*|ldset*|ldsmax*|ldsmin*|ldumax*|ldumin*|swp*|cas*|st*", 'w'},
    {"ld*", 'r'},
    {"adr *", 'n'},
    {"setf8|setf16|setffr *|rprf*", 'N'},
    {"set[pmeg]*", 'w'},
    {"cpy[pmef]*", 'u'},
    {"prf*", '-'},
    {"dc zva*|dc gva*|dc gzva*", 'w'},
    {"dc cvau,*|dc cvac,*|dc civac,*|dc cvap,*|dc cvadp,*|ic ivau*", 'r'},
    {"gcs*", 'U'},
    {"rcw*", '-'}, /* not for programs */
    {NULL, 0},
};

/* ---- Arm and Thumb ---- */

static void arm_generate(void)
{
	for (uint32_t top = 0; top < 4096; top++) {
		for (int i = 0; i < 24; i++) {
			uint32_t word = top << 20 | (number() & 0xfffff);

			if (top >> 8 != 14 && top >> 8 != 15 && i > 1) /* the condition changes nothing */
				break;
			emit_le(word, ARM_NOP);
			emit_le((word & ~0xf0u) | 0x90, ARM_NOP);
			emit_le(word | 0xf90, ARM_NOP); /* exclusives: ones where they should be */
			emit_le((word & 0xfffff00f) | 0x00f090, ARM_NOP);
			emit_le((word & 0xfff0f00f) | 0xc90, ARM_NOP);
			emit_le((word & 0xfff0f00f) | 0xe90, ARM_NOP);
			emit_le((word & 0xfff0f0ff) | 0xd0b00, ARM_NOP); /* the stack pointer and the FPU */
		}
	}
}

static enum vpager_access arm_decode(const unsigned char *text)
{
	return arm_insn_access(bytes_le32(text));
}

static void thumb_generate(void)
{
	for (uint32_t first = 0; first < 65536; first++) {
		if (first >> 8 == 0xbf) /* IT changes what follows */
			continue;
		if (!thumb_is_long((uint16_t)first)) {
			emit_le(first | 0xbf000000, THUMB_NOPS);
			continue;
		}
		for (int i = 0; i < 8; i++)
			emit_le(first | number() << 16, THUMB_NOPS);
		if (first >> 9 == 0x76) /* the FPU among the coprocessors */
			emit_le(first | (0xb00u | (number() & 0xf0fe)) << 16, THUMB_NOPS);
		if ((first & 0xffe0) == 0xe8c0) /* exclusives by size, ordered accesses */
			for (uint32_t low = 0; low < 16; low++)
				emit_le(first | (0x0f0fu | low << 4 | (number() & 7) << 12) << 16, THUMB_NOPS);
	}
}

static enum vpager_access thumb_decode(const unsigned char *text)
{
	return thumb_insn_access(bytes_le16(text), bytes_le16(text + 2));
}

static const struct rule arm_rules[] = {
    {"*<UNPREDICTABLE>*|*undefined*|*UNDEFINED*|*<illegal shifter operand>*", '-'},
    {"clrm *|vscclrm*", '-'},
    {"*], {*", '-'},
    {"stc2*|ldc2*|pld*|pli*|srs*|rfe*", '-'},
    {"str*|stl*|stm*|stc*|push*|vst*", 'w'},
    {"vpush*|swp*", 'W'},
    {"vldr*|vldm*|vld[1234]*|ldr*|ldm*|ldc*|lda*|pop*", 'r'},
    {"vpop*|tb[bh]*", 'R'},
    {"fld*|ldf*|lfm*|cfld*|wldr*", 'R'},
    {"fst*|stf*|sfm*|cfst*|wstr*", 'W'},
    {NULL, 0},
};

/* ---- RISC-V ---- */

static void riscv64_generate(void)
{
	static const uint8_t memory[] = {0x03, 0x07, 0x0f, 0x23, 0x27, 0x2f, 0x73};

	for (uint32_t half = 0; half < 65536; half++)
		if (!riscv64_is_long((uint16_t)half))
			emit_le(half | 0x00010000, RISCV_NOPS);
	for (size_t i = 0; i < sizeof memory; i++) {
		bool plain = memory[i] == 0x03 || memory[i] == 0x23; /* the top bits are an offset and no more */

		for (uint32_t top = 0; top < 4096; top += plain ? 37 : 1) {
			for (uint32_t funct3 = 0; funct3 < 8; funct3++) {
				uint32_t word = top << 20 | (number() & 0xf8000) | funct3 << 12 | memory[i];

				emit_le(word | (number() & 0xf80), RISCV_NOPS);
				if (memory[i] == 0x0f) /* cache operations have no destination */
					emit_le(word, RISCV_NOPS);
			}
		}
	}
	for (uint32_t opcode = 3; opcode < 128; opcode += 4) /* 5:2 all ones: longer than four bytes */
		for (int i = 0; i < 256 && (opcode & 0x1f) != 0x1f; i++)
			emit_le((number() & ~0x7fu) | opcode, RISCV_NOPS);
}

static enum vpager_access riscv64_decode(const unsigned char *text)
{
	return riscv64_insn_access(bytes_le32(text));
}

static const struct rule riscv64_rules[] = {
    {"lr.*", 'r'},
    {"sc.*|amo*", 'w'},
    {"c.lui *|lui *|c.li *|jalr *|c.j*", 'n'},
    {"c.l*|c.fl*|l[bhwd] *|l[bhw]u *|fl[hwdq] *(*|vl*(*", 'r'},
    {"c.s[wd]*(*|c.fs*|s[bhwd] *|fs[hwdq] *(*|vs*(*", 'w'},
    {"l[bhwd].aq*|c.sspopchk|sspopchk", 'R'},
    {"s[bhwd].rl*|s[bhwd].aqrl*|ssamoswap*|c.sb|c.sh|c.sspush|sspush", 'W'},
    {"cbo.zero*", 'w'},
    {"cbo.*", 'n'},
    {"h[ls]v*", 'u'},
    {"prefetch*", 'N'},
    {NULL, 0},
};

/* ---- Power ---- */

static void ppc64le_generate(void)
{
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		if (opcode == 1)
			continue;
		for (uint32_t xo = 0; xo < 2048; xo++) { /* all extended opcodes, with and without the lowest bit */
			emit_le(opcode << 26 | (number() & 0x3fff800) | xo, PPC_NOP);
			emit_le(opcode << 26 | (number() & 0x2108800) | xo, PPC_NOP);
		}
	}
	for (uint32_t xo = 0; xo < 2048; xo++) { /* load with update wants other registers, a pair an even one */
		emit_le(31u << 26 | 4 << 21 | 6 << 16 | 8 << 11 | xo, PPC_NOP);
		emit_le(31u << 26 | 6 << 16 | 8 << 11 | xo, PPC_NOP);
		emit_le(31u << 26 | 8 << 11 | xo, PPC_NOP);
	}
	for (uint32_t type = 0; type < 4; type++)
		for (uint32_t opcode = 0; opcode < 64; opcode++)
			for (int i = 0; i < 24; i++) {
				uint32_t d = number() & 0x3ffff;

				emit_le(1u << 26 | type << 24 | d, opcode << 26 | (number() & 0x03ffffff));
				emit_le(1u << 26 | type << 24 | d, opcode << 26 | 4 << 21 | 6 << 16 | (number() & 0xffff));
			}
}

static enum vpager_access ppc64le_decode(const unsigned char *text)
{
	return ppc64le_insn_access(bytes_le32(text), bytes_le32(text + 4));
}

static const struct rule ppc64le_rules[] = {
    {"li|lis|lvsl|lvsr", 'n'},
    {"lnia|lxvkq|pli|pla|psubi", 'N'},
    {"paddi", 'n'},
    {"lbzcix|lhzcix|lwzcix|ldcix|stbcix|sthcix|stwcix|stdcix", 'u'},
    {"lwat|ldat|stwat|stdat|stbcx.|sthcx.|stwcx.|stdcx.|stqcx.", 'w'},
    {"lbarx|lharx|lwarx|ldarx|lqarx|lbz|lbzu|lbzx|lbzux|lhz|lhzu|lhzx|lhzux|lha|lhau|lhax|lhaux|lwz|lwzu|"
     "lwzx|lwzux|lwa|lwax|lwaux|ld|ldu|ldx|ldux|lhbrx|lwbrx|ldbrx|lmw|lswi|lswx|lq|lf[sdi]*|lv*|lx*", 'r'},
    {"stb|stbu|stbx|stbux|sth|sthu|sthx|sthux|stw|stwu|stwx|stwux|std|stdu|stdx|stdux|stq|sthbrx|stwbrx|"
     "stdbrx|stmw|stswi|stswx|stf*|stv*|stx*", 'w'},
    {"plbz|plhz|plha|plwz|plwa|pld|plfs|plfd|plx*", 'r'},
    {"pstb|psth|pstw|pstd|pstfs|pstfd|pstx*", 'w'},
    {"plq", 'R'},
    {"pstq", 'W'},
    {"hashstp|hashchkp", 'U'},
    {"hashst", 'W'},
    {"hashchk", 'R'},
    {"dcbz", 'w'},
    {"dcbzl|dcbzep", '-'},
    {"dcbf*|dcbst|icbi", 'r'},
    {"dcb*|icb*", 'n'},
    {NULL, 0},
};

/* ---- s390x ---- */

static void s390x_generate(void)
{
	/* registers, base and displacement, what some want to be zero */
	static const unsigned char shape[][3] = {{0x24, 0x50, 0x60}, {0x24, 0x00, 0x60}, {0x24, 0x20, 0x60}, {0x24, 0xf0, 0x60},
	                                         {0x24, 0x01, 0x60}, {0x24, 0x50, 0x00}, {0x04, 0x50, 0x60}, {0x04, 0x50, 0x00},
	                                         {0x20, 0x50, 0x60}, {0x24, 0x00, 0x00}};
	/* the first bytes that have a second opcode byte */
	static const unsigned char more[] = {0x01, 0xa5, 0xa7, 0xb2, 0xb3, 0xb9, 0xc0, 0xc2, 0xc4, 0xc5, 0xc6,
	                                     0xc7, 0xc8, 0xcc, 0xe3, 0xe5, 0xe6, 0xe7, 0xeb, 0xec, 0xed};

	for (unsigned first = 0; first < 256; first++) {
		bool extended = memchr(more, (int)first, sizeof more) != NULL;

		for (unsigned k = 0; k < 2 * sizeof shape / sizeof shape[0]; k++) {
			for (unsigned other = 0; other < 256; other += extended ? 1 : 0x11) {
				const unsigned char *with = shape[k / 2];
				unsigned char text[STRIDE] = {(unsigned char)first, with[0], with[1], 0x46, with[2], 0x20, 7, 7};
				size_t len = s390x_insn_len(text);

				/* the second opcode byte is the second or the last one, or in half of the second */
				if (k & 1 && len < 6)
					break;
				text[k & 1 ? 5 : 1] = (unsigned char)other;
				for (size_t i = len; i < STRIDE; i++)
					text[i] = 7; /* 0707: a branch to nowhere on no condition */
				emit(text);
			}
		}
	}
}

/* Storage to storage: in this machine the first operand alone lies in the page. */
static enum vpager_access s390x_decode(const unsigned char *text)
{
	struct s390x_machine m;
	unsigned to, from;

	memset(&m, 0, sizeof m);
	switch (s390x_effect(text)) {
	case S390X_OTHER:
	case S390X_READS:
	case S390X_WRITES:
		return s390x_insn_access(text, &m);
	case S390X_MOVES:
	case S390X_MOVES_INVERSE:
		to = text[2] >> 4;
		from = text[4] >> 4;
		break;
	case S390X_MOVES_PAGE:
		to = text[3] >> 4;
		from = text[3] & 15;
		break;
	default:
		to = text[1] >> 4 & 14;
		from = text[1] & 14;
		m.gpr[to + 1] = m.gpr[from + 1] = 1;
	}
	if (to == from || to == 0 || from == 0)
		return VPAGER_ACCESS_WRITE;
	m.gpr[to] = 0x10000000;
	m.gpr[from] = 0x20000000;
	m.page = 0x10000000;
	return s390x_insn_access(text, &m);
}

static const struct rule s390x_rules[] = {
    {"a|ad|adb|ae|aeb|ag|agf|agh|ah|ahy|al|alc|alcg|alg|algf|aly|au|aw|ay", 'r'},
    {"c|cd|cdb|ce|ceb|cg|cgf|cgfrl|cgh|cghrl|cghsi|cgrl|ch|chf|chhsi|chrl|chsi|chy|cl|clc|clcl|clcle|"
     "clclu|clfhsi|clg|clgf|clgfrl|clghrl|clghsi|clgrl|clgt*|clhf|clhhsi|clhrl|cli|cliy|clm|clmh|clmy|"
     "clrl|clst|clt*|cly|cp|crl|cy", 'r'},
    {"cfc|cksm|cuse|cvb|cvbg|cvby|cxpt|cdpt|cxzt|cdzt|d|dd|ddb|de|deb|dl|dlg|dsg|dsgf|ectg|ic|icm|icmh|"
     "icmy|icy|kdb|keb", 'r'},
    {"l|lam|lamy|lat|lb|lbh|ld|lde|ldeb|ldy|le|lerv|ley|lfas|lfh|lfhat|lfpc|lg|lgat|lgb|lgf|lgfrl|lgg|lgh|"
     "lghrl|lgrl|lgsc|lh|lhh|lhrl|lhy|llc|llch|llgc|llgf|llgfat|llgfrl|llgfsg|llgh|llghrl|llgt|llgtat|llh|"
     "llhh|llhrl|llzrgf", 'r'},
    {"lm|lmd|lmg|lmh|lmy|lpd|lpdg|lpq|lrl|lrv|lrvg|lrvh|lt|ltg|ltgf|lxd|lxdb|lxe|lxeb|ly|lzrf|lzrg", 'r'},
    {"locr*|locgr*|locfhr*|lochi*|locghi*|lochhi*", 'n'},
    {"locg*|locfh*|loc*", 'r'},
    {"m|mad|madb|mae|maeb|may|mayh|mayl|md|mdb|mde|mdeb|mee|meeb|mfy|mg|mgh|mh|mhy|ml|mlg|ms|msc|msd|msdb|"
     "mse|mseb|msg|msgc|msgf|msy|mxd|mxdb|my|myh|myl|n|ng|ny|o|og|oy", 'r'},
    {"s|sd|sdb|se|seb|sg|sgf|sgh|sh|shy|sl|slb|slbg|slg|slgf|sly|sqd|sqdb|sqe|sqeb|srst|srstu|su|sw|sy|tm|"
     "tmy|trt|trtr|trte|trtre|x|xg|xy|bi*", 'r'},
    {"vlgv*|vlvg*", 'n'},
    {"vgef|vgeg|vl|vlb*|vle[bhgf]*|vler*|vll[be]*|vll|vlm|vlrep*|vlrl*|vpkz", 'r'},
    {"ldrv|vlebr*", 'R'},
    {"st|sth|stc|std|ste|stm|stam|stcm|stmg|stmh|stmy|stamy|stcmh|stcmy|stcy|stdy|stey|stfh|stch|stg|"
     "stgrl|stgsc|sthh|sthrl|sthy|strl|strv|strvg|strvh|sty|stpq|ntstg|stocg*|stocfh*|stoc*|stck|stckf|stcke|stfle|stfpc|"
     "stdrv|sterv", 'w'},
    {"ts|cvd|cvdg|cvdy|cs|csg|csy|cds|cdsg|cdsy|laa|laag|laal|laalg|lan|lang|lao|laog|lax|laxg|asi|agsi|"
     "alsi|algsi|mvi|mviy|mvhi|mvhhi|mvghi|ni|niy|oi|oiy|xi|xiy|czdt|czxt|cpdt|cpxt|srp", 'w'},
    {"vst|vsteb|vsteh|vstef|vsteg|vstebr*|vstbr*|vster*|vstm|vstl|vstrl|vstrlr|vscef|vsceg|vupkz", 'w'},
    {"mvc|mvn|mvz|mvo|mvcin|mvcl|mvcle|mvclu|mvpg|mvcrl|nc|oc|xc|tr|ed|edmk|pack|unpk|pka|pku|unpka|unpku|"
     "zap|ap|sp|mp|dp", 'w'},
    {"la|lay|lae|laey|b|nop|bo|bh|bnle|bl|bnhe|blh|bne|be|bnlh|bhe|bnl|ble|bnh|bno|bal|bas|bct|bctg|bxh|"
     "bxle|bxhg|bxleg|bpp|cib*|cgib*|clib*|clgib*|c*rb *|c*rbne *|ecag|ex|exrl|pfd|pfdrl", 'n'},
    {"lcbb|sl[adl]*|sr[adl]*|rll|rllg|slxt|srxt|tcdb|tceb|tcxb|tdcet|tdcdt|tdcxt|tdget|tdgdt|tdgxt|ves*|"
     "verll*|mc|srnm*|tabort|trap4", 'n'},
    {"cal|calg|calgf|pfcr", 'U'}, /* z17 */
    {"lxa*|llxa*", 'N'},     /* the same; an address is computed */
    {"csst|plo|mvcos|mvck|mvcp|mvcs|mvcdk|mvcsk|tbegin|tbeginc|pc|diag|lra|lrag|lray|trace|tracg", 'u'},
    {"lctl|lctlg|stctl|stctg|lpsw|lpswe|ssm|stnsm|stosm|sigp|siga|sie|sac|sacf|sck|sckc|spka|spt|spx|ssch|"
     "msch|stsch|tsch|tpi|rp|lasp|tprot|strag|lbear|stbear|lpp|lcctl|lpctl|lsctl|qctri|qpaci|qsi|stap|"
     "stcps|stcrw|stfl|stidp|stpt|stpx|stsi|stckc", 'u'},
    {NULL, 0},
};

/* ---- MIPS ---- */

static void mips64el_generate(void)
{
	/* SPECIAL, REGIMM, COP0 to COP1X, SPECIAL2, MSA, SPECIAL3, PCREL: more opcode bits follow */
	static const unsigned char more[] = {0x00, 0x01, 0x10, 0x11, 0x12, 0x13, 0x1c, 0x1e, 0x1f, 0x3b};

	for (uint32_t opcode = 0; opcode < 64; opcode++)
		for (uint32_t function = 0; function < 64; function++)
			for (uint32_t sub = 0; sub < 32; sub += memchr(more, (int)opcode, sizeof more) ? 1 : 8) {
				emit_le(opcode << 26 | (number() & 0x3fff800) | sub << 6 | function, 0);
				emit_le(opcode << 26 | (number() & 0x3e0ffc0) | sub << 16 | function, 0);
				emit_le(opcode << 26 | (number() & 0x3e0f800) | sub << 6 | function, 0);
				emit_le(opcode << 26 | (number() & 0x3ff0000) | sub << 6 | function, 0);
			}
}

static enum vpager_access mips64el_decode(const unsigned char *text)
{
	return mips64el_insn_access(bytes_le32(text));
}

#define MIPS_LOADS "lb|lbu|lh|lhu|lw|lwu|ld|ll|lld|lwc1|ldc1"
#define MIPS_STORES "sb|sh|sw|sd|sc|scd|swc1|sdc1"
#define MIPS_REST                                                                                                     \
	{"udi*", '-'}, /* user-defined: no access to memory, and the encoding of Octeon instructions */               \
	    {"lwx|lhx|lbux|ldx|lhux|lwux|lbx|llwp|lldp|llwpe|lbe|lhe|lwe|lbue|lhue|lle|lwle|lwre|"                    \
	     "lwl|lwr|ldl|ldr|lwxc1|ldxc1|luxc1", 'R'},                                                               \
	    {"scwp|scdp|scwpe|sbe|she|swe|sce|swle|swre|swl|swr|sdl|sdr|swxc1|sdxc1|suxc1|aset|aclr", 'W'},           \
	    {"lwc2|ldc2|swc2|sdc2", 'U'}, {"cache*|pref*|synci|dctr|dctw", 'N'}, {NULL, 0},

static const struct rule mips64el_rules[] = {
    {MIPS_LOADS "|lwl|lwr|ldl|ldr|lwxc1|ldxc1|luxc1|ld.[bhwd] *", 'r'},
    {MIPS_STORES "|swl|swr|sdl|sdr|swxc1|sdxc1|suxc1|aset|aclr|st.[bhwd] *", 'w'},
    {"lwc2|ldc2|swc2|sdc2", 'u'},
    MIPS_REST
};

static const struct rule mips64r6el_rules[] = {
    {MIPS_LOADS "|lwpc|lwupc|ldpc|ld.[bhwd] *", 'r'},
    {MIPS_STORES "|st.[bhwd] *", 'w'},
    MIPS_REST
};

static const struct rule octeon3el_rules[] = {
    {MIPS_LOADS, 'r'},
    {MIPS_STORES "|saa|saad|laa|laad|lai|laid|lad|ladd|las|lasd|law|lawd|lac|lacd", 'w'},
    {"zcb|zcbt", 'W'},
    MIPS_REST
};

/* ---- LoongArch ---- */

static void loongarch64_generate(void)
{
	for (uint32_t top = 0; top < 4096; top++) {
		bool memory = top >> 10 == 0 && top >> 9 == 1;

		for (int i = 0; i < (memory ? 64 : 8); i++)
			emit_le(top << 20 | (number() & 0xfffff), LOONGARCH_NOP);
	}
	for (uint32_t operation = 0; operation < 512; operation++)
		for (int i = 0; i < 16; i++)
			emit_le(0x38000000 | operation << 15 | (number() & 0x7fff), LOONGARCH_NOP);
}

static enum vpager_access loongarch64_decode(const unsigned char *text)
{
	return loongarch64_insn_access(bytes_le32(text));
}

static const struct rule loongarch64_rules[] = {
    {"ld.*|ldl.*|ldr.*|ldptr.*|ldx.*|ll.*|fld.*|fldx.*|fldgt.*|fldle.*|ldgt.*|ldle.*|vld|vldx|vldrepl.*|"
     "xvld|xvldx|xvldrepl.*", 'r'},
    {"llacq.*", 'R'},
    {"st.*|stl.*|str.*|stptr.*|stx.*|sc.*|fst.*|fstx.*|fstgt.*|fstle.*|stgt.*|stle.*|vst|vstx|vstelm.*|"
     "xvst|xvstx|xvstelm.*|amswap*|amadd*|amand*|amor*|amxor*|ammax*|ammin*", 'w'},
    {"screl.*|amcas*", 'W'},
    {"preld*", 'n'},
    {NULL, 0},
};

#define RISCV_ARCH                                                                                                    \
	"rv64i2p1_m2p0_a2p1_f2p2_d2p2_q2p2_c2p0_v1p0_h1p0_zicbom1p0_zicbop1p0_zicboz1p0_zicsr2p0_zifencei2p0_zfh1p0_" \
	"zve64d1p0_zvl128b1p0"

/* What an operand in memory begins with. */
#define ARM_MEMORY "[r [sp [lr [pc [ip [fp [sl"
/* What is not in binutils 2.40. */
#define RISCV_LLVM_OPTIONS                                                                                            \
	"-M no-aliases --mattr=+experimental-zacas,+zabha,+zcb,+zimop,+zcmop,+experimental-zalasr,+experimental-zicfiss"

static const struct cpu cpus[] = {
    {.name = "aarch64",
     .machine = 183,
     .tools = "objdump aarch64-linux-gnu-objdump",
     .options = "",
     .memory = "[x [sp [z",
     .generate = aarch64_generate,
     .decode = aarch64_decode,
     .rules = aarch64_rules},
    {.name = "aarch64-llvm",
     .machine = 183,
     .tools = "llvm-objdump-20 llvm-objdump-19",
     .options = "--mattr=+all",
     .memory = "[x [sp [z",
     .generate = aarch64_generate,
     .decode = aarch64_decode,
     .rules = aarch64_rules},
    {.name = "arm",
     .machine = 40,
     .is_32 = true,
     .elf_flags = 0x05000400,
     .tools = "objdump arm-linux-gnueabihf-objdump",
     .options = "",
     .memory = ARM_MEMORY,
     .generate = arm_generate,
     .decode = arm_decode,
     .rules = arm_rules},
    {.name = "thumb",
     .machine = 40,
     .is_32 = true,
     .elf_flags = 0x05000400,
     .tools = "objdump arm-linux-gnueabihf-objdump",
     .options = "-M force-thumb",
     .memory = ARM_MEMORY,
     .generate = thumb_generate,
     .decode = thumb_decode,
     .rules = arm_rules},
    {.name = "riscv64",
     .machine = 243,
     .elf_flags = 5,
     .riscv_arch = RISCV_ARCH,
     .tools = "objdump riscv64-linux-gnu-objdump",
     .options = "-M no-aliases",
     .memory = "(",
     .generate = riscv64_generate,
     .decode = riscv64_decode,
     .rules = riscv64_rules},
    {.name = "riscv64-llvm",
     .machine = 243,
     .elf_flags = 5,
     .riscv_arch = RISCV_ARCH,
     .tools = "llvm-objdump-20 llvm-objdump-19",
     .options = RISCV_LLVM_OPTIONS,
     .memory = "(",
     .generate = riscv64_generate,
     .decode = riscv64_decode,
     .rules = riscv64_rules},
    {.name = "ppc64le",
     .machine = 21,
     .elf_flags = 2,
     .tools = "objdump powerpc64le-linux-gnu-objdump",
     .options = "-M power10",
     .memory = "(",
     .generate = ppc64le_generate,
     .decode = ppc64le_decode,
     .rules = ppc64le_rules},
    {.name = "s390x",
     .machine = 22,
     .big_endian = true,
     .tools = "objdump s390x-linux-gnu-objdump",
     .options = "-M zarch",
     .memory = "(",
     .generate = s390x_generate,
     .decode = s390x_decode,
     .rules = s390x_rules},
    {.name = "mips64el",
     .machine = 8,
     .elf_flags = 0x80000000,
     .tools = "objdump mips64el-linux-gnuabi64-objdump",
     .options = "-M msa,no-aliases",
     .memory = "(",
     .generate = mips64el_generate,
     .decode = mips64el_decode,
     .rules = mips64el_rules},
    {.name = "mips64r6el",
     .machine = 8,
     .elf_flags = 0xa0000000,
     .tools = "objdump mips64el-linux-gnuabi64-objdump",
     .options = "-M msa,no-aliases",
     .memory = "(",
     .generate = mips64el_generate,
     .decode = mips64el_decode,
     .rules = mips64r6el_rules},
    {.name = "octeon3el",
     .machine = 8,
     .elf_flags = 0x808e0000,
     .tools = "objdump mips64el-linux-gnuabi64-objdump",
     .options = "-M no-aliases",
     .memory = "(",
     .generate = mips64el_generate,
     .decode = mips64el_decode,
     .rules = octeon3el_rules},
    {.name = "loongarch64",
     .machine = 258,
     .elf_flags = 0x43,
     .tools = "llvm-objdump llvm-objdump-20 llvm-objdump-19 llvm-objdump-18 llvm-objdump-17",
     .options = "--mattr=+lsx,+lasx,+lbt,+lvz,+f,+d",
     .memory = "",
     .generate = loongarch64_generate,
     .decode = loongarch64_decode,
     .rules = loongarch64_rules},
};

#endif
