/* SPDX-License-Identifier: MIT
 *
 * Whether userfaultfd works here: for faults of user mode, which any user may ask for unless a seccomp profile denies it, and
 * for those of system calls too, which is a privilege.  The two doors are userfaultfd(2) and /dev/userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "probe.h"

/* linux/userfaultfd.h of 5.11 and of 6.1; ours, since whether the kernel has them is found by trying. */
#define USER_MODE_ONLY 1
#define IOC_NEW _IO(0xAA, 0x00)
/* Faults as SIGBUS in the faulting thread; write protection. */
#define FEATURES ((uint64_t)(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP))

static int open_device(int flags)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd;

	if (device < 0)
		return -errno;
	fd = ioctl(device, IOC_NEW, flags);
	fd = fd < 0 ? -errno : fd;
	close(device);
	return fd;
}

static int open_either(int flags, const char **what)
{
	int fd = (int)syscall(SYS_userfaultfd, flags), err = -errno;

	*what = flags & USER_MODE_ONLY ? "userfaultfd(UFFD_USER_MODE_ONLY)" : "userfaultfd";
	if (fd >= 0)
		return fd;
	fd = open_device(flags);
	return fd < 0 ? err : fd;
}

static int try_features(int flags, uint64_t features, const char **what)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int fd = open_either(flags, what), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		*what = "UFFDIO_API";
		err = -errno;
	}
	close(fd);
	return err;
}

int probe_uffd(const char **what)
{
	return try_features(O_CLOEXEC | USER_MODE_ONLY, FEATURES, what);
}

int probe_uffd_thread(const char **what)
{
	return try_features(O_CLOEXEC, FEATURES & ~(uint64_t)UFFD_FEATURE_SIGBUS, what);
}
