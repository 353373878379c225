/* SPDX-License-Identifier: MIT
 *
 * Whether userfaultfd works here: for faults of user mode, which any user may ask for unless a seccomp profile denies it:
 * the engine's own trial; and for those of system calls too, which is a privilege, by userfaultfd(2) or /dev/userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/uffd.h"
#include "probe.h"
#include "runtime.h"

#define IOC_NEW _IO(0xAA, 0x00) /* USERFAULTFD_IOC_NEW of linux/userfaultfd.h, kernel 6.1 */

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

int probe_uffd(const char **what)
{
	int err;

	*what = "userfaultfd(UFFD_USER_MODE_ONLY)";
	runtime_lock();
	err = engine_uffd_probe();
	runtime_unlock();
	return err;
}

static int open_either(int flags, const char **what)
{
	int fd = (int)syscall(SYS_userfaultfd, flags), err = -errno;

	*what = "userfaultfd";
	if (fd >= 0)
		return fd;
	fd = open_device(flags);
	return fd < 0 ? err : fd;
}

int probe_uffd_thread(const char **what)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
	int fd = open_either(O_CLOEXEC, what), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		*what = "UFFDIO_API";
		err = -errno;
	}
	close(fd);
	if (err)
		return err;
	*what = "VPAGER_ENGINE_UFFD_THREAD";
	return -ENOTSUP; /* the kernel would; there is no such engine in this library */
}
