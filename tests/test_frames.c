/* SPDX-License-Identifier: MIT
 *
 * Signal frames of every CPU as bytes, replayed through its decoder on this host.  The structures are the kernel's, written
 * down here field by field from the headers named; lib/core/arch has offsets instead, so each checks the other.  Text that
 * the decoder reads lies in a small made-up memory. */
#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../lib/core/arch/aarch64/frame.h"
#include "../lib/core/arch/arm/frame.h"
#include "../lib/core/arch/i386/frame.h"
#include "../lib/core/arch/loongarch64/frame.h"
#include "../lib/core/arch/mips64el/frame.h"
#include "../lib/core/arch/ppc64le/frame.h"
#include "../lib/core/arch/riscv64/frame.h"
#include "../lib/core/arch/s390x/frame.h"
#include "../lib/core/arch/x86_64/frame.h"

#define READ VPAGER_ACCESS_READ
#define WRITE VPAGER_ACCESS_WRITE
#define EXEC VPAGER_ACCESS_EXEC
#define UNKNOWN VPAGER_ACCESS_UNKNOWN
#define HARDWARE VPAGER_EVIDENCE_HARDWARE
#define INSN VPAGER_EVIDENCE_INSTRUCTION
#define NONE VPAGER_EVIDENCE_NONE

/* ---- the frame being made, and the text that it points to ---- */

static _Alignas(16) unsigned char frame[8192];

static void put(size_t offset, size_t size, bool big_endian, uint64_t value)
{
	ck_assert_uint_le(offset + size, sizeof frame);
	for (size_t i = 0; i < size; i++)
		frame[offset + (big_endian ? size - 1 - i : i)] = (unsigned char)(value >> 8 * i);
}

/* A field of one of the structures below, in the CPU's byte order. */
#define LE(type, field, value) put(offsetof(type, field), sizeof(((type *)0)->field), false, value)
#define BE(type, field, value) put(offsetof(type, field), sizeof(((type *)0)->field), true, value)

static struct {
	uint64_t address;
	size_t len;
	unsigned char bytes[16];
} text[2];
static int peeks;

static size_t peek(uint64_t address, void *buf, size_t len)
{
	peeks++;
	for (int i = 0; i < 2; i++) {
		uint64_t at = address - text[i].address;

		if (at < text[i].len) {
			size_t n = text[i].len - at < len ? text[i].len - (size_t)at : len;

			memcpy(buf, text[i].bytes + at, n);
			return n;
		}
	}
	return 0;
}

static void set_text(int which, uint64_t address, const void *bytes, size_t len)
{
	ck_assert_uint_le(len, sizeof text[which].bytes);
	text[which].address = address;
	text[which].len = len;
	memcpy(text[which].bytes, bytes, len);
}

static void set_text_le32(uint64_t address, uint32_t first, uint32_t second)
{
	unsigned char bytes[8];

	for (int i = 0; i < 4; i++) {
		bytes[i] = (unsigned char)(first >> 8 * i);
		bytes[4 + i] = (unsigned char)(second >> 8 * i);
	}
	set_text(0, address, bytes, sizeof bytes);
}

/* Garbage that a decoder must not look at, and no text. */
static void fresh(void)
{
	memset(frame, 0xa5, sizeof frame);
	memset(text, 0, sizeof text);
	peeks = 0;
}

static struct arch_signal segv(int si_code, uint64_t address)
{
	return (struct arch_signal){SIGSEGV, si_code, address};
}

static void check_access(struct arch_access got, int access, int evidence, uint64_t hw_code)
{
	ck_assert_int_eq((int)got.access, access);
	ck_assert_int_eq((int)got.evidence, evidence);
	ck_assert_uint_eq(got.hw_code, hw_code);
}

#define PC 0x400ffcu /* four bytes before the end of a page */
#define SP 0x7ffe1230u
#define DATA 0x700123u

/* Aligned as on the CPUs that have such frames, not as on a 32-bit host. */
typedef uint64_t u64 __attribute__((aligned(8)));

/* ---- x86 ---- */

struct x86_64_ucontext { /* arch/x86/include/uapi/asm/ucontext.h, sigcontext.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	struct {
		u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
		uint16_t cs, gs, fs, ss;
		u64 err, trapno, oldmask, cr2, fpstate, reserved1[8];
	} uc_mcontext;
	u64 uc_sigmask;
};

struct i386_ucontext { /* arch/x86/include/asm/sigframe.h: ucontext_ia32; sigcontext_32 */
	uint32_t uc_flags, uc_link;
	struct {
		uint32_t ss_sp, ss_flags, ss_size;
	} uc_stack;
	struct {
		uint16_t gs, __gsh, fs, __fsh, es, __esh, ds, __dsh;
		uint32_t di, si, bp, sp, bx, dx, cx, ax, trapno, err, ip;
		uint16_t cs, __csh;
		uint32_t flags, sp_at_signal;
		uint16_t ss, __ssh;
		uint32_t fpstate, oldmask, cr2;
	} uc_mcontext;
	uint64_t uc_sigmask;
};

