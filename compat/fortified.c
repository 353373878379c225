/* SPDX-License-Identifier: MIT
 *
 * What programs built with _FORTIFY_SOURCE call instead: the same functions, with the size of the buffer as one argument
 * more.  A length beyond it is for the C library's own to end the program over. */
#include "syscalls.h"
#include <poll.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define CHECKED(result, name, params, chk_args, args, len, room)                                                            \
	result __##name##_chk params;                                                                                       \
	EXPORT result __##name##_chk params                                                                                 \
	{                                                                                                                   \
		return (len) > (room) ? REAL(__##name##_chk) chk_args : name args;                                          \
	}

CHECKED(ssize_t, read, (int fd, void *buf, size_t len, size_t room), (fd, buf, len, room), (fd, buf, len), len, room)
CHECKED(ssize_t, pread, (int fd, void *buf, size_t len, off_t off, size_t room), (fd, buf, len, off, room),
	(fd, buf, len, off), len, room)
CHECKED(ssize_t, pread64, (int fd, void *buf, size_t len, off64_t off, size_t room), (fd, buf, len, off, room),
	(fd, buf, len, off), len, room)
CHECKED(ssize_t, recv, (int fd, void *buf, size_t len, size_t room, int flags), (fd, buf, len, room, flags),
	(fd, buf, len, flags), len, room)
CHECKED(ssize_t, recvfrom,
	(int fd, void *buf, size_t len, size_t room, int flags, struct sockaddr *from, socklen_t *from_len),
	(fd, buf, len, room, flags, from, from_len), (fd, buf, len, flags, from, from_len), len, room)
CHECKED(ssize_t, readlink, (const char *path, char *buf, size_t len, size_t room), (path, buf, len, room), (path, buf, len),
	len, room)
CHECKED(ssize_t, readlinkat, (int fd, const char *path, char *buf, size_t len, size_t room), (fd, path, buf, len, room),
	(fd, path, buf, len), len, room)
CHECKED(char *, getcwd, (char *buf, size_t len, size_t room), (buf, len, room), (buf, len), len, room)
CHECKED(int, poll, (struct pollfd * fds, nfds_t n, int timeout, size_t room), (fds, n, timeout, room), (fds, n, timeout), n,
	room / sizeof *fds)
CHECKED(size_t, fread, (void *at, size_t room, size_t size, size_t n, FILE *stream), (at, room, size, n, stream),
	(at, size, n, stream), n, size ? room / size : SIZE_MAX)
CHECKED(size_t, fread_unlocked, (void *at, size_t room, size_t size, size_t n, FILE *stream), (at, room, size, n, stream),
	(at, size, n, stream), n, size ? room / size : SIZE_MAX)
