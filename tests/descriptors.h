/* SPDX-License-Identifier: MIT
 *
 * Finding the library's userfaultfd, for somebody who closes what is not theirs. */
#ifndef VPAGER_TESTS_DESCRIPTORS_H
#define VPAGER_TESTS_DESCRIPTORS_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first userfaultfd behind `from`, or -1. */
static inline int find_userfaultfd(int from)
{
	char path[64], name[64];

	for (int fd = from + 1; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		n = readlink(path, name, sizeof name - 1);
		name[n > 0 ? n : 0] = 0;
		if (strstr(name, "[userfaultfd]"))
			return fd;
	}
	return -1;
}

/* Which holds the file of a descriptor that is closed. */
static inline bool io_uring_works(void)
{
	struct io_uring_params params = {0};
	long ring = syscall(SYS_io_uring_setup, 1, &params);

	if (ring >= 0)
		return close((int)ring) == 0;
	printf("no io_uring here, which keeps the file: not tried\n");
	return false;
}

#endif