static const struct {
	int64_t trapno;
	uint64_t err;
	int signo, si_code, access, evidence;
	bool has_code, at_pc;
} x86_cases[] = {
    {14, 0x04, SIGSEGV, SEGV_ACCERR, READ, HARDWARE, true, false},
    {14, 0x06, SIGSEGV, SEGV_ACCERR, WRITE, HARDWARE, true, false},
    {14, 0x07, SIGSEGV, SEGV_ACCERR, WRITE, HARDWARE, true, false},
    {14, 0x14, SIGSEGV, SEGV_MAPERR, EXEC, HARDWARE, true, false},
    {14, 0x15, SIGSEGV, SEGV_ACCERR, EXEC, HARDWARE, true, false},
    {14, 0x25, SIGSEGV, SEGV_PKUERR, READ, HARDWARE, true, false},
    {14, 0x06, SIGBUS, BUS_ADRERR, WRITE, HARDWARE, true, false},
    {13, 0x00, SIGSEGV, SEGV_MAPERR, UNKNOWN, NONE, false, false},
    {17, 0x00, SIGBUS, BUS_ADRALN, UNKNOWN, NONE, false, false},
    {-1, 0x07, SIGSEGV, SEGV_ACCERR, WRITE, HARDWARE, true, false}, /* qemu-user */
    {-1, 0x05, SIGSEGV, SEGV_ACCERR, UNKNOWN, NONE, true, false},
    {-1, 0x04, SIGSEGV, SEGV_MAPERR, EXEC, INSN, true, true},
    {14, 0x04, SIGSEGV, SEGV_ACCERR, READ, HARDWARE, true, true}, /* of its own text, execute-only */
    {-1, 0x14, SIGSEGV, SEGV_MAPERR, EXEC, HARDWARE, true, false},
    {-1, 0x06, SIGSEGV, SEGV_PKUERR, UNKNOWN, NONE, false, false},
    {-1, 0x06, SIGBUS, BUS_ADRERR, UNKNOWN, NONE, false, false},
};

START_TEST(x86_frames)
{
	for (size_t i = 0; i < sizeof x86_cases / sizeof x86_cases[0]; i++) {
		struct arch_signal sig = {x86_cases[i].signo, x86_cases[i].si_code, DATA};
		uint64_t code = x86_cases[i].has_code ? x86_cases[i].err : 0;

		fresh();
		LE(struct x86_64_ucontext, uc_mcontext.sp, 0x7ffe00001230);
		LE(struct x86_64_ucontext, uc_mcontext.ip, 0x555500000ffc);
		LE(struct x86_64_ucontext, uc_mcontext.err, x86_cases[i].err);
		LE(struct x86_64_ucontext, uc_mcontext.trapno, (uint64_t)x86_cases[i].trapno);
		ck_assert_uint_eq(x86_64_pc(frame), 0x555500000ffc);
		ck_assert_uint_eq(x86_64_sp(frame), 0x7ffe00001230);
		sig.address = x86_cases[i].at_pc ? 0x555500000ffc : DATA;
		check_access(x86_64_access(frame, sig, peek), x86_cases[i].access, x86_cases[i].evidence, code);

		fresh();
		LE(struct i386_ucontext, uc_mcontext.sp, SP);
		LE(struct i386_ucontext, uc_mcontext.ip, PC);
		LE(struct i386_ucontext, uc_mcontext.err, x86_cases[i].err);
		LE(struct i386_ucontext, uc_mcontext.trapno, (uint64_t)x86_cases[i].trapno);
		ck_assert_uint_eq(i386_pc(frame), PC);
		ck_assert_uint_eq(i386_sp(frame), SP);
		sig.address = x86_cases[i].at_pc ? PC : DATA;
		check_access(i386_access(frame, sig, peek), x86_cases[i].access, x86_cases[i].evidence, code);
		ck_assert_int_eq(peeks, 0);
	}
}
END_TEST

/* ---- AArch64 ---- */

