/* SPDX-License-Identifier: MIT
 *
 * Calls on files and streams of bytes. */
#include "syscalls.h"
#include <dirent.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* A call whose one buffer is held and which is then the original's. */
#define CALL(result, name, params, args, held)                                                                              \
	EXPORT result name params                                                                                           \
	{                                                                                                                   \
		HOLD(hold);                                                                                                 \
		return (held) ? REAL(name) args : (result)-1;                                                               \
	}
#define BUF(at, len) hold_buffer(&hold, at, len, true)
#define BYTES(at, len) hold_buffer(&hold, at, len, false)

/* ---- read and write ---- */

static ssize_t early_read(int fd, void *buf, size_t len)
{
	return syscall(SYS_read, fd, buf, len);
}

static ssize_t early_write(int fd, const void *buf, size_t len)
{
	return syscall(SYS_write, fd, buf, len);
}

static ssize_t read_once(const struct transfer *t, void *at, size_t len, size_t done)
{
	(void)done;
	return REAL_OR(read, early_read)(t->fd, at, len);
}

static ssize_t write_once(const struct transfer *t, void *at, size_t len, size_t done)
{
	(void)done;
	return REAL_OR(write, early_write)(t->fd, at, len);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	HOLD(hold);
	if (BUF(buf, len))
		return REAL_OR(read, early_read)(fd, buf, len);
	return errno == ENOMEM
		   ? transfer_in_pieces(&(struct transfer){.once = read_once, .fd = fd, .for_write = true}, buf, len)
		   : -1;
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	HOLD(hold);
	if (BYTES(buf, len))
		return REAL_OR(write, early_write)(fd, buf, len);
	return errno == ENOMEM ? transfer_in_pieces(&(struct transfer){.once = write_once, .fd = fd, .all = true},
						    (void *)(uintptr_t)buf, len)
			       : -1;
}

/* ---- at an offset: on 32-bit CPUs off_t is the smaller of two ---- */

