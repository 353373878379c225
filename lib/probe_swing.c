/* SPDX-License-Identifier: MIT
 *
 * Whether page tables can be moved away from under a mapping (swing.c).  Never in the handler. */
#include "probe.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "runtime.h"

#define DONTUNMAP 4 /* MREMAP_DONTUNMAP of linux/mman.h, kernel 5.7; of shared memory since 5.13 */

/* What a swing leaves behind has the same memory behind it.  A 32-bit program under qemu-user finds nothing there. */
int probe_swing(const char **what)
{
	size_t page = system_page_bytes();
	char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *to;
	int err = 0;

	*what = "mmap";
	if (at == MAP_FAILED)
		return -errno;
	*at = 1;
	*what = "mremap(MREMAP_DONTUNMAP)";
	/* not the C library's, which gives the kernel any address at all with this flag (glibc 2.36) */
	to = (void *)syscall(SYS_mremap, at, page, page, MREMAP_MAYMOVE | DONTUNMAP, NULL);
	if (to == MAP_FAILED)
		err = -errno;
	else if (mprotect(at, page, PROT_READ) < 0 || *(volatile char *)at != 1)
		err = -EINVAL;
	if (to != MAP_FAILED)
		munmap(to, page);
	munmap(at, page);
	return err;
}