struct aarch64_ucontext { /* arch/arm64/include/uapi/asm/ucontext.h, sigcontext.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	u64 uc_sigmask;
	uint8_t __unused[1024 / 8 - 8];
	struct {
		u64 fault_address, regs[31], sp, pc, pstate;
		_Alignas(16) uint8_t __reserved[4096];
	} __attribute__((aligned(16))) uc_mcontext;
};

struct aarch64_record {
	uint32_t magic, size;
};

enum { REC_FPSIMD = 0x46508001, REC_ESR = 0x45535201, REC_EXTRA = 0x45585401, REC_SVE = 0x53564501, REC_ZA = 0x54366345 };
enum { LEN_FPSIMD = 528, LEN_ESR = 16, LEN_EXTRA = 32 };
enum { LDR_X0 = 0xf9400020, STR_X0 = 0xf9000020, LDADD = 0xf8210022, DC_ZVA = 0xd50b7420, NOP = 0xd503201f };

#define ESR(class, iss) ((uint64_t)(class) << 26 | 1u << 25 | (iss))

static size_t aarch64_at;

static void aarch64_fresh(void)
{
	fresh();
	LE(struct aarch64_ucontext, uc_mcontext.pc, PC);
	LE(struct aarch64_ucontext, uc_mcontext.sp, SP);
	aarch64_at = 0;
}

/* The next record; returns where its payload goes. */
static size_t aarch64_record(uint32_t magic, uint32_t size)
{
	size_t at = offsetof(struct aarch64_ucontext, uc_mcontext.__reserved) + aarch64_at;

	put(at + offsetof(struct aarch64_record, magic), 4, false, magic);
	put(at + offsetof(struct aarch64_record, size), 4, false, size);
	aarch64_at += size < 16 ? 16 : (size + 15) & ~15u;
	return at + sizeof(struct aarch64_record);
}

static void aarch64_esr_record(uint64_t esr)
{
	put(aarch64_record(REC_ESR, LEN_ESR), 8, false, esr);
}

START_TEST(aarch64_syndrome_and_instruction)
{
	static const struct {
		uint64_t esr;
		uint32_t insn; /* 0: text not to be read */
		int access, evidence;
	} c[] = {
	    {ESR(0x24, 0x47), STR_X0, WRITE, HARDWARE},
	    {ESR(0x24, 0x4f), 0, WRITE, HARDWARE},
	    {ESR(0x24, 0x07), LDR_X0, READ, HARDWARE},
	    {ESR(0x24, 0x07), LDADD, WRITE, INSN}, /* the read of a read-modify-write faults first */
	    {ESR(0x24, 0x07), 0, UNKNOWN, NONE},
	    {ESR(0x24, 0x07), NOP, UNKNOWN, NONE},
	    {ESR(0x24, 0x147), 0xd50b7a20, READ, HARDWARE}, /* DC CVAC: WnR and CM */
	    {ESR(0x24, 0x47), DC_ZVA, WRITE, HARDWARE},
	    {ESR(0x20, 0x07), 0, EXEC, HARDWARE},
	    {ESR(0x20, 0x4f), 0, EXEC, HARDWARE},
	    {ESR(0x22, 0x00), 0, UNKNOWN, NONE}, /* pc alignment */
	    {ESR(0x00, 0x00), STR_X0, WRITE, INSN},
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		aarch64_fresh();
		aarch64_record(REC_FPSIMD, LEN_FPSIMD);
		aarch64_esr_record(c[i].esr);
		aarch64_record(0, 0);
		if (c[i].insn)
			set_text_le32(PC, c[i].insn, 0);
		ck_assert_uint_eq(aarch64_pc(frame), PC);
		ck_assert_uint_eq(aarch64_sp(frame), SP);
		check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), c[i].access, c[i].evidence, c[i].esr);
		if (c[i].evidence == HARDWARE && c[i].access != READ)
			ck_assert_int_eq(peeks, 0);
	}
}
END_TEST

START_TEST(aarch64_without_a_record)
{
	static const struct {
		uint32_t insn;
		uint64_t address;
		int access;
	} c[] = {{STR_X0, DATA, WRITE}, {LDR_X0, DATA, READ}, {LDADD, DATA, WRITE}, {DC_ZVA, DATA, WRITE},
	         {NOP, DATA, UNKNOWN},  {0, DATA, UNKNOWN},   {0, PC, EXEC},        {STR_X0, PC, EXEC}};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		aarch64_fresh();
		aarch64_record(REC_FPSIMD, LEN_FPSIMD);
		aarch64_record(0, 0);
		aarch64_esr_record(ESR(0x24, 0x47)); /* behind the end: an older frame's */
		if (c[i].insn)
			set_text_le32(PC, c[i].insn, 0);
		check_access(aarch64_access(frame, segv(SEGV_MAPERR, c[i].address), peek), c[i].access,
		             c[i].access == UNKNOWN ? NONE : INSN, 0);
	}
}
END_TEST

/* The record is found behind others of any size, up to the last bytes of the area. */
START_TEST(aarch64_records_before_it)
{
	static const uint32_t sve[] = {16, 16 + 16 * 35, 16 + 32 * 35 + 16, 2000};

	for (size_t i = 0; i < sizeof sve / sizeof sve[0]; i++) {
		aarch64_fresh();
		aarch64_record(REC_SVE, (sve[i] + 15) & ~15u);
		aarch64_record(REC_FPSIMD, LEN_FPSIMD);
		aarch64_record(REC_ZA, 16);
		aarch64_record(REC_EXTRA, LEN_EXTRA);
		aarch64_esr_record(ESR(0x24, 0x4f));
		aarch64_record(0, 0);
		check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), WRITE, HARDWARE, ESR(0x24, 0x4f));
	}
	aarch64_fresh();
	aarch64_record(REC_SVE, 4096 - LEN_ESR);
	aarch64_esr_record(ESR(0x24, 0x4f));
	check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), WRITE, HARDWARE, ESR(0x24, 0x4f));
}
END_TEST