#define AT_OFFSET(bits, off)                                                                                                \
	static ssize_t pread##bits##_once(const struct transfer *t, void *at, size_t len, size_t done)                      \
	{                                                                                                                   \
		return REAL(pread##bits)(t->fd, at, len, (off)(t->offset + (int64_t)done));                                 \
	}                                                                                                                   \
	static ssize_t pwrite##bits##_once(const struct transfer *t, void *at, size_t len, size_t done)                     \
	{                                                                                                                   \
		return REAL(pwrite##bits)(t->fd, at, len, (off)(t->offset + (int64_t)done));                                \
	}                                                                                                                   \
	EXPORT ssize_t pread##bits(int fd, void *buf, size_t len, off offset)                                               \
	{                                                                                                                   \
		struct transfer t = {.once = pread##bits##_once, .fd = fd, .offset = offset, .for_write = true};            \
		HOLD(hold);                                                                                                 \
		if (BUF(buf, len))                                                                                          \
			return REAL(pread##bits)(fd, buf, len, offset);                                                     \
		return errno == ENOMEM ? transfer_in_pieces(&t, buf, len) : -1;                                             \
	}                                                                                                                   \
	EXPORT ssize_t pwrite##bits(int fd, const void *buf, size_t len, off offset)                                        \
	{                                                                                                                   \
		struct transfer t = {.once = pwrite##bits##_once, .fd = fd, .offset = offset, .all = true};                 \
		HOLD(hold);                                                                                                 \
		if (BYTES(buf, len))                                                                                        \
			return REAL(pwrite##bits)(fd, buf, len, offset);                                                    \
		return errno == ENOMEM ? transfer_in_pieces(&t, (void *)(uintptr_t)buf, len) : -1;                          \
	}
AT_OFFSET(, off_t)
AT_OFFSET(64, off64_t)

/* ---- vectors ---- */

/* After hold_vector held `held` of n buffers: how many to transfer for now, -1 for none.  `one` is then as much of the first
 * that is not empty as fits, if not even that did. */
static int part_of_vector(int fd, struct hold *hold, const struct iovec *iov, int n, int held, bool for_write,
			  struct iovec *one)
{
	size_t bytes = 0;
	int first = 0;

	if (held < 0 || errno != ENOMEM || !is_stream(fd))
		return -1;
	for (int i = 0; i < held; i++)
		bytes += iov[i].iov_len;
	if (bytes)
		return held;
	while (first < n && iov[first].iov_len == 0)
		first++;
	*one = iov[first];
	while (one->iov_len && !hold_pin(hold, one->iov_base, one->iov_len, for_write))
		one->iov_len = errno == ENOMEM ? one->iov_len / 2 : 0;
	return one->iov_len ? 0 : -1;
}

#define VECTOR(name, write, params, iov, n, ...)                                                                            \
	EXPORT ssize_t name params                                                                                          \
	{                                                                                                                   \
		struct iovec one;                                                                                           \
		HOLD(hold);                                                                                                 \
		int part = hold_vector(&hold, iov, n, write);                                                               \
		if (part == n)                                                                                              \
			return REAL(name)(fd, iov, n __VA_OPT__(,) __VA_ARGS__);                                           \
		part = part_of_vector(fd, &hold, iov, n, part, write, &one);                                                \
		if (part < 0)                                                                                               \
			return -1;                                                                                          \
		return part ? REAL(name)(fd, iov, part __VA_OPT__(,) __VA_ARGS__)                                          \
			    : REAL(name)(fd, &one, 1 __VA_OPT__(,) __VA_ARGS__);                                           \
	}
VECTOR(readv, true, (int fd, const struct iovec *iov, int n), iov, n)
VECTOR(writev, false, (int fd, const struct iovec *iov, int n), iov, n)
VECTOR(preadv, true, (int fd, const struct iovec *iov, int n, off_t offset), iov, n, offset)
VECTOR(pwritev, false, (int fd, const struct iovec *iov, int n, off_t offset), iov, n, offset)
VECTOR(preadv64, true, (int fd, const struct iovec *iov, int n, off64_t offset), iov, n, offset)
VECTOR(pwritev64, false, (int fd, const struct iovec *iov, int n, off64_t offset), iov, n, offset)
VECTOR(preadv2, true, (int fd, const struct iovec *iov, int n, off_t offset, int flags), iov, n, offset, flags)
VECTOR(pwritev2, false, (int fd, const struct iovec *iov, int n, off_t offset, int flags), iov, n, offset, flags)
VECTOR(preadv64v2, true, (int fd, const struct iovec *iov, int n, off64_t offset, int flags), iov, n, offset, flags)
VECTOR(pwritev64v2, false, (int fd, const struct iovec *iov, int n, off64_t offset, int flags), iov, n, offset, flags)

/* ---- what else fills a buffer ---- */

static ssize_t getrandom_once(const struct transfer *t, void *at, size_t len, size_t done)
{
	(void)done;
	return REAL(getrandom)(at, len, (unsigned)t->flags);
}

EXPORT ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	struct transfer t = {.once = getrandom_once, .fd = -1, .flags = (int)flags, .for_write = true};
	HOLD(hold);
	if (BUF(buf, len))
		return REAL(getrandom)(buf, len, flags);
	return errno == ENOMEM ? transfer_in_pieces(&t, buf, len) : -1;
}

CALL(ssize_t, getdents64, (int fd, void *buf, size_t len), (fd, buf, len), BUF(buf, len))
CALL(ssize_t, readlink, (const char *restrict path, char *restrict buf, size_t len), (path, buf, len),
     hold_string(&hold, path) && BUF(buf, len))
CALL(ssize_t, readlinkat, (int fd, const char *restrict path, char *restrict buf, size_t len), (fd, path, buf, len),
     hold_string(&hold, path) && BUF(buf, len))

EXPORT char *getcwd(char *buf, size_t len)
{
	HOLD(hold);
	return BUF(buf, buf ? len : 0) ? REAL(getcwd)(buf, len) : NULL;
}

CALL(int, stat, (const char *restrict path, struct stat *restrict buf), (path, buf),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, lstat, (const char *restrict path, struct stat *restrict buf), (path, buf),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, fstat, (int fd, struct stat *buf), (fd, buf), BUF(buf, sizeof *buf))
CALL(int, fstatat, (int fd, const char *restrict path, struct stat *restrict buf, int flags), (fd, path, buf, flags),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, stat64, (const char *restrict path, struct stat64 *restrict buf), (path, buf),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, lstat64, (const char *restrict path, struct stat64 *restrict buf), (path, buf),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, fstat64, (int fd, struct stat64 *buf), (fd, buf), BUF(buf, sizeof *buf))
CALL(int, fstatat64, (int fd, const char *restrict path, struct stat64 *restrict buf, int flags), (fd, path, buf, flags),
     hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, statx, (int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict buf),
     (fd, path, flags, mask, buf), hold_string(&hold, path) && BUF(buf, sizeof *buf))
CALL(int, pipe, (int fds[2]), (fds), BUF(fds, 2 * sizeof *fds))
CALL(int, pipe2, (int fds[2], int flags), (fds, flags), BUF(fds, 2 * sizeof *fds))
