/* SPDX-License-Identifier: MIT
 *
 * The userfaultfd's system calls, with what they leave half done finished, and the trial of the whole thing.  See
 * ioctl_userfaultfd(2). */
#include "uffd.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "sys.h"

/* linux/userfaultfd.h since kernel 5.11; linux/mman.h since 5.18 */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* linux/userfaultfd.h since kernel 6.8 */
struct move {
	uint64_t to, from, len, mode;
	int64_t moved;
};
#define MOVE _IOWR(UFFDIO, 0x05, struct move)
#define MOVE_DONTWAKE 1

/* linux/userfaultfd.h since kernel 6.1 */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#define KINDS 2
static const struct {
	int flags;
	uint64_t features, welcome; /* welcome: it works without */
} kinds[KINDS] = {
    [UFFD_SIGNAL] = {O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS,
                     UFFD_FEATURE_EVENT_REMAP},
    [UFFD_READ] = {O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID, 0},
};
static bool tells_moves; /* the shared one of UFFD_SIGNAL does */
static _Atomic(bool) replaced; /* it is not the one that the older regions are registered with: nobody can read what that one tells */
#define IOCTLS (1ull << _UFFDIO_COPY | 1ull << _UFFDIO_WRITEPROTECT)

/* The shared descriptors, then those of a trial.  Changes while threads use it only if it is found closed: relaxed, for whoever
 * uses an older number is told so by the kernel, and comes back. */
#define TRIAL(kind) ((enum uffd_kind)(KINDS + (kind)))
static _Atomic(int) descriptor[2 * KINDS] = {-1, -1, -1, -1};

int uffd_descriptor(enum uffd_kind kind)
{
	return atomic_load_explicit(&descriptor[kind], memory_order_relaxed);
}

/* The kernel wipes this page in every child, also in one that no fork handler runs in: *mine is not 0 in the process whose
 * memory the descriptor is about. */
static const uint32_t *mine;

static size_t kept_bytes;
/* What holds the first userfaultfd open whatever becomes of its descriptor; or NULL.  Changes under the runtime lock; relaxed, for it
 * only says whether to try. */
static void *_Atomic kept;

static int reopen(int closed);

/* -EBADF: somebody has closed the descriptor, and it is another file's by now, or nobody's. */
static int command(enum uffd_kind kind, unsigned long request, void *arg)
{
	int fd = uffd_descriptor(kind), err = sys_ioctl(fd, request, arg);

	if (err == -ENOTTY)
		err = -EBADF;
	if (err != -EBADF || kind != UFFD_SIGNAL || !atomic_load_explicit(&kept, memory_order_relaxed))
		return err;
	fd = reopen(fd);
	return fd < 0 ? err : sys_ioctl(fd, request, arg);
}

