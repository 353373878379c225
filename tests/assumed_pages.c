/* SPDX-License-Identifier: MIT
 *
 * A kernel with larger pages, as far as a library can tell: linked in front of a test of regions with -Wl,--wrap for each
 * function below.  VPAGER_TEST_PAGE_BYTES is the page size that sysconf tells, memory comes at multiples of it, and a call
 * that names a part of such a page ends the process, as a kernel with such pages would refuse it or do too much. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* asm-generic/mman-common.h, kernel 4.17 */
#endif

long __real_sysconf(int name);
long __wrap_sysconf(int name);
/* With 64-bit offsets glibc's mmap is mmap64, whatever the CPU; musl has the one only. */
#ifdef __GLIBC__
#define real_mmap __real_mmap64
#define wrap_mmap __wrap_mmap64
#else
#define real_mmap __real_mmap
#define wrap_mmap __wrap_mmap
#endif
void *real_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);
void *wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t len);
int __wrap_munmap(void *address, size_t len);
int __real_mprotect(void *address, size_t len, int prot);
int __wrap_mprotect(void *address, size_t len, int prot);
int __real_madvise(void *address, size_t len, int advice);
int __wrap_madvise(void *address, size_t len, int advice);
long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

static size_t page_bytes(void)
{
	static size_t cached;
	const char *value = getenv("VPAGER_TEST_PAGE_BYTES");

	if (!cached)
		cached = value ? strtoul(value, NULL, 0) : (size_t)__real_sysconf(_SC_PAGESIZE);
	return cached;
}

/* Without stdio: it may be in the signal handler. */
static void sure_of_pages(const char *call, uint64_t from, uint64_t len)
{
	char line[128];
	int n;

	if (from % page_bytes() == 0 && len % page_bytes() == 0)
		return;
	n = snprintf(line, sizeof line, "%s: %#llx, %#llx: parts of pages of %#zx bytes\n", call, (unsigned long long)from,
	             (unsigned long long)len, page_bytes());
	if (write(2, line, (size_t)n) < 0)
		_exit(100);
	_exit(101);
}

long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE ? (long)page_bytes() : __real_sysconf(name);
}

/* Takes more and gives the ends back. */
static void *map_at_multiple(size_t len, int prot, int flags, int fd, off_t offset)
{
	size_t slack = page_bytes() - (size_t)__real_sysconf(_SC_PAGESIZE);
	char *got = real_mmap(NULL, len + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;

	if (got == MAP_FAILED)
		return MAP_FAILED;
	at = (char *)(((uintptr_t)got + slack) & ~(uintptr_t)(page_bytes() - 1));
	if (at > got)
		__real_munmap(got, (size_t)(at - got));
	if (at + len < got + len + slack)
		__real_munmap(at + len, (size_t)(got + slack - at));
	return real_mmap(at, len, prot, flags | MAP_FIXED, fd, offset);
}

/* The kernel rounds lengths up, where ours are those of whole mappings. */
static size_t whole(size_t len)
{
	return (len + page_bytes() - 1) & ~(page_bytes() - 1);
}

void *wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *got;

	sure_of_pages("mmap", (uint64_t)offset, 0);
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return map_at_multiple(whole(len), prot, flags, fd, offset);
	sure_of_pages("mmap MAP_FIXED", (uintptr_t)address, 0);
	got = real_mmap(address, whole(len), prot, flags, fd, offset);
	if (got == MAP_FAILED || got == address)
		return got;
	__real_munmap(got, whole(len)); /* somebody who does not know MAP_FIXED_NOREPLACE, and smaller pages */
	errno = EEXIST;
	return MAP_FAILED;
}

int __wrap_munmap(void *address, size_t len)
{
	sure_of_pages("munmap", (uintptr_t)address, 0);
	return __real_munmap(address, whole(len));
}

int __wrap_mprotect(void *address, size_t len, int prot)
{
	sure_of_pages("mprotect", (uintptr_t)address, len);
	return __real_mprotect(address, len, prot);
}

int __wrap_madvise(void *address, size_t len, int advice)
{
	sure_of_pages("madvise", (uintptr_t)address, len);
	return __real_madvise(address, len, advice);
}

/* The core's own anonymous mappings.  On s390x mmap has its arguments in memory. */
#if defined(SYS_mmap2)
#define NR_MMAP SYS_mmap2
#else
#define NR_MMAP SYS_mmap
#endif

static long map_anonymous(size_t len, int prot, int flags)
{
	int saved = errno;
	void *got = map_at_multiple(whole(len), prot, flags, -1, 0);
	long result = got == MAP_FAILED ? -errno : (long)got;

	errno = saved;
	return result;
}

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
#ifdef __s390__
	const unsigned long *args = (const unsigned long *)a;

	if (nr == NR_MMAP && args[0] == 0)
		return args[3] & MAP_ANONYMOUS ? map_anonymous(args[1], (int)args[2], (int)args[3]) : -EINVAL; /* as below */
#else
	if (nr == NR_MMAP && a == 0)
		return d & MAP_ANONYMOUS ? map_anonymous((size_t)b, (int)c, (int)d) : -EINVAL; /* no ring is a page of that size */
#endif
	if (nr == SYS_munmap || nr == SYS_madvise) /* of a buffer of any length */
		b = (long)whole((size_t)b);
	if (nr == SYS_mprotect || nr == SYS_madvise || nr == SYS_munmap)
		sure_of_pages("a system call", (unsigned long)a, (unsigned long)b);
#if __SIZEOF_LONG__ == 8
	if (nr == SYS_fallocate)
		sure_of_pages("fallocate", (uint64_t)c, (uint64_t)d);
#endif
	return __real_sys_call(nr, a, b, c, d, e, f);
}
