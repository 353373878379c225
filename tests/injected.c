/* SPDX-License-Identifier: MIT
 *
 * Stands between the library and the system, at both of its doors: sys_call, and the C library.  A call that fails here has done
 * nothing, as with the kernel. */
#include "injected.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

static _Atomic(int) armed = -1; /* an enum injected */
static _Atomic(int) left;       /* calls until the one that fails */
static _Atomic(bool) goes_on, hit;
static _Atomic(long) allocations;

static const struct {
	const char *name;
	int error;
} kinds[INJECT_KINDS] = {
    [INJECT_MMAP] = {"mmap", ENOMEM},           [INJECT_MPROTECT] = {"mprotect", ENOMEM},
    [INJECT_MADVISE] = {"madvise", ENOMEM},     [INJECT_IOCTL] = {"ioctl", ENOMEM},
    [INJECT_PREAD] = {"pread", EIO},            [INJECT_PWRITE] = {"pwrite", ENOSPC},
    [INJECT_FALLOCATE] = {"fallocate", ENOSPC}, [INJECT_MEMORY_FILE] = {"memory file", ENOMEM},
    [INJECT_DESCRIPTOR] = {"descriptor", EMFILE}, [INJECT_THREAD] = {"thread", EAGAIN},
    [INJECT_MALLOC] = {"malloc", ENOMEM},
};

const char *inject_name(enum injected kind)
{
	return kinds[kind].name;
}

void inject_arm(enum injected kind, unsigned int n, bool on)
{
	hit = false;
	goes_on = on;
	left = (int)n;
	armed = (int)kind;
}

bool inject_disarm(void)
{
	armed = -1;
	return hit;
}

bool inject_hit(void)
{
	return hit;
}

long inject_allocations(void)
{
	return allocations;
}

/* The error of this call, or 0: it goes through. */
static int fails(enum injected kind)
{
	int before;

	if (armed != (int)kind)
		return 0;
	before = left--;
	if (before > 1 || (before < 1 && !goes_on))
		return 0;
	hit = true;
	return kinds[kind].error;
}

/* ---- the core's door ---- */

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

static enum injected kind_of(long nr)
{
	switch (nr) {
#ifdef SYS_mmap
	case SYS_mmap:
#endif
#ifdef SYS_mmap2
	case SYS_mmap2:
#endif
#ifdef SYS_mremap
	case SYS_mremap:
#endif
		return INJECT_MMAP;
	case SYS_mprotect:
		return INJECT_MPROTECT;
	case SYS_madvise:
		return INJECT_MADVISE;
	case SYS_ioctl:
		return INJECT_IOCTL;
	case SYS_pread64:
		return INJECT_PREAD;
	case SYS_pwrite64:
		return INJECT_PWRITE;
	case SYS_fallocate:
		return INJECT_FALLOCATE;
#ifdef SYS_userfaultfd
	case SYS_userfaultfd:
#endif
#ifdef SYS_io_uring_setup
	case SYS_io_uring_setup:
	case SYS_io_uring_register:
#endif
		return INJECT_DESCRIPTOR;
	default:
		return INJECT_KINDS;
	}
}

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	enum injected kind = kind_of(nr);
	int error = kind == INJECT_KINDS ? 0 : fails(kind);

	return error ? -error : __real_sys_call(nr, a, b, c, d, e, f);
}

/* ---- the C library ---- */

#define REFUSED(kind, result)                                                                                               \
	do {                                                                                                                \
		int error = fails(kind);                                                                                    \
		if (error) {                                                                                                \
			errno = error;                                                                                      \
			return result;                                                                                      \
		}                                                                                                           \
	} while (0)

/* With 64-bit offsets some names end in 64, and where offsets have always been that long, not every C library has both. */
#ifdef __LP64__
#define REAL(name) __real_##name
#else
#define REAL(name) __real_##name##64
#endif

void *REAL(mmap)(void *address, size_t len, int prot, int flags, int fd, off_t offset);
int __real_mprotect(void *address, size_t len, int prot);
int __real_madvise(void *address, size_t len, int advice);
int __real_memfd_create(const char *name, unsigned int flags);
int REAL(ftruncate)(int fd, off_t length);
int __real_pipe2(int fd[2], int flags);
int REAL(fcntl)(int fd, int command, ...);
int REAL(open)(const char *path, int flags, ...);
int REAL(mkostemp)(char *path, int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);

void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_mprotect(void *address, size_t len, int prot);
int __wrap_madvise(void *address, size_t len, int advice);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __wrap_ftruncate(int fd, off_t length);
int __wrap_ftruncate64(int fd, off_t length);
int __wrap_pipe2(int fd[2], int flags);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_mkostemp(char *path, int flags);
int __wrap_mkostemp64(char *path, int flags);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	REFUSED(INJECT_MMAP, MAP_FAILED);
	return REAL(mmap)(address, len, prot, flags, fd, offset);
}

void *__wrap_mmap64(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	return __wrap_mmap(address, len, prot, flags, fd, offset);
}

int __wrap_mprotect(void *address, size_t len, int prot)
{
	REFUSED(INJECT_MPROTECT, -1);
	return __real_mprotect(address, len, prot);
}

int __wrap_madvise(void *address, size_t len, int advice)
{
	if (advice != -1) /* no kernel takes that: it tells emulators */
		REFUSED(INJECT_MADVISE, -1);
	return __real_madvise(address, len, advice);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	REFUSED(INJECT_MEMORY_FILE, -1);
	return __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t length)
{
	REFUSED(INJECT_MEMORY_FILE, -1);
	return REAL(ftruncate)(fd, length);
}

int __wrap_ftruncate64(int fd, off_t length)
{
	return __wrap_ftruncate(fd, length);
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t); /* there or not, it is only passed on */
	va_end(args);
	REFUSED(INJECT_MEMORY_FILE, -1);
	return REAL(open)(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return __wrap_open(path, flags, mode);
}

int __wrap_mkostemp(char *path, int flags)
{
	REFUSED(INJECT_MEMORY_FILE, -1);
	return REAL(mkostemp)(path, flags);
}

int __wrap_mkostemp64(char *path, int flags)
{
	return __wrap_mkostemp(path, flags);
}

int __wrap_pipe2(int fd[2], int flags)
{
	REFUSED(INJECT_DESCRIPTOR, -1);
	return __real_pipe2(fd, flags);
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	REFUSED(INJECT_DESCRIPTOR, -1);
	return REAL(fcntl)(fd, command, arg);
}

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return __wrap_fcntl(fd, command, arg);
}

static _Atomic(bool) hold_threads;
static _Atomic(int) held_threads;

void inject_hold_threads(bool hold)
{
	hold_threads = hold;
}

int inject_held_threads(void)
{
	return held_threads;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int error = fails(INJECT_THREAD);

	held_threads++;
	while (hold_threads)
		sched_yield();
	held_threads--;
	return error ? error : __real_pthread_create(thread, attr, fn, arg);
}

static void *counted(void *p)
{
	allocations += p != NULL;
	return p;
}

void *__wrap_malloc(size_t size)
{
	REFUSED(INJECT_MALLOC, NULL);
	return counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	REFUSED(INJECT_MALLOC, NULL);
	return counted(__real_calloc(n, size));
}

void __wrap_free(void *p)
{
	allocations -= p != NULL;
	__real_free(p);
}