int uffd_register(enum uffd_kind kind, uintptr_t at, size_t len)
{
	struct uffdio_register it = {
	    .range = {at, len},
	    .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	int err = command(kind, UFFDIO_REGISTER, &it);

	return err ? err : (it.ioctls & IOCTLS) == IOCTLS ? 0 : -EINVAL;
}

/* EAGAIN: the process's mappings are changing, to the kernel, while a region's pages are moved away and until the event of it was
 * read, which is done by a thread that this one may be keeping from a CPU.  Nothing else makes it last. */
#define YIELDS 64
#define NAPS 10000

static bool patient(int *tries)
{
	if (++*tries <= YIELDS)
		(void)sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	else
		sys_nap();
	return *tries < YIELDS + NAPS;
}

int uffd_copy(enum uffd_kind kind, uintptr_t to, const void *from, size_t len, size_t step, bool protected, size_t *done)
{
	size_t most = len;
	int tries = 0;

	*done = 0;
	if (!*mine)
		return -ESTALE;
	while (*done < len) {
		struct uffdio_copy copy = {
		    .dst = to + *done,
		    .src = (uintptr_t)from + *done,
		    .len = len - *done < most ? len - *done : most,
		    .mode = UFFDIO_COPY_MODE_DONTWAKE | (protected ? UFFDIO_COPY_MODE_WP : 0),
		};
		int err = command(kind, UFFDIO_COPY, &copy);

		if (copy.copy > 0) { /* all, or with EAGAIN a part */
			*done += (size_t)copy.copy;
			tries = 0;
		} else if (err == -ENOENT && most > step) {
			most = step; /* from one mapping into the next */
		} else if (err != -EAGAIN || !patient(&tries)) {
			return err ? err : -EIO;
		}
	}
	return 0;
}

int uffd_move(enum uffd_kind kind, uintptr_t to, uintptr_t from, size_t len, size_t *done)
{
	int tries = 0;

	*done = 0;
	if (!*mine)
		return -ESTALE;
	while (*done < len) {
		struct move move = {.to = to + *done, .from = from + *done, .len = len - *done, .mode = MOVE_DONTWAKE};
		int err = command(kind, MOVE, &move);

		if (move.moved > 0) { /* all, or with EAGAIN a part */
			*done += (size_t)move.moved;
			tries = 0;
		} else if (err != -EAGAIN || !patient(&tries)) {
			return err ? err : -EIO;
		}
	}
	return 0;
}

int uffd_protect(enum uffd_kind kind, uintptr_t at, size_t len, bool protected)
{
	struct uffdio_writeprotect it = {
	    .range = {at, len},
	    .mode = protected ? UFFDIO_WRITEPROTECT_MODE_WP : UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
	};
	int err, tries = 0;

	if (!*mine)
		return -ESTALE;
	do
		err = command(kind, UFFDIO_WRITEPROTECT, &it);
	while (err == -EAGAIN && patient(&tries));
	return err;
}

void uffd_wake(enum uffd_kind kind, uintptr_t at, size_t len)
{
	struct uffdio_range range = {at, len};

	(void)command(kind, UFFDIO_WAKE, &range); /* it knows no error but a wrong range */
}

int uffd_forget(uintptr_t at, size_t len)
{
	int err = sys_madvise((void *)at, len, MADV_DONTNEED);

	if (err == -EINVAL) /* after mlockall */
		err = sys_madvise((void *)at, len, MADV_DONTNEED_LOCKED);
	return err;
}

/* ---- the descriptor ---- */

/* What the system call denies, the owner of the device may allow. */
static int make_by_device(int flags)
{
	int device = (int)sys_call(SYS_openat, AT_FDCWD, (long)"/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0, 0, 0), fd;

	if (device < 0)
		return device;
	fd = (int)sys_call(SYS_ioctl, device, USERFAULTFD_IOC_NEW, flags, 0, 0, 0);
	sys_close(device);
	return fd;
}

static int make_bare(enum uffd_kind kind)
{
	int err = sys_userfaultfd(kinds[kind].flags), fd;

	if (err >= 0 || kind != UFFD_READ)
		return err;
	fd = make_by_device(kinds[kind].flags);
	return fd < 0 ? err : fd;
}

static int make_with(enum uffd_kind kind, uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int fd = make_bare(kind), err;

	if (fd < 0)
		return fd;
	err = sys_ioctl(fd, UFFDIO_API, &api);
	if (!err && (api.features & features) != features)
		err = -EINVAL;
	if (!err)
		return fd;
	sys_close(fd);
	return err;
}

static int make(enum uffd_kind kind, bool *all)
{
	int fd = make_with(kind, kinds[kind].features | kinds[kind].welcome);

	*all = fd >= 0;
	return fd == -EINVAL && kinds[kind].welcome ? make_with(kind, kinds[kind].features) : fd;
}

static int make_mine(void)
{
	size_t bytes = (size_t)64 << 10; /* a whole number of pages on every CPU */
	void *page = (void *)(uintptr_t)mine;

	if (!page) {
		page = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (sys_is_error(page))
			return -ENOMEM;
		if (sys_madvise(page, bytes, MADV_WIPEONFORK)) {
			sys_munmap(page, bytes);
			return -EINVAL;
		}
	}
	*(uint32_t *)page = 1;
	mine = page; /* kept for the life of the process */
	return 0;
}

static bool is_userfaultfd(int fd)
{
	struct uffdio_range nobody = {(uintptr_t)mine, (size_t)64 << 10}; /* waits there, or is woken */
	int err = sys_ioctl(fd, UFFDIO_WAKE, &nobody);

	return err != -EBADF && err != -ENOTTY;
}

/* Daemons close all descriptors that they do not know, and with its last one a userfaultfd gives its pages up: they would be zeros
 * without a word.  So the mapping of an io_uring holds the ring, and the ring the file.  Where there is no io_uring nothing is kept,
 * and nothing else depends on it. */
static void keep(int fd, size_t page_bytes)
{
	struct io_uring_params params = {0};
	int ring = (int)sys_call(SYS_io_uring_setup, 1, (long)&params, 0, 0, 0, 0);
	void *at;

	if (ring < 0)
		return;
	if (sys_call(SYS_io_uring_register, ring, IORING_REGISTER_FILES, (long)&fd, 1, 0, 0) == 0) {
		at = sys_mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, ring, IORING_OFF_SQ_RING);
		if (!sys_is_error(at) && sys_madvise(at, page_bytes, MADV_DONTFORK)) /* a child has no business with it */
			(void)sys_munmap(at, page_bytes); /* what was just mapped */
		else if (!sys_is_error(at))
			atomic_store_explicit(&kept, at, memory_order_relaxed);
		kept_bytes = page_bytes;
	}
	sys_close(ring);
}

/* For a descriptor that is found closed while its file is kept: the kernel asks whether pages are registered, not with which
 * userfaultfd of the process (validate_dst_vma in mm/userfaultfd.c), so another one does.  In the handler.  Of two threads that find
 * out together each may make one, and only the last is closed in the end. */
static int reopen(int closed)
{
	bool all;
	int fd = make(UFFD_SIGNAL, &all), now = closed;

	atomic_store_explicit(&replaced, true, memory_order_relaxed);
	if (fd < 0 || atomic_compare_exchange_strong_explicit(&descriptor[UFFD_SIGNAL], &now, fd, memory_order_relaxed,
	                                                      memory_order_relaxed))
		return fd;
	sys_close(fd);
	return now;
}

int uffd_open(enum uffd_kind kind, size_t page_bytes)
{
	int fd = uffd_descriptor(kind), err;
	bool all;

	if (fd >= 0 && is_userfaultfd(fd))
		return fd;
	if (fd >= 0)
		atomic_store_explicit(&replaced, true, memory_order_relaxed);
	fd = make(kind, &all);
	if (fd < 0)
		return fd;
	err = make_mine();
	if (err) {
		sys_close(fd);
		return err;
	}
	if (kind == UFFD_SIGNAL) {
		tells_moves = all;
		if (!atomic_load_explicit(&kept, memory_order_relaxed))
			keep(fd, page_bytes);
	}
	atomic_store_explicit(&descriptor[kind], fd, memory_order_relaxed);
	return fd;
}

bool uffd_may_move(bool *waits)
{
	*waits = tells_moves;
	return !tells_moves || (!atomic_load_explicit(&replaced, memory_order_relaxed) && is_userfaultfd(uffd_descriptor(UFFD_SIGNAL)));
}

void uffd_close(void)
{
	void *held;

	for (enum uffd_kind kind = 0; kind < KINDS; kind++) {
		int fd = uffd_descriptor(kind);

		if (fd >= 0 && is_userfaultfd(fd))
			sys_close(fd);
		atomic_store_explicit(&descriptor[kind], -1, memory_order_relaxed);
	}
	held = atomic_exchange_explicit(&kept, NULL, memory_order_relaxed);
	if (held && *mine) /* in a child there is none */
		(void)sys_munmap(held, kept_bytes); /* ours, and whole */
	atomic_store_explicit(&replaced, false, memory_order_relaxed);
}

/* ---- the trial ---- */

/* Whether the kernel can read a set of signals there, or write one: it meets the page as a thread would, but says EFAULT. */
static bool can_read(const void *at)
{
	return sys_sigmask(SIG_BLOCK, at, NULL) == 0;
}

static bool can_write(void *at)
{
	return sys_sigmask(SIG_BLOCK, NULL, at) == 0;
}

/* A page from missing to written and missing again.  It holds zeros: no signal is blocked by reading it.  Where nobody reads
 * the descriptor, the kernel must not meet what it would have to wait for. */
static int try_page(enum uffd_kind kind, unsigned char *page, size_t bytes)
{
	enum uffd_kind it = TRIAL(kind);
	uintptr_t at = (uintptr_t)page;
	size_t done;
	int err = uffd_register(it, at, bytes);

	if (err)
		return err;
	if (kind == UFFD_SIGNAL && can_read(page))
		return -EINVAL;
	err = uffd_copy(it, at, page + bytes, bytes, bytes, true, &done);
	if (err)
		return err;
	if (!can_read(page) || (kind == UFFD_SIGNAL && can_write(page)))
		return -EINVAL;
	err = uffd_protect(it, at, bytes, false);
	if (err)
		return err;
	if (!can_write(page))
		return -EINVAL;
	err = uffd_forget(at, bytes);
	if (err)
		return err;
	return kind == UFFD_SIGNAL && can_write(page) ? -EINVAL : 0;
}

static int try_fresh(enum uffd_kind kind)
{
	size_t bytes = (size_t)64 << 10; /* as above */
	void *pages = sys_mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (sys_is_error(pages))
		return -ENOMEM;
	err = try_page(kind, pages, bytes);
	sys_munmap(pages, 2 * bytes);
	return err;
}

static int try_all(enum uffd_kind kind)
{
	bool all;
	int fd = make(kind, &all), err;

	if (fd < 0)
		return fd;
	atomic_store_explicit(&descriptor[TRIAL(kind)], fd, memory_order_relaxed);
	err = make_mine();
	if (!err)
		err = try_fresh(kind);
	sys_close(fd);
	return err;
}

int engine_uffd_probe(enum uffd_kind kind)
{
	static bool tried[KINDS];
	static int result[KINDS];
	int err;

	if (tried[kind])
		return result[kind];
	err = result[kind] = try_all(kind);
	tried[kind] = err != -EMFILE && err != -ENFILE && err != -ENOMEM; /* these pass */
	return err;
}