/* A list that is no list ends there, and is never left. */
START_TEST(aarch64_broken_records)
{
	static const uint32_t size[] = {0, 8, 17, 24, 4096, 4112, 0xfffffff0};

	for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
		aarch64_fresh();
		aarch64_record(REC_FPSIMD, LEN_FPSIMD);
		aarch64_record(REC_SVE, size[i]);
		aarch64_at = LEN_FPSIMD + size[i];
		if (size[i] > 8 && size[i] < 4096)
			aarch64_esr_record(ESR(0x24, 0x4f));
		check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), UNKNOWN, NONE, 0);
	}
	aarch64_fresh();
	aarch64_record(0, 32); /* the end, whatever its size */
	aarch64_esr_record(ESR(0x24, 0x4f));
	check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), UNKNOWN, NONE, 0);
	aarch64_fresh();
	aarch64_esr_record(ESR(0x24, 0x4f));
	put(offsetof(struct aarch64_ucontext, uc_mcontext.__reserved) + 4, 4, false, 8192); /* longer than the area */
	check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), UNKNOWN, NONE, 0);
	aarch64_fresh();
	aarch64_record(REC_SVE, 4096); /* the whole area: nothing behind it is looked at */
	put(offsetof(struct aarch64_ucontext, uc_mcontext.__reserved) + 4096, 8, false, (uint64_t)LEN_ESR << 32 | REC_ESR);
	check_access(aarch64_access(frame, segv(SEGV_ACCERR, DATA), peek), UNKNOWN, NONE, 0);
}
END_TEST

START_TEST(aarch64_asynchronous_tag_check)
{
	aarch64_fresh();
	aarch64_esr_record(ESR(0x24, 0x4f));
	aarch64_record(0, 0);
	set_text_le32(PC, STR_X0, 0);
	check_access(aarch64_access(frame, segv(8, 0), peek), UNKNOWN, NONE, 0);
}
END_TEST

/* ---- 32-bit Arm ---- */

struct arm_ucontext { /* arch/arm/include/asm/ucontext.h, uapi/asm/sigcontext.h */
	uint32_t uc_flags, uc_link;
	struct {
		uint32_t ss_sp, ss_flags, ss_size;
	} uc_stack;
	struct {
		uint32_t trap_no, error_code, oldmask, arm_r0, arm_r1, arm_r2, arm_r3, arm_r4, arm_r5, arm_r6, arm_r7, arm_r8, arm_r9,
		    arm_r10, arm_fp, arm_ip, arm_sp, arm_lr, arm_pc, arm_cpsr, fault_address;
	} uc_mcontext;
};

START_TEST(arm_frames)
{
	enum { STR = 0xe5810000, LDR = 0xe5910000, SWP = 0xe1010092, T = 0x20 };
	static const struct {
		uint32_t trap_no, error_code, cpsr, text, readable; /* bytes of text */
		uint32_t address;
		int access, evidence;
	} c[] = {
	    {14, 0x805, 0x10, 0, 0, DATA, WRITE, HARDWARE},
	    {0, 0x800, 0x10, 0, 0, DATA, WRITE, HARDWARE},        /* under a 64-bit kernel */
	    {14, 0x80000007, 0x10, 0, 0, PC, EXEC, HARDWARE},     /* FSR_LNX_PF */
	    {14, 0x007, 0x10, LDR, 4, DATA, READ, HARDWARE},
	    {14, 0x007, 0x10, SWP, 4, DATA, WRITE, INSN},
	    {14, 0x007, 0x10, 0, 0, DATA, UNKNOWN, NONE},
	    {0, 0x007, 0x10, LDR, 4, DATA, READ, INSN},           /* no status of a fault */
	    {0, 0, 0x10, STR, 4, DATA, WRITE, INSN},              /* qemu-user */
	    {0, 0, 0x10, LDR, 4, DATA, READ, INSN},
	    {0, 0, 0x10, LDR, 3, DATA, UNKNOWN, NONE},
	    {0, 0, 0x10, 0, 0, PC, EXEC, INSN},
	    {0, 0, 0x30, 0x00006008, 2, DATA, WRITE, INSN},       /* Thumb STR, the page's last halfword */
	    {0, 0, 0x30, 0x00006808, 4, DATA, READ, INSN},        /* LDR */
	    {0, 0, 0x30, 0x0000f8c1, 4, DATA, WRITE, INSN},       /* STR.W */
	    {0, 0, 0x30, 0x0000f8d1, 4, DATA, READ, INSN},        /* LDR.W */
	    {0, 0, 0x30, 0x0000f8d1, 2, DATA, UNKNOWN, NONE},
	    {0, 0, 0x30, 0xe5810000, 4, DATA, UNKNOWN, NONE},     /* an A32 STR is none in Thumb state */
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		fresh();
		LE(struct arm_ucontext, uc_mcontext.trap_no, c[i].trap_no);
		LE(struct arm_ucontext, uc_mcontext.error_code, c[i].error_code);
		LE(struct arm_ucontext, uc_mcontext.arm_sp, SP);
		LE(struct arm_ucontext, uc_mcontext.arm_pc, PC);
		LE(struct arm_ucontext, uc_mcontext.arm_cpsr, c[i].cpsr);
		set_text_le32(PC, c[i].text, 0);
		text[0].len = c[i].readable;
		ck_assert_uint_eq(arm_pc(frame), PC);
		ck_assert_uint_eq(arm_sp(frame), SP);
		check_access(arm_access(frame, segv(SEGV_ACCERR, c[i].address), peek), c[i].access, c[i].evidence, c[i].error_code);
	}
}
END_TEST

