/* SPDX-License-Identifier: MIT
 *
 * Every instruction decoder of lib/core/arch against a disassembler that knows nothing of ours: encodings are generated, all
 * opcode bits through and the rest at random, objdump names them, and the name says whether memory is read or written.  Runs
 * on every host; a CPU whose disassembler is not there is skipped with a word (binutils-multiarch has nearly all, LoongArch
 * needs llvm-objdump 17 or newer).  Exits with 77 if none is there. */
#include <fnmatch.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../lib/core/arch/aarch64/insn.h"
#include "../lib/core/arch/arm/insn.h"
#include "../lib/core/arch/bytes.h"
#include "../lib/core/arch/loongarch64/insn.h"
#include "../lib/core/arch/mips64el/insn.h"
#include "../lib/core/arch/ppc64le/insn.h"
#include "../lib/core/arch/riscv64/insn.h"
#include "../lib/core/arch/s390x/insn.h"

#define STRIDE 8 /* bytes from one instruction to the next; what it does not fill is no-operations */

/* What an instruction's text, "mnemonic operands", tells; the first pattern that fits decides.
 * r: reads memory, w: writes it or may, n: touches none, u: does both or is privileged, must be unknown, -: either of these two
 * A rule that fits nothing fails the test, unless a capital letter says that not every disassembler has it. */
struct rule {
	const char *pattern;
	char effect;
};

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
    {"ldadd*", 'w'}, {"ldclr*", 'w'}, {"ldeor*", 'w'},  {"ldset*", 'w'},   {"ldsmax*", 'w'}, {"ldsmin*", 'w'},
    {"ldumax*", 'w'}, {"ldumin*", 'w'}, {"swp*", 'w'},   {"cas*", 'w'},     {"ld*", 'r'},     {"st*", 'w'},
    {"setf8 *", 'N'}, {"setf16 *", 'N'}, {"setffr*", 'N'}, {"adr *", 'n'}, {"set[pmeg]*", 'w'}, {"cpy[pmef]*", 'u'}, {"prf*", '-'},
    {"rprf*", 'N'},  {"dc zva*", 'w'}, {"dc gva*", 'w'}, {"dc gzva*", 'w'}, {"dc c*vau,*", 'r'}, {"dc cvac,*", 'r'},
    {"dc civac,*", 'r'}, {"dc cvap,*", 'r'}, {"dc cvadp,*", 'r'}, {"ic ivau*", 'r'}, {"gcs*", 'U'}, {NULL, 0},
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
    {"*;*<UNPREDICTABLE>*", '-'}, {"*@*<UNPREDICTABLE>*", '-'}, {"*undefined*", '-'}, {"*UNDEFINED*", '-'},
    {"*<illegal shifter operand>*", '-'}, {"clrm *", '-'}, {"vscclrm*", '-'}, /* of the M profile */
    {"stc2*", '-'}, {"ldc2*", '-'}, /* not in Armv8 */
    {"*], {*", '-'},                                       /* undefined without the U bit */
    {"str*", 'w'},
    {"stl*", 'w'}, {"stm*", 'w'}, {"stc*", 'w'}, {"push*", 'w'}, {"vpush*", 'w'}, {"vst*", 'w'}, {"vldr*", 'r'},
    {"vldm*", 'r'}, {"vld[1234]*", 'r'}, {"fld*", 'R'}, {"fst*", 'W'}, {"swp*", 'W'}, {"ldr*", 'r'}, {"ldm*", 'r'},
    {"ldc*", 'r'}, {"lda*", 'R'}, {"pop*", 'r'}, {"vpop*", 'r'}, {"tb[bh]*", 'R'}, {"pld*", '-'}, {"pli*", '-'},
    {"srs*", '-'}, {"rfe*", '-'}, {"lfm*", 'R'}, {"sfm*", 'W'}, {"ldf*", 'R'}, {"stf*", 'W'}, {"cfld*", 'R'}, {"cfst*", 'W'},
    {"wldr*", 'R'}, {"wstr*", 'W'}, {"sb", 'N'}, {NULL, 0},
};

/* ---- RISC-V ---- */

