/* SPDX-License-Identifier: MIT
 *
 * What this kernel, CPU, container and build can do, and what would have to change for more.  Each feature is found by
 * trying it, once, when it is first asked about; never by a version.  Not in the handler. */
#include "probe.h"
#include <errno.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/export.h"
#include "core/stack.h"
#include "runtime.h"
#include "vpager.h"

#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL of asm-generic/mman-common.h, kernel 6.13 */

/* ---- trying ---- */

static int try_mprotect(const char **what)
{
	size_t page = system_page_bytes();
	void *at = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int err;

	*what = "mmap";
	if (at == MAP_FAILED)
		return -errno;
	*what = "mprotect";
	err = mprotect(at, page, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
	munmap(at, page);
	return err;
}

static int try_memory_file(const char **what)
{
	int fd = memfd_create("vpager-probe", MFD_CLOEXEC);

	*what = "memfd_create";
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try_guard_markers(const char **what)
{
	size_t page = system_page_bytes();
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	*what = "mmap";
	if (at == MAP_FAILED)
		return -errno;
	*what = "madvise(MADV_GUARD_INSTALL)";
	err = madvise(at, page, GUARD_INSTALL) < 0 ? -errno : 0;
	if (!err && !stack_markers_close((uintptr_t)at, (uintptr_t)at + page))
		err = -EINVAL; /* an emulator, which takes it for advice that need not be followed */
	munmap(at, page);
	return err;
}

static int try_membarrier(const char **what)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	*what = "membarrier";
	if (commands < 0)
		return -errno;
	return commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED ? 0 : -EINVAL;
}

static int try_backtrace(const char **what)
{
	void *pc[1];
	int n = vpager_backtrace(pc, 1, NULL);

	*what = "vpager_backtrace";
	return n < 0 ? n : n == 0 ? -ENOTSUP : 0;
}

/* ---- what to change ---- */

struct advice {
	int error; /* 0: any other */
	const char *text;
};

#define SECCOMP "allow it in the container's seccomp profile, or run without one"
#define ADVICE_MOST 4

static const struct feature {
	uint64_t bit;
	const char *name;
	int (*try)(const char **what);
	struct advice advice[ADVICE_MOST];
} features[] = {
    {VPAGER_FEATURE_ENGINE_MPROTECT,
     "engine-mprotect",
     try_mprotect,
     {{EPERM, SECCOMP}, {0, "there is no memory to try it with"}}},
    {VPAGER_FEATURE_ENGINE_UFFD,
     "engine-uffd",
     probe_uffd,
     {{EPERM, SECCOMP},
      {ENOSYS, "a kernel with CONFIG_USERFAULTFD; if this one has it, " SECCOMP},
      {EINVAL, "a kernel that knows UFFD_USER_MODE_ONLY and write protection (5.11 does)"},
      {0, "more descriptors or memory"}}},
    {VPAGER_FEATURE_ENGINE_UFFD_THREAD,
     "engine-uffd-thread",
     probe_uffd_thread,
     {{EPERM, "sysctl vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE, or access to /dev/userfaultfd; in a container "
	      "also " SECCOMP},
      {ENOSYS, "a kernel with CONFIG_USERFAULTFD; if this one has it, " SECCOMP},
      {EINVAL, "a kernel whose userfaultfd can write-protect (5.7 does)"},
      {0, "more descriptors or memory"}}},
    {VPAGER_FEATURE_MEMORY_FILE,
     "memory-file",
     try_memory_file,
     {{EPERM, SECCOMP "; until then pages are in a file in /dev/shm or $TMPDIR"},
      {ENOSYS, SECCOMP "; until then pages are in a file in /dev/shm or $TMPDIR"},
      {0, "more descriptors or memory"}}},
    {VPAGER_FEATURE_GUARD_MARKERS,
     "guard-markers",
     try_guard_markers,
     {{EINVAL, "a kernel with MADV_GUARD_INSTALL (6.13 has it); until then each guard takes a mapping of vm.max_map_count"},
      {EPERM, SECCOMP},
      {0, "memory, or unlocked memory"}}},
    {VPAGER_FEATURE_SNAPSHOT_SWING,
     "snapshot-swing",
     probe_swing,
     {{EINVAL, "a kernel with MREMAP_DONTUNMAP of shared memory (5.13 has it); until then snapshots are armed page by page"},
      {EPERM, SECCOMP},
      {0, "memory, or room below vm.max_map_count"}}},
    {VPAGER_FEATURE_ACCESS_HARDWARE,
     "access-hardware",
     probe_access_hardware,
     {{ENOTSUP, "this CPU's faults do not say whether they were writes, or an emulator does not; nothing is lost "
		"but one fault more for a page whose first touch is a write"},
      {0, "the trial needs to make a child"}}},
    {VPAGER_FEATURE_ACCESS_DECODED,
     "access-decoded",
     probe_access,
     {{ENOTSUP, "a libvpager with a decoder for this CPU; nothing is lost but one fault more for a page whose first touch "
		"is a write"},
      {0, "the trial needs to make a child"}}},
    {VPAGER_FEATURE_BACKTRACE,
     "backtrace",
     try_backtrace,
     {{ENOTSUP, "libvpager built with libunwind (Debian package: libunwind-dev)"}, {0, "unwind tables for the program"}}},
    {VPAGER_FEATURE_MEMBARRIER,
     "membarrier",
     try_membarrier,
     {{EPERM, SECCOMP},
      {ENOSYS, "a kernel with CONFIG_MEMBARRIER; if this one has it, " SECCOMP},
      {0, "a kernel with its expedited commands"}}},
};
#define FEATURES (sizeof features / sizeof *features)

static bool will_pass(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EAGAIN;
}

/* What came of the trial of features[i]: UNTRIED, or its error and the name of what failed.  Two threads may both try; they
 * write the same.  The error is stored last (release), so whoever sees it (acquire) sees the name. */
#define UNTRIED 1
static struct {
	_Atomic(int) error;
	_Atomic(const char *) what;
} tried[FEATURES] = {[0 ... FEATURES - 1] = {UNTRIED, NULL}};

static int result_of(size_t i, const char **what)
{
	int saved = errno, err = atomic_load_explicit(&tried[i].error, memory_order_acquire);

	if (err == UNTRIED) {
		err = features[i].try(what);
		errno = saved;
		if (will_pass(err))
			return err;
		atomic_store_explicit(&tried[i].what, *what, memory_order_relaxed);
		atomic_store_explicit(&tried[i].error, err, memory_order_release);
	}
	*what = atomic_load_explicit(&tried[i].what, memory_order_relaxed);
	return err;
}

static const struct feature *find(uint64_t bit, size_t *i)
{
	for (*i = 0; *i < FEATURES; ++*i)
		if (features[*i].bit == bit)
			return &features[*i];
	return NULL;
}

static const char *advice_on(const struct feature *feature, int error)
{
	const struct advice *advice = feature->advice;

	while (advice->error && advice->error != error)
		advice++;
	return advice->text;
}

static const char *error_name(int error)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {{EPERM, "EPERM"},	 {ENOSYS, "ENOSYS"},   {EINVAL, "EINVAL"},
		     {EACCES, "EACCES"}, {ENOTSUP, "ENOTSUP"}, {ENOMEM, "ENOMEM"}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].error == error)
			return names[i].name;
	return "error";
}

/* ---- the calls ---- */

VPAGER_EXPORT uint64_t vpager_features(void)
{
	uint64_t found = 0;
	const char *what;

	for (size_t i = 0; i < FEATURES; i++)
		if (result_of(i, &what) == 0)
			found |= features[i].bit;
	return found;
}

VPAGER_EXPORT const char *vpager_feature_name(uint64_t bit)
{
	size_t i;
	const struct feature *feature = find(bit, &i);

	return feature ? feature->name : NULL;
}

VPAGER_EXPORT int vpager_feature_reason(uint64_t bit, char *text, size_t len)
{
	size_t i;
	const struct feature *feature = find(bit, &i);
	const char *what;
	int err;

	if (!feature || (len && !text))
		return -EINVAL;
	err = result_of(i, &what);
	if (err == 0)
		snprintf(text, len, "%s: works here", what);
	else
		snprintf(text, len, "%s: %s (%s); needs: %s", what, error_name(-err), strerror(-err),
			 advice_on(feature, -err));
	return 0;
}