/* ---- RISC-V ---- */

struct riscv64_ucontext { /* arch/riscv/include/uapi/asm/ucontext.h, sigcontext.h, ptrace.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	u64 uc_sigmask;
	uint8_t __unused[1024 / 8 - 8];
	struct {
		struct {
			u64 pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a[8], s2[10], t3[4];
		} sc_regs;
		_Alignas(16) u64 q[64]; /* struct __riscv_q_ext_state */
		uint32_t fcsr, reserved[3];
	} uc_mcontext;
};

START_TEST(riscv64_frames)
{
	enum { SD = 0x00b53023, LD = 0x00053583, C_SD = 0xe10c, C_LD = 0x610c };
	enum { AMOADD = 0x00b5352f, VSE = 0x02056427, ADD = 0x00b50533 };
	static const struct {
		uint32_t text, readable;
		uint64_t address;
		int access;
	} c[] = {
	    {SD, 4, DATA, WRITE},
	    {LD, 4, DATA, READ},
	    {AMOADD, 4, DATA, WRITE},
	    {VSE, 4, DATA, WRITE},
	    {ADD, 4, DATA, UNKNOWN},
	    {C_SD, 2, DATA, WRITE},
	    {C_LD, 2, DATA, READ},
	    {SD, 2, DATA, UNKNOWN},
	    {SD, 2, PC + 2, EXEC}, /* the second half of it is on the next page */
	    {0, 0, PC, EXEC},
	    {SD, 4, PC, EXEC},
	    {0, 0, DATA, UNKNOWN},
	    {SD, 1, DATA, UNKNOWN},
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		fresh();
		LE(struct riscv64_ucontext, uc_mcontext.sc_regs.pc, PC);
		LE(struct riscv64_ucontext, uc_mcontext.sc_regs.sp, SP);
		set_text_le32(PC, c[i].text, 0);
		text[0].len = c[i].readable;
		ck_assert_uint_eq(riscv64_pc(frame), PC);
		ck_assert_uint_eq(riscv64_sp(frame), SP);
		check_access(riscv64_access(frame, segv(SEGV_ACCERR, c[i].address), peek), c[i].access,
		             c[i].access == UNKNOWN ? NONE : INSN, 0);
	}
}
END_TEST

/* ---- Power ---- */

struct ppc64le_ucontext { /* arch/powerpc/include/uapi/asm/ucontext.h, sigcontext.h, ptrace.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	u64 uc_sigmask, __unused[15];
	struct {
		u64 _unused[4];
		int32_t signal, _pad0;
		u64 handler, oldmask, regs;
		struct {
			u64 gpr[32], nip, msr, orig_gpr3, ctr, link, xer, ccr, softe, trap, dar, dsisr, result, spare[4];
		} gp_regs;
	} uc_mcontext;
};

START_TEST(ppc64le_frames)
{
	enum { STD = 0xf8a30000, LD = 0xe8a30000, ADD = 0x7ca32a14, PREFIX = 0x04000000 };
	enum { STORE = 0x42000000, LOAD = 0x40000000 };
	static const struct {
		uint64_t trap, dar, dsisr, address;
		uint32_t first, second, readable;
		int access, evidence;
	} c[] = {
	    {0x300, DATA, STORE, DATA, 0, 0, 0, WRITE, HARDWARE},
	    {0x300, DATA, LOAD, DATA, 0, 0, 0, READ, HARDWARE},
	    {0x301, DATA, STORE, DATA, 0, 0, 0, WRITE, HARDWARE}, /* the low bits are flags of the kernel */
	    {0x300, DATA + 8, STORE, DATA, LD, 0, 8, READ, INSN}, /* another fault's, or garbage */
	    {0x380, DATA, STORE, DATA, LD, 0, 8, READ, INSN},     /* segment: no DSISR */
	    {0x380, DATA, 0, DATA, STD, 0, 4, WRITE, INSN},
	    {0x400, DATA, 0, PC, 0, 0, 0, EXEC, INSN},
	    {0, 0, 0, DATA, ADD, 0, 8, UNKNOWN, NONE},
	    {0, 0, 0, DATA, 0, 0, 0, UNKNOWN, NONE},
	    {0, 0, 0, DATA, PREFIX, 0xf4a30000, 8, WRITE, INSN},      /* pstd */
	    {0, 0, 0, DATA, PREFIX, 0xf4a30000, 4, UNKNOWN, NONE},    /* half of it */
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		uint64_t code = c[i].evidence == HARDWARE ? c[i].dsisr : 0;