static void riscv64_generate(void)
{
	static const uint8_t memory[] = {0x03, 0x07, 0x0f, 0x23, 0x27, 0x2f, 0x73};

	for (uint32_t half = 0; half < 65536; half++)
		if (!riscv64_is_long((uint16_t)half))
			emit_le(half | 0x00010000, RISCV_NOPS);
	for (size_t i = 0; i < sizeof memory; i++) {
		for (uint32_t top = 0; top < 4096; top++) {
			for (uint32_t funct3 = 0; funct3 < 8; funct3++) {
				uint32_t word = top << 20 | (number() & 0xf8000) | funct3 << 12 | memory[i];

				emit_le(word | (number() & 0xf80), RISCV_NOPS);
				emit_le(word, RISCV_NOPS); /* rd = 0: cache operations */
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
    {"lr.*", 'r'}, {"sc.*", 'w'}, {"amo*", 'w'}, {"c.lui *", 'n'}, {"lui *", 'n'}, {"c.li *", 'n'}, {"li *", 'N'},
    {"c.l*", 'r'}, {"c.fl*", 'r'}, {"c.s[wdbh]*(*", 'w'}, {"c.fs*", 'w'}, {"l[bhwd] *", 'r'}, {"l[bhw]u *", 'r'},
    {"fl[hwdq] *(*", 'r'}, {"s[bhwd] *", 'w'}, {"fs[hwdq] *(*", 'w'}, {"vl*(*", 'r'}, {"vs*(*", 'w'}, {"cbo.zero*", 'w'},
    {"cbo.*", 'n'}, {"h[ls]v*", 'u'}, {"prefetch*", 'N'}, {"jalr *", 'n'}, {"jr *", 'N'}, {"c.j*", 'n'}, {NULL, 0},
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
    {"li *", 'n'}, {"lis *", 'n'}, {"lnia*", 'N'}, {"lvs[lr] *", 'n'}, {"lxvkq *", 'N'}, {"lbz[u]*cix*", '-'}, {"lbzcix *", 'u'}, {"lhzcix *", 'u'},
    {"lwzcix *", 'u'}, {"ldcix *", 'u'}, {"stbcix *", 'u'}, {"sthcix *", 'u'}, {"stwcix *", 'u'}, {"stdcix *", 'u'},
    {"l[wd]at *", 'w'}, {"st[wd]at *", 'w'}, {"l[bhwdq]arx *", 'r'}, {"st[bhwdq]cx. *", 'w'}, {"l[bhw]z*", 'r'},
    {"lha*", 'r'}, {"lwa*", 'r'}, {"ld *", 'r'}, {"ldu *", 'r'}, {"ldx *", 'r'}, {"ldux *", 'r'}, {"l[hwd]brx *", 'r'}, {"lmw *", 'r'},
    {"lsw*", 'r'}, {"lq *", 'r'}, {"lf[sdi]*", 'r'}, {"lv*", 'r'}, {"lx*", 'r'}, {"st[bhwdq] *", 'w'}, {"st[bhwd]u *", 'w'}, {"st[bhwd]x *", 'w'},
    {"st[bhwd]ux *", 'w'}, {"st[hwd]brx *", 'w'}, {"stmw *", 'w'}, {"stsw*", 'w'}, {"stf*", 'w'}, {"stv*", 'w'}, {"stx*", 'w'},
    {"pl[bhw]z *", 'r'}, {"plha *", 'r'}, {"plwa *", 'r'}, {"plf[sd] *", 'r'}, {"plx*", 'r'}, {"pld *", 'r'}, {"plq *", 'R'}, {"pli *", 'N'},
    {"pst[bhwd] *", 'w'}, {"pstf*", 'w'}, {"pstx*", 'w'}, {"pstq *", 'W'}, {"hashstp*", 'U'}, {"hashchkp*", 'U'}, {"hashst *", 'W'}, {"hashchk *", 'R'},
    {"dcbz *", 'w'}, {"dcbz[el]*", '-'}, {"dcbf*", 'r'}, {"dcbst *", 'r'}, {"icbi *", 'r'}, {"dcb*", 'n'}, {"icb*", 'n'}, {"paddi*", 'n'},
    {"pla *", 'N'}, {"psubi *", 'N'}, {NULL, 0},
};

/* ---- s390x ---- */

static void s390x_generate(void)
{
	static const unsigned char third[] = {0x50, 0x00, 0x20, 0xf0, 0x01};

	for (unsigned first = 0; first < 256; first++) {
		for (unsigned other = 0; other < 256; other++) {
			for (unsigned k = 0; k < 2 * sizeof third; k++) {
				/* the second opcode byte is the second or the last one, or in half of the second */
				unsigned char text[STRIDE] = {(unsigned char)first, 0x24, third[k / 2], 0x46, 0x60, 0x20, 7, 7};
				size_t len = s390x_insn_len(text);

				text[k % 2 && len == 6 ? 5 : 1] = (unsigned char)other;
				if (k == 1) /* even registers for pairs, none in the mask of others */
					text[1] = 0x20;
				if (k == 3)
					text[3] = 0x00;
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
	m.page = 0x10000000 + 4096 * (uint64_t)(text[0] == 0xe5 || text[0] >= 0xd0 ? 0 : 0);
	return s390x_insn_access(text, &m);
}

static const struct rule s390x_rules[] = {
    {NULL, 0},
};

/* ---- MIPS ---- */

static void mips64el_generate(void)
{
	for (uint32_t opcode = 0; opcode < 64; opcode++)
		for (uint32_t function = 0; function < 64; function++)
			for (uint32_t sub = 0; sub < 32; sub++) {
				emit_le(opcode << 26 | (number() & 0x3fff800) | sub << 6 | function, 0);
				emit_le(opcode << 26 | (number() & 0x3e0ffc0) | sub << 16 | function, 0);
			}
}

static enum vpager_access mips64el_decode(const unsigned char *text)
{
	return mips64el_insn_access(bytes_le32(text));
}

static const struct rule mips64el_rules[] = {
    {NULL, 0},
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
    {NULL, 0},
};

#define RISCV_ARCH                                                                                                           \
	"rv64i2p1_m2p0_a2p1_f2p2_d2p2_q2p2_c2p0_v1p0_h1p0_zicbom1p0_zicbop1p0_zicboz1p0_zicsr2p0_zifencei2p0_zfh1p0_"          \
	"zve64d1p0_zvl128b1p0"

static const struct cpu cpus[] = {
    {"aarch64", 183, false, false, 0, NULL, "objdump aarch64-linux-gnu-objdump", "", "[x [sp [z", aarch64_generate, aarch64_decode,
     aarch64_rules},
    {"arm", 40, false, true, 0x05000400, NULL, "objdump arm-linux-gnueabihf-objdump", "", "[r [sp [lr [pc [ip [fp [sl", arm_generate, arm_decode, arm_rules},
    {"thumb", 40, false, true, 0x05000400, NULL, "objdump arm-linux-gnueabihf-objdump", "-M force-thumb", "[r [sp [lr [pc [ip [fp [sl", thumb_generate,
     thumb_decode, arm_rules},
    {"riscv64", 243, false, false, 5, RISCV_ARCH, "objdump riscv64-linux-gnu-objdump", "-M no-aliases", "(", riscv64_generate,
     riscv64_decode, riscv64_rules},
    {"ppc64le", 21, false, false, 2, NULL, "objdump powerpc64le-linux-gnu-objdump", "-M power10", "(", ppc64le_generate,
     ppc64le_decode, ppc64le_rules},
    {"s390x", 22, true, false, 0, NULL, "objdump s390x-linux-gnu-objdump", "-M zarch", "(", s390x_generate, s390x_decode,
     s390x_rules},
    {"mips64el", 8, false, false, 0x80000000, NULL, "objdump mips64el-linux-gnuabi64-objdump", "-M msa,no-aliases", "(",
     mips64el_generate, mips64el_decode, mips64el_rules},
    {"loongarch64", 258, false, false, 0x43, NULL, "llvm-objdump llvm-objdump-19 llvm-objdump-18 llvm-objdump-17",
     "--mattr=+lsx,+lasx,+lbt,+lvz,+f,+d", "", loongarch64_generate, loongarch64_decode, loongarch64_rules},
};

/* ---- an object file around them ---- */

static void put16(const struct cpu *cpu, unsigned char *p, uint16_t v)
{
	p[cpu->big_endian] = (unsigned char)v;
	p[!cpu->big_endian] = (unsigned char)(v >> 8);
}

static void put32(const struct cpu *cpu, unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[cpu->big_endian ? 3 - i : i] = (unsigned char)(v >> 8 * i);
}

/* A word of the file's class; returns the place behind it. */
static unsigned char *put_word(const struct cpu *cpu, unsigned char *p, uint64_t v)
{
	if (cpu->is_32) {
		put32(cpu, p, (uint32_t)v);
		return p + 4;
	}
	put32(cpu, p + (cpu->big_endian ? 4 : 0), (uint32_t)v);
	put32(cpu, p + (cpu->big_endian ? 0 : 4), (uint32_t)(v >> 32));
	return p + 8;
}

enum { ELF_PROGBITS = 1, ELF_STRTAB = 3, ELF_RISCV_ATTRIBUTES = 0x70000003 };

static void put_section(const struct cpu *cpu, FILE *f, uint32_t name, uint32_t type, uint64_t flags, uint64_t offset, uint64_t size)
{
	unsigned char header[64] = {0}, *p = header;

	put32(cpu, p, name);
	put32(cpu, p + 4, type);
	p = put_word(cpu, p + 8, flags);
	p = put_word(cpu, p, 0);
	p = put_word(cpu, p, offset);
	p = put_word(cpu, p, size);
	p = put_word(cpu, p + 8, type == ELF_PROGBITS ? STRIDE : type == 0 ? 0 : 1);
	p = put_word(cpu, p, 0);
	fwrite(header, 1, (size_t)(p - header), f);
}

/* "A", then the vendor's subsection of the file's attributes: tag 5 is the architecture (RISC-V ELF psABI). */
static size_t riscv_attributes(const struct cpu *cpu, unsigned char *out)
{
	size_t arch = strlen(cpu->riscv_arch) + 1, file = 1 + 4 + 1 + arch, vendor = 4 + 6 + file;

	out[0] = 'A';
	put32(cpu, out + 1, (uint32_t)vendor);
	memcpy(out + 5, "riscv", 6);
	out[11] = 1;
	put32(cpu, out + 12, (uint32_t)file);
	out[16] = 5;
	memcpy(out + 17, cpu->riscv_arch, arch);
	return 1 + vendor;
}

static void write_object(const struct cpu *cpu, FILE *f)
{
	static const char names[] = "\0.text\0.riscv.attributes\0.names";
	unsigned char header[64] = {0x7f, 'E', 'L', 'F', cpu->is_32 ? 1 : 2, cpu->big_endian ? 2 : 1, 1}, attributes[512], *p;
	size_t header_len = cpu->is_32 ? 52 : 64, attributes_len = cpu->riscv_arch ? riscv_attributes(cpu, attributes) : 0;
	size_t names_at = header_len + code_len, attributes_at = names_at + sizeof names;
	size_t sections_at = (attributes_at + attributes_len + 7) & ~(size_t)7;

	put16(cpu, header + 16, 1); /* relocatable */
	put16(cpu, header + 18, cpu->machine);
	put32(cpu, header + 20, 1);
	p = put_word(cpu, header + 24, 0);
	p = put_word(cpu, p, 0);
	p = put_word(cpu, p, sections_at);
	put32(cpu, p, cpu->elf_flags);
	put16(cpu, p + 4, (uint16_t)header_len);
	put16(cpu, p + 10, cpu->is_32 ? 40 : 64);
	put16(cpu, p + 12, 4);
	put16(cpu, p + 14, 2);
	fwrite(header, 1, header_len, f);
	fwrite(code, 1, code_len, f);
	fwrite(names, 1, sizeof names, f);
	fwrite(attributes, 1, attributes_len, f);
	fwrite("\0\0\0\0\0\0\0", 1, sections_at - attributes_at - attributes_len, f);
	put_section(cpu, f, 0, 0, 0, 0, 0);
	put_section(cpu, f, 1, ELF_PROGBITS, 6, header_len, code_len); /* allocated, executable */
	put_section(cpu, f, 25, ELF_STRTAB, 0, names_at, sizeof names);
	put_section(cpu, f, 7, cpu->riscv_arch ? ELF_RISCV_ATTRIBUTES : ELF_PROGBITS, 0, attributes_at, attributes_len);
}

/* ---- the comparison ---- */

static int mismatches;

static const char *access_text(enum vpager_access access)
{
	return access == VPAGER_ACCESS_READ ? "read" : access == VPAGER_ACCESS_WRITE ? "write" : "unknown";
}

static bool agrees(char effect, enum vpager_access access)
{
	switch (effect | 0x20) {
	case 'r':
		return access == VPAGER_ACCESS_READ;
	case 'w':
		return access == VPAGER_ACCESS_WRITE;
	case 'n':
	case 'u':
		return access == VPAGER_ACCESS_UNKNOWN;
	}
	return true;
}

static void mismatch(const struct cpu *cpu, const char *text, const unsigned char *bytes, const char *why)
{
	if (mismatches++ < 40) {
		printf("%s: %02x%02x %02x%02x %02x%02x %02x%02x  %s: %s\n", cpu->name, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
		       bytes[5], bytes[6], bytes[7], text, why);
	}
}

static bool has_memory_operand(const struct cpu *cpu, const char *text)
{
	for (const char *sign = cpu->memory; *sign; sign += strspn(sign, " ")) {
		size_t len = strcspn(sign, " ");

		for (const char *p = text; *p; p++)
			if (strncmp(p, sign, len) == 0)
				return true;
		sign += len;
	}
	return false;
}

/* text: "mnemonic operands", one blank between. */
static void compare(const struct cpu *cpu, const char *text, const unsigned char *bytes, unsigned *hits)
{
	enum vpager_access access = cpu->decode(bytes);
	size_t i;

	if (text[0] == '.' || text[0] == '<' || strstr(text, "(bad)") || strstr(text, "undefined")) /* no instruction at all */
		return;
	for (i = 0; cpu->rules[i].pattern; i++)
		if (fnmatch(cpu->rules[i].pattern, text, 0) == 0)
			break;
	if (cpu->rules[i].pattern) {
		hits[i]++;
		if (!agrees(cpu->rules[i].effect, access))
			mismatch(cpu, text, bytes, access_text(access));
	} else if (has_memory_operand(cpu, text)) {
		mismatch(cpu, text, bytes, "an operand in memory, and no rule for it");
	} else if (access != VPAGER_ACCESS_UNKNOWN) {
		mismatch(cpu, text, bytes, "no instruction known to touch memory");
	}
}

/* "  addr:<tab>mnemonic<tab>operands" into addr and "mnemonic operands". */
static bool parse_line(char *line, unsigned long *address)
{
	char *end, *to = line;
	bool blank = false;

	*address = strtoul(line, &end, 16);
	if (end == line || *end != ':')
		return false;
	for (char *p = end + 1 + strspn(end + 1, " \t"); *p && *p != '\n'; p++) {
		if (*p == ' ' || *p == '\t') {
			blank = true;
			continue;
		}
		if (blank)
			*to++ = ' ';
		blank = false;
		*to++ = *p;
	}
	*to = '\0';
	return true;
}

static bool tool_has(const char *tool, const struct cpu *cpu, const char *object)
{
	char command[512], line[256];
	FILE *f;
	bool ok = false;

	snprintf(command, sizeof command, "%s -d %s %s 2>/dev/null | head -12", tool, cpu->options, object);
	f = popen(command, "r");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long address;

		ok = ok || parse_line(line, &address);
	}
	return f && pclose(f) == 0 && ok;
}

/* The first tool that disassembles the object; $OBJDUMP before all others.  NULL: none. */
static const char *find_tool(const struct cpu *cpu, const char *object)
{
	static char tools[512];
	const char *own = getenv("OBJDUMP");

	snprintf(tools, sizeof tools, "%s %s", own ? own : "", cpu->tools);
	for (char *tool = strtok(tools, " "); tool; tool = strtok(NULL, " "))
		if (tool_has(tool, cpu, object))
			return tool;
	return NULL;
}

static bool run_tool(const struct cpu *cpu, const char *tool, const char *object)
{
	char command[512], line[1024];
	unsigned hits[128] = {0};
	unsigned long address, seen = 0;
	int before = mismatches;
	FILE *f;

	snprintf(command, sizeof command, "%s -d -z --no-show-raw-insn %s %s", tool, cpu->options, object);
	f = popen(command, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (!parse_line(line, &address) || address % STRIDE || address >= code_len)
			continue;
		seen++;
		compare(cpu, line, code + address, hits);
	}
	if (!f || pclose(f) != 0 || seen < code_len / STRIDE * 9 / 10) {
		printf("%s: %s ended early\n", cpu->name, command);
		return false;
	}
	for (size_t i = 0; cpu->rules[i].pattern; i++) {
		if (!hits[i] && cpu->rules[i].effect >= 'a') {
			printf("%s: nothing generated is \"%s\"\n", cpu->name, cpu->rules[i].pattern);
			mismatches++;
		}
	}
	printf("%s: %lu encodings compared with %s, %d differ\n", cpu->name, seen, tool, mismatches - before);
	return mismatches == before;
}

/* 0 passed, 1 failed, 77 skipped. */
static int check_cpu(const struct cpu *cpu)
{
	char object[] = "/tmp/vpager-insn-XXXXXX";
	int fd = mkstemp(object), result;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	const char *tool;

	if (!f)
		return 1;
	seed = 0x9e3779b97f4a7c15;
	code_len = 0;
	cpu->generate();
	write_object(cpu, f);
	fclose(f);
	tool = find_tool(cpu, object);
	if (!tool)
		printf("%s: skipped: none of these can disassemble it: %s\n", cpu->name, cpu->tools);
	result = !tool ? 77 : run_tool(cpu, tool, object) ? 0 : 1;
	unlink(object);
	return result;
}

/* Arguments: only these CPUs. */
int main(int argc, char **argv)
{
	int passed = 0, failed = 0, skipped = 0;

	for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
		bool wanted = argc == 1;
		int result;

		for (int k = 1; k < argc; k++)
			wanted = wanted || strcmp(argv[k], cpus[i].name) == 0;
		if (!wanted)
			continue;
		result = check_cpu(&cpus[i]);
		passed += result == 0;
		failed += result == 1;
		skipped += result == 77;
	}
	free(code);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed ? 1 : passed ? 0 : 77;
}
