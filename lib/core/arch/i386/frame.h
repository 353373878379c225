/* SPDX-License-Identifier: MIT
 *
 * The i386 signal frame, from its bytes: struct ucontext_ia32 of arch/x86/include/asm/sigframe.h (uc_mcontext at 20), in it
 * struct sigcontext_32 of arch/x86/include/uapi/asm/sigcontext.h.  Pure, compiles on every host, runs in the handler.  Never
 * read cr2, as on x86_64. */
#ifndef VPAGER_CORE_ARCH_I386_FRAME_H
#define VPAGER_CORE_ARCH_I386_FRAME_H

#include "../x86_64/frame.h"

enum {
	I386_FRAME_SP = 20 + 7 * 4,
	I386_FRAME_TRAPNO = 20 + 12 * 4,
	I386_FRAME_ERR = 20 + 13 * 4,
	I386_FRAME_PC = 20 + 14 * 4
};

static inline uint32_t i386_pc(const void *uc)
{
	return bytes_le32((const char *)uc + I386_FRAME_PC);
}

static inline uint32_t i386_sp(const void *uc)
{
	return bytes_le32((const char *)uc + I386_FRAME_SP);
}

static inline struct arch_access i386_access(const void *uc, struct arch_signal sig, arch_peek_fn peek)
{
	const char *frame = (const char *)uc;

	(void)peek;
	return x86_access((int32_t)bytes_le32(frame + I386_FRAME_TRAPNO), bytes_le32(frame + I386_FRAME_ERR),
	                  i386_pc(uc), sig);
}

#endif
