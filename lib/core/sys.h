/* SPDX-License-Identifier: MIT
 *
 * System calls for code that may run in the signal handler: raw, errno untouched, negative errno returned.  All of them go
 * through sys_call, one symbol, which tests wrap to make the n-th call fail. */
#ifndef VPAGER_CORE_SYS_H
#define VPAGER_CORE_SYS_H

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "arch/arch.h"

long sys_call(long nr, long a, long b, long c, long d, long e, long f);

int sys_mprotect(void *addr, size_t len, int prot);
int sys_madvise(void *addr, size_t len, int advice);
void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, int64_t offset); /* (void *)-errno on failure: sys_is_error */
int sys_munmap(void *addr, size_t len);
int sys_fallocate(int fd, int mode, int64_t offset, int64_t len);
ssize_t sys_pread(int fd, void *buf, size_t len, int64_t offset);
ssize_t sys_pwrite(int fd, const void *buf, size_t len, int64_t offset);
int64_t sys_file_size(int fd); /* of a regular file */
ssize_t sys_write(int fd, const void *buf, size_t len);
int sys_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected); /* 0, -EAGAIN or -EINTR; never a timeout */
int sys_futex_wake(const _Atomic(uint32_t) *word, int n);
void sys_nap(void); /* about a millisecond */
int sys_gettid(void);
int sys_getpid(void);
int sys_ioctl(int fd, unsigned long request, void *arg);
int sys_userfaultfd(int flags);
int sys_close(int fd);

/* Signal sets are the kernel's 64 (or 128) bits, as arch_sigset_t. */
int sys_sigmask(int how, const arch_sigset_t *set, arch_sigset_t *old);
int sys_sigaction(int signo, const struct arch_sigaction *action, struct arch_sigaction *old);
int sys_sigaltstack(const stack_t *stack);
int sys_tgsigqueueinfo(int pid, int tid, int signo, const siginfo_t *info);

static inline int sys_is_error(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)-4095;
}

#endif