		fresh();
		LE(struct ppc64le_ucontext, uc_mcontext.gp_regs.gpr[1], SP);
		LE(struct ppc64le_ucontext, uc_mcontext.gp_regs.nip, PC);
		LE(struct ppc64le_ucontext, uc_mcontext.gp_regs.trap, c[i].trap);
		LE(struct ppc64le_ucontext, uc_mcontext.gp_regs.dar, c[i].dar);
		LE(struct ppc64le_ucontext, uc_mcontext.gp_regs.dsisr, c[i].dsisr);
		set_text_le32(PC, c[i].first, c[i].second);
		text[0].len = c[i].readable;
		ck_assert_uint_eq(ppc64le_pc(frame), PC);
		ck_assert_uint_eq(ppc64le_sp(frame), SP);
		check_access(ppc64le_access(frame, segv(SEGV_ACCERR, c[i].address), peek), c[i].access, c[i].evidence, code);
	}
}
END_TEST

/* ---- s390x ---- */

struct s390x_ucontext { /* arch/s390/include/uapi/asm/ucontext.h, sigcontext.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	struct {
		struct {
			u64 mask, addr;
		} psw;
		u64 gprs[16];
		uint32_t acrs[16];
	} uc_mcontext;
};

#define S390X_PC 0x400ffau
#define TO 0x800ff0u
#define FROM 0x900000u
#define TARGET 0xa00000u

static const struct {
	const char *bytes;
	size_t readable;
	const char *target; /* what EX and EXRL run, at TARGET */
	uint64_t page;
	int access;
} s390x_cases[] = {
    {"\xe3\x10\x20\x00\x00\x24", 6, NULL, TO, WRITE},               /* stg */
    {"\xe3\x10\x20\x00\x00\x04", 6, NULL, TO, READ},                /* lg */
    {"\x50\x10\x20\x00", 4, NULL, TO, WRITE},                       /* st, the page's end behind it */
    {"\xe7\x10\x20\x00\x00\x0e", 6, NULL, TO, WRITE},               /* vst */
    {"\x18\x12", 2, NULL, TO, UNKNOWN},                             /* lr */
    {"\xd2\x07\x20\x00\x30\x00", 6, NULL, TO, WRITE},               /* mvc 0(8,%r2),0(%r3) */
    {"\xd2\x07\x20\x00\x30\x00", 6, NULL, FROM, READ},
    {"\xd2\x07\x20\x00\x20\x08", 6, NULL, TO, UNKNOWN},             /* both in one page */
    {"\xd2\x1f\x20\x00\x30\x00", 6, NULL, TO + 4096, WRITE},        /* 32 bytes over the page's end */
    {"\xd2\x0f\x20\x00\x30\x00", 6, NULL, TO + 4096, UNKNOWN},      /* 16 are not */
    {"\xe8\x07\x20\x00\x30\x03", 6, NULL, FROM - 4096, READ},       /* mvcin reads backwards */
    {"\xdc\x00\x20\x00\x3f\x80", 6, NULL, FROM + 4096, READ},       /* tr: a table of 256 */
    {"\xf2\x00\x20\x00\x30\x00", 6, NULL, TO, WRITE},               /* pack */
    {"\xd5\x07\x20\x00\x30\x00", 6, NULL, TO, READ},                /* clc */
    {"\xd7\x07\x20\x00\x20\x00", 6, NULL, TO, UNKNOWN},             /* xc of itself: the same page is read and written */
    {"\x0e\x46", 2, NULL, TO + 4096, WRITE},                        /* mvcl %r4,%r6 */
    {"\x0e\x46", 2, NULL, FROM, READ},
    {"\xb2\x54\x00\x23", 4, NULL, TO, WRITE},                       /* mvpg %r2,%r3 */
    {"\xb2\x54\x00\x23", 4, NULL, FROM, READ},
    {"\xc6\x10\x00\x2f\xf8\x03", 6, "\xd2\x00\x20\x00\x30\x00", TO, WRITE},       /* exrl %r1,TARGET: mvc */
    {"\xc6\x10\x00\x2f\xf8\x03", 6, "\xd2\x00\x20\x00\x30\x00", TO + 4096, WRITE}, /* its length is in %r1 */
    {"\xc6\x00\x00\x2f\xf8\x03", 6, "\xd2\x00\x20\x00\x30\x00", TO + 4096, UNKNOWN},
    {"\xc6\x10\x00\x2f\xf8\x03", 6, NULL, TO, UNKNOWN},             /* the target cannot be read */
    {"\xc6\x10\x00\x2f\xf8\x03", 6, "\xc6\x10\x00\x00\x00\x00", TO, UNKNOWN}, /* nor may it be another one */
    {"\x44\x18\x90\x10", 4, "\xd7\x00\x20\x00\x30\x00", TO, WRITE}, /* ex %r1,16(%r8,%r9): xc */
    {"", 0, NULL, S390X_PC, EXEC},
    {"\xe3\x10\x20\x00", 4, NULL, TO, UNKNOWN},
    {"\xe3\x10\x20\x00\x00\x24", 6, NULL, S390X_PC, UNKNOWN},       /* a fetch or a store, who knows */
};

