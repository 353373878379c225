/* SPDX-License-Identifier: MIT
 *
 * libvpager-syscalls: what its files share.  Each function that a program calls is defined here once more, in front of the C
 * library's: it pins what lies in managed memory, calls the one behind it, and unpins.  Whatever is not in managed memory
 * costs a look at the bounds of all regions.  Runs wherever the original may run, in signal handlers too; leaves errno to
 * the original. */
#ifndef VPAGER_COMPAT_SYSCALLS_H
#define VPAGER_COMPAT_SYSCALLS_H

/* The functions themselves, not a header's fortified or 64-bit redirection of their names. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vpager.h>

/* A buffer that the original only writes to is not read by asking whose it is. */
#ifndef __clang__ /* which has no such warning */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define EXPORT __attribute__((visibility("default")))

/* ---- the functions behind ours: real.c ---- */

struct real {
	_Atomic(void *) fn;
	const char *name;
	void *early; /* what to call while the others are being looked for; NULL: nothing calls it then */
};

void *real_find(struct real *real);

/* The records of all that are used, which the constructor fills: dlsym is nothing for a signal handler. */
#define REAL_OR(function, before)                                                                                           \
	({                                                                                                                  \
		static struct real here = {NULL, #function, (before)};                                                      \
		static struct real *listed __attribute__((section("vpager_real"), used)) = &here;                           \
		void *found =                                                                                               \
		    atomic_load_explicit(&here.fn, memory_order_relaxed); /* code, there since before the program */        \
		(void)listed;                                                                                               \
		(__typeof__(&function))(found ? found : real_find(&here));                                                  \
	})
#define REAL(function) REAL_OR(function, NULL)

/* ---- what a call holds pinned: hold.c ---- */

struct pinned {
	const void *at;
	size_t len;
};
#define HOLD_INLINE 6

struct hold {
	unsigned n, room;
	struct pinned *more; /* all of them, when there are more than fit */
	struct pinned few[HOLD_INLINE];
};

void hold_end(struct hold *hold);

/* Also when the thread is cancelled in the call. */
static inline void hold_cleanup(struct hold *hold)
{
	if (__builtin_expect(hold->n != 0, 0))
		hold_end(hold);
}

#define HOLD(name)                                                                                                          \
	struct hold name __attribute__((cleanup(hold_cleanup)));                                                            \
	name.n = 0

/* Of the following, false: errno is set, and the call is to fail with it. */
bool hold_pin(struct hold *hold, const void *at, size_t len, bool for_write);

static inline bool hold_buffer(struct hold *hold, const void *at, size_t len, bool for_write)
{
	return __builtin_expect(!vpager_address_managed(at, len), 1) || hold_pin(hold, at, len, for_write);
}

/* A string, for reading. */
bool hold_string(struct hold *hold, const char *text);
/* A buffer of *len bytes, and *len itself, both for writing; NULLs are the kernel's to judge. */
bool hold_sized(struct hold *hold, const void *at, socklen_t *len);
/* The array and the buffers; how many of the buffers are held, fewer than n with errno set. */
int hold_vector(struct hold *hold, const struct iovec *iov, int n, bool for_write);
bool hold_message(struct hold *hold, const struct msghdr *msg, bool for_write);
bool hold_messages(struct hold *hold, const struct mmsghdr *msg, unsigned n, bool for_write);

/* ---- more than may be pinned at once: pieces.c ---- */

struct transfer {
	ssize_t (*once)(const struct transfer *transfer, void *at, size_t len, size_t done);
	int fd, flags;
	int64_t offset;
	bool for_write; /* into memory */
	bool all;	/* goes on until all of it is done, as the original would */
};

/* After errno == ENOMEM: the transfer in pieces that fit, where a short one is allowed; else -1, errno as it was. */
ssize_t transfer_in_pieces(const struct transfer *transfer, void *at, size_t len);
/* Whether bytes on this descriptor are a stream, of which a part may be taken or given. */
bool is_stream(int fd);

#endif
