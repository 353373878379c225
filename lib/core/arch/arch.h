/* SPDX-License-Identifier: MIT
 *
 * What the core asks of a CPU.  Each arch/<cpu>/ has these headers, without state and fit for the signal handler:
 *
 * frame.h    the signal frame from its bytes and, where the kernel delivers it, the CPU's fault status; insn.h: what an
 *            instruction does to memory.  Both are pure, named after their CPU, and compile on every host.
 * decode.h   cites the kernel header that lays out the signal frame, and defines
 *              uintptr_t arch_pc(const ucontext_t *), arch_sp(const ucontext_t *)
 *              struct arch_access arch_access(const siginfo_t *, const ucontext_t *)
 *                 asked only about faults that the kernel raised (si_code > 0 and not SI_KERNEL); ACCESS_UNKNOWN with
 *                 EVIDENCE_NONE where nothing is sure
 *              ARCH_ADDRESS_EXACT   1 if si_addr is a byte that the access touched, 0 if it is only in the same page
 *              bool arch_kernel_half(uintptr_t)   no user mapping can ever be there
 *              ARCH_NAME            the directory's name, for reports and tests
 * syscall.h  raw system calls that leave errno alone: arch_syscall(nr, 6 longs) -> result or negative errno; or, where the
 *              number or an argument is in the frame pointer, ARCH_SYS_CALL: the text of sys_call with its unwind information, for
 *              a thread may be cancelled while it waits there,
 *              ARCH_OFF64(x): a 64-bit argument as the registers it takes (with a leading comma),
 *              ARCH_MMAP_BY_POINTER where SYS_mmap takes the address of its six arguments,
 *              arch_sigset_t (word[]: 64 bits, 128 on mips) and struct arch_sigaction (handler, flags, mask, on most
 *              restorer), both as the kernel has them.
 * call.h     a call on another stack: ../call.h says how.
 *
 * This is the only file that chooses by CPU. */
#ifndef VPAGER_CORE_ARCH_H
#define VPAGER_CORE_ARCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>
#include "access.h"
#include "call.h"

#if defined(__x86_64__) && defined(__LP64__)
#include "x86_64/decode.h"
#include "x86_64/syscall.h"
#include "x86_64/call.h"
#elif defined(__i386__)
#include "i386/decode.h"
#include "i386/syscall.h"
#include "i386/call.h"
#elif defined(__AARCH64EL__) && defined(__LP64__)
#include "aarch64/decode.h"
#include "aarch64/syscall.h"
#include "aarch64/call.h"
#elif defined(__ARMEL__) && defined(__ARM_EABI__)
#include "arm/decode.h"
#include "arm/syscall.h"
#include "arm/call.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "riscv64/decode.h"
#include "riscv64/syscall.h"
#include "riscv64/call.h"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#include "ppc64le/decode.h"
#include "ppc64le/syscall.h"
#include "ppc64le/call.h"
#elif defined(__s390x__)
#include "s390x/decode.h"
#include "s390x/syscall.h"
#include "s390x/call.h"
#elif defined(__MIPSEL__) && defined(_ABI64) && _MIPS_SIM == _ABI64
#include "mips64el/decode.h"
#include "mips64el/syscall.h"
#include "mips64el/call.h"
#elif defined(__loongarch_lp64)
#include "loongarch64/decode.h"
#include "loongarch64/syscall.h"
#include "loongarch64/call.h"
#else
#include "generic/decode.h"
#include "generic/syscall.h"
#endif

/* Whether the instruction that faulted makes a frame by a store to it, before the stack pointer moves. */
#ifndef ARCH_FRAME_BY_STORE
static inline bool arch_makes_frame(const ucontext_t *uc)
{
	(void)uc;
	return false;
}
#endif

/* Bit signo - 1 of a kernel signal set. */
static inline void arch_sigset_add(arch_sigset_t *set, int signo)
{
	unsigned bits = 8 * sizeof set->word[0], bit = (unsigned)signo - 1;

	set->word[bit / bits] |= 1ul << bit % bits;
}

static inline void arch_sigset_remove(arch_sigset_t *set, int signo)
{
	unsigned bits = 8 * sizeof set->word[0], bit = (unsigned)signo - 1;

	set->word[bit / bits] &= ~(1ul << bit % bits);
}

static inline bool arch_sigset_has(const arch_sigset_t *set, int signo)
{
	unsigned bits = 8 * sizeof set->word[0], bit = (unsigned)signo - 1;

	return set->word[bit / bits] >> bit % bits & 1;
}

#endif
