/* SPDX-License-Identifier: MIT
 *
 * System calls of a CPU that we do not know, through the C library's syscall(), which is no cancellation point and takes no
 * lock.  Runs in the handler.  errno is put back: an interrupted program must find its own. */
#ifndef VPAGER_CORE_ARCH_GENERIC_SYSCALL_H
#define VPAGER_CORE_ARCH_GENERIC_SYSCALL_H

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = syscall(nr, a, b, c, d, e, f);

	if (result == -1) {
		result = -errno;
		errno = saved;
	}
	return result;
}

#if LONG_MAX > 0x7fffffff
#define ARCH_OFF64(x) , (long)(x)
#elif __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCH_OFF64(x) , (long)(uint32_t)(x), (long)(uint32_t)((uint64_t)(x) >> 32)
#else
#define ARCH_OFF64(x) , (long)(uint32_t)((uint64_t)(x) >> 32), (long)(uint32_t)(x)
#endif

#ifdef __mips__
typedef struct {
	unsigned long word[128 / (8 * sizeof(unsigned long))];
} arch_sigset_t;

/* struct sigaction of arch/mips/include/uapi/asm/signal.h. */
struct arch_sigaction {
	unsigned int flags;
	void (*handler)(int);
	arch_sigset_t mask;
};
#else
typedef struct {
	unsigned long word[64 / (8 * sizeof(unsigned long))];
} arch_sigset_t;

/* struct sigaction of include/uapi/asm-generic/signal.h, as CPUs without a restorer have it.  On one with a restorer the
 * kernel writes a word more than that: handler and flags are right, the mask is not, and nothing is overwritten. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	arch_sigset_t mask;
	unsigned long spare[2];
};
#endif

#endif
