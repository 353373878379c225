/* SPDX-License-Identifier: MIT
 *
 * The s390x signal frame, from its bytes: struct ucontext of arch/s390/include/uapi/asm/ucontext.h (uc_mcontext at 40), in
 * it _s390_regs_common of asm/sigcontext.h: psw (mask, address), 16 registers.  The kernel's store indication is not in the
 * frame and si_addr is the page's first byte, so the instruction tells, and where it reads one operand and writes another,
 * the operand that lies in the page.  Pure, compiles on every host, runs in the handler. */
#ifndef VPAGER_CORE_ARCH_S390X_FRAME_H
#define VPAGER_CORE_ARCH_S390X_FRAME_H

#include "../access.h"
#include "../bytes.h"
#include "insn.h"

enum { S390X_FRAME_PC = 48, S390X_FRAME_GPRS = 56, S390X_FRAME_SP = S390X_FRAME_GPRS + 15 * 8 };

static inline uint64_t s390x_pc(const void *uc)
{
	return bytes_be64((const char *)uc + S390X_FRAME_PC);
}

static inline uint64_t s390x_sp(const void *uc)
{
	return bytes_be64((const char *)uc + S390X_FRAME_SP);
}

/* EX and EXRL run another instruction, with the low byte of r1 or-ed into its second byte.  0: not to be read. */
static inline size_t s390x_executed(const struct s390x_machine *m, unsigned char *text, arch_peek_fn peek)
{
	unsigned r1 = text[1] >> 4;
	size_t n = peek(s390x_executed_address(m, text), text, 6);

	if (n < 2 || n < s390x_insn_len(text) || s390x_is_execute(text))
		return 0;
	if (r1)
		text[1] |= (unsigned char)m->gpr[r1];
	return n;
}

static inline struct arch_access s390x_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	struct s390x_machine m = {.pc = s390x_pc(uc), .page = sig.address & ~(uint64_t)4095};
	unsigned char text[6] = {0};
	size_t n = peek(m.pc, text, sizeof text), len = n ? s390x_insn_len(text) : 2;

	if (n < len) /* its next byte may be on the page that faulted */
		return arch_access_by_insn(((m.pc + n) & ~(uint64_t)4095) == m.page ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_UNKNOWN, 0);
	if (s390x_in_page(&m, m.pc, len))
		return arch_access_unknown(0); /* in its own text: a fetch or an access */
	for (int i = 0; i < 16; i++)
		m.gpr[i] = bytes_be64((const char *)uc + S390X_FRAME_GPRS + 8 * i);
	if (s390x_is_execute(text) && !s390x_executed(&m, text, peek))
		return arch_access_unknown(0);
	return arch_access_by_insn(s390x_insn_access(text, &m), 0);
}

#endif