START_TEST(s390x_frames)
{
	for (size_t i = 0; i < sizeof s390x_cases / sizeof s390x_cases[0]; i++) {
		struct arch_access got;

		fresh();
		BE(struct s390x_ucontext, uc_mcontext.psw.mask, 0x0705000180000000);
		BE(struct s390x_ucontext, uc_mcontext.psw.addr, S390X_PC);
		BE(struct s390x_ucontext, uc_mcontext.gprs[1], 31);
		BE(struct s390x_ucontext, uc_mcontext.gprs[2], TO);
		BE(struct s390x_ucontext, uc_mcontext.gprs[3], FROM);
		BE(struct s390x_ucontext, uc_mcontext.gprs[4], TO);
		BE(struct s390x_ucontext, uc_mcontext.gprs[5], 0xff00000000001000); /* MVCL counts the low 24 bits */
		BE(struct s390x_ucontext, uc_mcontext.gprs[6], FROM);
		BE(struct s390x_ucontext, uc_mcontext.gprs[7], 0x1000);
		BE(struct s390x_ucontext, uc_mcontext.gprs[8], TARGET - 0x1000);
		BE(struct s390x_ucontext, uc_mcontext.gprs[9], 0x1000 - 16);
		BE(struct s390x_ucontext, uc_mcontext.gprs[15], SP);
		set_text(0, S390X_PC, s390x_cases[i].bytes, s390x_cases[i].readable);
		if (s390x_cases[i].target)
			set_text(1, TARGET, s390x_cases[i].target, 6);
		ck_assert_uint_eq(s390x_pc(frame), S390X_PC);
		ck_assert_uint_eq(s390x_sp(frame), SP);
		got = s390x_access(frame, segv(SEGV_ACCERR, s390x_cases[i].page & ~(uint64_t)4095), peek);
		ck_assert_msg((int)got.access == s390x_cases[i].access, "case %d: access %d", (int)i, got.access);
		ck_assert_int_eq(got.evidence, got.access == UNKNOWN ? NONE : INSN);
	}
}
END_TEST

/* The text's second part is on the page that faulted, which alone is what the kernel says. */
START_TEST(s390x_fetch_over_a_page_end)
{
	fresh();
	BE(struct s390x_ucontext, uc_mcontext.psw.addr, 0x400ffc);
	set_text(0, 0x400ffc, "\xe3\x10\x20\x00", 4);
	check_access(s390x_access(frame, segv(SEGV_ACCERR, 0x401000), peek), EXEC, INSN, 0);
	check_access(s390x_access(frame, segv(SEGV_ACCERR, 0x400000), peek), UNKNOWN, NONE, 0);
}
END_TEST

/* ---- MIPS ---- */

struct mips64el_ucontext { /* arch/mips/include/uapi/asm/ucontext.h, sigcontext.h (n64) */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp, ss_size;
		int32_t ss_flags;
	} uc_stack;
	struct {
		u64 sc_regs[32], sc_fpregs[32], sc_mdhi, sc_hi1, sc_hi2, sc_hi3, sc_mdlo, sc_lo1, sc_lo2, sc_lo3, sc_pc;
		uint32_t sc_fpc_csr, sc_used_math, sc_dsp, sc_reserved;
	} uc_mcontext;
};

