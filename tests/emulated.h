/* SPDX-License-Identifier: MIT
 *
 * Whether a test runs under qemu-user, whose signal frames and system calls differ here and there from a kernel's. */
#ifndef VPAGER_TESTS_EMULATED_H
#define VPAGER_TESTS_EMULATED_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* The emulator's own name is the process's. */
static inline bool is_emulated(void)
{
	char comm[16] = "";
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, comm, sizeof comm - 1) < 0)
			comm[0] = '\0';
		close(fd);
	}
	return strncmp(comm, "qemu-", 5) == 0;
}

#endif
