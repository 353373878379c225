/* SPDX-License-Identifier: MIT
 *
 * System calls by name.  Runs in the handler: errno is never touched, nothing is a cancellation point.  The kernel's own
 * conventions for 32-bit CPUs (64-bit offsets in two registers) stay inside this file. */
#include "sys.h"
#include <errno.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

/* sys_call with the arguments that are left out as zeros. */
#define CALL(...) CALL7(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL7(nr, a, b, c, d, e, f, ...)                                                                              \
	sys_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* CPUs that came after the year-2038 work have only the second name; without a timeout the two calls are one. */
#ifdef SYS_futex
#define NR_FUTEX SYS_futex
#else
#define NR_FUTEX SYS_futex_time64
#endif

int sys_mprotect(void *addr, size_t len, int prot)
{
	return (int)CALL(SYS_mprotect, addr, len, prot);
}

int sys_madvise(void *addr, size_t len, int advice)
{
	int err = (int)CALL(SYS_madvise, addr, len, advice);

	return err == -EAGAIN ? -ENOMEM : err; /* out of mappings, or of memory for them (mm/madvise.c) */
}

void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, int64_t offset)
{
#if defined(SYS_mmap2)
	/* counts in units of 4096 bytes whatever the page size, so the kernel cannot see an offset that is no multiple */
	if (offset & 4095)
		return (void *)(intptr_t)-EINVAL;
	if (offset < 0 || offset >> 12 > (int64_t)(unsigned long)-1)
		return (void *)(intptr_t)-EOVERFLOW;
	return (void *)CALL(SYS_mmap2, addr, len, prot, flags, fd, offset >> 12);
#elif defined(ARCH_MMAP_BY_POINTER)
	unsigned long args[6] = {(unsigned long)addr,  len, (unsigned long)prot, (unsigned long)flags,
	                         (unsigned long)fd, (unsigned long)offset};

	return (void *)CALL(SYS_mmap, args);
#else
	return (void *)CALL(SYS_mmap, addr, len, prot, flags, fd, offset);
#endif
}

int sys_munmap(void *addr, size_t len)
{
	return (int)CALL(SYS_munmap, addr, len);
}

int sys_fallocate(int fd, int mode, int64_t offset, int64_t len)
{
	return (int)CALL(SYS_fallocate, fd, mode ARCH_OFF64(offset) ARCH_OFF64(len));
}

#if __SIZEOF_LONG__ == 8
ssize_t sys_pread(int fd, void *buf, size_t len, int64_t offset)
{
	return CALL(SYS_pread64, fd, buf, len, offset);
}

ssize_t sys_pwrite(int fd, const void *buf, size_t len, int64_t offset)
{
	return CALL(SYS_pwrite64, fd, buf, len, offset);
}
#else
/* pread64 wants its offset in an aligned pair of registers on some CPUs and in the CPU's byte order; preadv has it as a low
 * and a high word on all of them (preadv(2), "C library/kernel differences"). */
ssize_t sys_pread(int fd, void *buf, size_t len, int64_t offset)
{
	struct iovec iov = {buf, len};

	return CALL(SYS_preadv, fd, &iov, 1, (uint32_t)offset, (uint32_t)((uint64_t)offset >> 32));
}

ssize_t sys_pwrite(int fd, const void *buf, size_t len, int64_t offset)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};

	return CALL(SYS_pwritev, fd, &iov, 1, (uint32_t)offset, (uint32_t)((uint64_t)offset >> 32));
}
#endif

ssize_t sys_write(int fd, const void *buf, size_t len)
{
	return CALL(SYS_write, fd, buf, len);
}

int sys_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected)
{
	return (int)CALL(NR_FUTEX, word, FUTEX_WAIT_PRIVATE, expected);
}

int sys_futex_wake(const _Atomic(uint32_t) *word, int n)
{
	return (int)CALL(NR_FUTEX, word, FUTEX_WAKE_PRIVATE, n);
}

void sys_nap(void)
{
#ifdef SYS_nanosleep
	const struct __kernel_old_timespec time = {0, 1000000};

	(void)CALL(SYS_nanosleep, &time); /* short or not at all is no harm */
#else
	const struct __kernel_timespec time = {0, 1000000};

	(void)CALL(SYS_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &time);
#endif
}

int sys_gettid(void)
{
	return (int)CALL(SYS_gettid, 0);
}

int sys_getpid(void)
{
	return (int)CALL(SYS_getpid, 0);
}

int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)CALL(SYS_ioctl, fd, request, arg);
}

int sys_userfaultfd(int flags)
{
	return (int)CALL(SYS_userfaultfd, flags);
}

int sys_close(int fd)
{
	return (int)CALL(SYS_close, fd, 0);
}

int sys_sigmask(int how, const arch_sigset_t *set, arch_sigset_t *old)
{
	return (int)CALL(SYS_rt_sigprocmask, how, set, old, sizeof *set);
}

int sys_sigaction(int signo, const struct arch_sigaction *action, struct arch_sigaction *old)
{
	return (int)CALL(SYS_rt_sigaction, signo, action, old, sizeof action->mask);
}

int sys_tgsigqueueinfo(int pid, int tid, int signo, const siginfo_t *info)
{
	return (int)CALL(SYS_rt_tgsigqueueinfo, pid, tid, signo, info);
}

int sys_sigaltstack(const stack_t *stack)
{
	return (int)CALL(SYS_sigaltstack, stack, NULL);
}

int64_t sys_file_size(int fd)
{
	struct statx st; /* the one layout that is the same on every CPU: statx(2), kernel 4.11 */
	long err;

	memset(&st, 0, sizeof st);
	err = CALL(SYS_statx, fd, "", 0x1000 /* AT_EMPTY_PATH */, STATX_SIZE, &st);
	return err < 0 ? err : (int64_t)st.stx_size;
}