START_TEST(mips64el_frames)
{
	enum { SD = 0xfca40000, LD = 0xdca40000, SC = 0xe0a40000, ADDU = 0x00a42021 };
	enum { BEQ = 0x10000003, JR = 0x03e00008, BZ_V = 0x45600001 };
	static const struct {
		uint64_t pc, address;
		uint32_t first, second, readable;
		int access;
	} c[] = {
	    {PC, DATA, SD, 0, 4, WRITE},
	    {PC, DATA, LD, 0, 4, READ},
	    {PC, DATA, SC, 0, 4, WRITE},
	    {PC, DATA, ADDU, SD, 8, UNKNOWN},
	    {PC, DATA, BEQ, SD, 8, WRITE}, /* the delay slot */
	    {PC, DATA, JR, LD, 8, READ},
	    {PC, DATA, BZ_V, SD, 8, WRITE},
	    {PC, DATA, BEQ, SD, 4, UNKNOWN},
	    {PC, PC + 4, BEQ, 0, 4, EXEC}, /* the delay slot is on the next page */
	    {PC, PC, 0, 0, 0, EXEC},
	    {PC, DATA, 0, 0, 0, UNKNOWN},
	    {PC + 1, DATA, SD, SD, 8, UNKNOWN}, /* microMIPS */
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		fresh();
		LE(struct mips64el_ucontext, uc_mcontext.sc_regs[29], SP);
		LE(struct mips64el_ucontext, uc_mcontext.sc_pc, c[i].pc);
		set_text_le32(c[i].pc, c[i].first, c[i].second);
		text[0].len = c[i].readable;
		ck_assert_uint_eq(mips64el_pc(frame), c[i].pc);
		ck_assert_uint_eq(mips64el_sp(frame), SP);
		check_access(mips64el_access(frame, segv(SEGV_ACCERR, c[i].address), peek), c[i].access,
		             c[i].access == UNKNOWN ? NONE : INSN, 0);
	}
}
END_TEST

/* ---- LoongArch ---- */

struct loongarch64_ucontext { /* arch/loongarch/include/uapi/asm/ucontext.h, sigcontext.h */
	u64 uc_flags, uc_link;
	struct {
		u64 ss_sp;
		int32_t ss_flags;
		u64 ss_size;
	} uc_stack;
	u64 uc_sigmask;
	uint8_t __unused[1024 / 8 - 8];
	struct {
		u64 sc_pc, sc_regs[32];
		uint32_t sc_flags;
		_Alignas(16) u64 sc_extcontext[2];
	} uc_mcontext;
};

START_TEST(loongarch64_frames)
{
	enum { ST_D = 0x29c00084, LD_D = 0x28c00084, AMADD_D = 0x38618085, VST = 0x2c400080, ADD = 0x00108484 };
	const uint32_t FP = 1, RD = 1u << 30, WR = 1u << 31;
	const struct {
		int signo;
		uint32_t flags, insn;
		uint64_t address;
		int access, evidence;
		uint32_t hw_code;
	} c[] = {
	    {SIGSEGV, FP | WR, 0, DATA, WRITE, HARDWARE, FP | WR},
	    {SIGSEGV, FP | RD, LD_D, DATA, READ, HARDWARE, FP | RD},
	    {SIGSEGV, RD, AMADD_D, DATA, WRITE, INSN, RD},
	    {SIGSEGV, RD, 0, DATA, UNKNOWN, NONE, RD},
	    {SIGSEGV, RD, 0, PC, EXEC, INSN, RD},
	    {SIGSEGV, FP, ST_D, DATA, WRITE, INSN, 0}, /* qemu-user */
	    {SIGSEGV, FP, VST, DATA, WRITE, INSN, 0},
	    {SIGSEGV, 0, LD_D, DATA, READ, INSN, 0},
	    {SIGSEGV, 0, ADD, DATA, UNKNOWN, NONE, 0},
	    {SIGBUS, WR, LD_D, DATA, READ, INSN, 0}, /* an older fault's flags */
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		fresh();
		LE(struct loongarch64_ucontext, uc_mcontext.sc_pc, PC);
		LE(struct loongarch64_ucontext, uc_mcontext.sc_regs[3], SP);
		LE(struct loongarch64_ucontext, uc_mcontext.sc_flags, c[i].flags);
		if (c[i].insn)
			set_text_le32(PC, c[i].insn, 0);
		ck_assert_uint_eq(loongarch64_pc(frame), PC);
		ck_assert_uint_eq(loongarch64_sp(frame), SP);
		check_access(loongarch64_access(frame, (struct arch_signal){c[i].signo, 2, c[i].address}, peek), c[i].access,
		             c[i].evidence, c[i].hw_code);
	}
}
END_TEST

static Suite *frames_suite(void)
{
	Suite *suite = suite_create("frames");
	TCase *tcase = tcase_create("frames");

	tcase_add_test(tcase, x86_frames);
	tcase_add_test(tcase, aarch64_syndrome_and_instruction);
	tcase_add_test(tcase, aarch64_without_a_record);
	tcase_add_test(tcase, aarch64_records_before_it);
	tcase_add_test(tcase, aarch64_broken_records);
	tcase_add_test(tcase, aarch64_asynchronous_tag_check);
	tcase_add_test(tcase, arm_frames);
	tcase_add_test(tcase, riscv64_frames);
	tcase_add_test(tcase, ppc64le_frames);
	tcase_add_test(tcase, s390x_frames);
	tcase_add_test(tcase, s390x_fetch_over_a_page_end);
	tcase_add_test(tcase, mips64el_frames);
	tcase_add_test(tcase, loongarch64_frames);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(frames_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
