/* SPDX-License-Identifier: MIT
 *
 * The x86_64 signal frame, from its bytes: struct ucontext of arch/x86/include/uapi/asm/ucontext.h (uc_mcontext at 40), in
 * it struct sigcontext_64 of asm/sigcontext.h.  Pure, compiles on every host, runs in the handler.  Never read cr2: a #GP
 * leaves that of an older fault in it. */
#ifndef VPAGER_CORE_ARCH_X86_64_FRAME_H
#define VPAGER_CORE_ARCH_X86_64_FRAME_H

#include <signal.h>
#include "../access.h"
#include "../bytes.h"

enum {
	X86_64_FRAME_SP = 40 + 15 * 8,
	X86_64_FRAME_PC = 40 + 16 * 8,
	X86_64_FRAME_ERR = 40 + 19 * 8,
	X86_64_FRAME_TRAPNO = 40 + 20 * 8
};

static inline uint64_t x86_64_pc(const void *uc)
{
	return bytes_le64((const char *)uc + X86_64_FRAME_PC);
}

static inline uint64_t x86_64_sp(const void *uc)
{
	return bytes_le64((const char *)uc + X86_64_FRAME_SP);
}

/* The page fault's error code, asm/trap_pf.h. */
enum { X86_PF_PROT = 1, X86_PF_WRITE = 2, X86_PF_USER = 4, X86_PF_RSVD = 8, X86_PF_INSTR = 16 };

/* Shared with i386, whose frame has the same words elsewhere. */
static inline struct arch_access x86_access(int64_t trapno, uint64_t err, uint64_t pc, struct arch_signal sig)
{
	bool emulated = trapno == -1 && sig.signo == SIGSEGV && (sig.si_code == SEGV_MAPERR || sig.si_code == SEGV_ACCERR);

	if (trapno != 14 && !emulated)
		return arch_access_unknown(0);
	if (err & X86_PF_WRITE)
		return arch_access_by_hardware(VPAGER_ACCESS_WRITE, err);
	if (err & X86_PF_INSTR)
		return arch_access_by_hardware(VPAGER_ACCESS_EXEC, err);
	if (emulated) /* qemu-user, trap number -1, reports fetches and read-modify-write instructions as reads */
		return arch_access_by_insn(sig.address == pc ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_UNKNOWN, err);
	return arch_access_by_hardware(VPAGER_ACCESS_READ, err);
}

static inline struct arch_access x86_64_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	const char *frame = (const char *)uc;

	(void)peek;
	return x86_access((int64_t)bytes_le64(frame + X86_64_FRAME_TRAPNO), bytes_le64(frame + X86_64_FRAME_ERR),
	                  x86_64_pc(uc), sig);
}

#endif
