/* SPDX-License-Identifier: MIT
 *
 * The slots.  The lowest free one is taken, so those that are in use stay the same few and warm.
 *
 *      zeros | slot 0 | slot 1 | ... | slot 31          one mapping, no memory until it is used */
#include "staging.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include "sys.h"
#include "thread.h"

#define SLOTS 32u
#define WARM_SLOTS 4u             /* keep what a long fill has left in them */
#define COLD_BYTES ((size_t)64 << 10) /* the others keep this much */

static unsigned char *area;
static _Atomic(uint32_t) taken; /* a bit for each slot */

int staging_open(void)
{
	size_t bytes = (SLOTS + 1) * STAGING_SLOT_BYTES;
	void *fresh;

	if (area)
		return 0;
	fresh = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_is_error(fresh))
		return -ENOMEM;
	/* a huge page for each slot would be memory for nothing: most fills are small */
	(void)sys_madvise(fresh, bytes, MADV_NOHUGEPAGE);
	(void)sys_madvise(fresh, bytes, MADV_DONTDUMP);
	(void)sys_mprotect(fresh, STAGING_SLOT_BYTES, PROT_READ); /* a guard against ourselves */
	area = fresh;
	return 0;
}

void staging_close(void)
{
	if (area)
		sys_munmap(area, (SLOTS + 1) * STAGING_SLOT_BYTES);
	area = NULL;
}

static unsigned char *slot_at(unsigned int n)
{
	return area + (n + 1) * STAGING_SLOT_BYTES;
}

const void *staging_zeros(void)
{
	return area;
}

void *staging_take(size_t bytes)
{
	uint32_t now = atomic_load_explicit(&taken, memory_order_relaxed);
	void *fresh;

	while (bytes <= STAGING_SLOT_BYTES && ~now) {
		unsigned int n = (unsigned int)__builtin_ctz(~now);

		/* acquire: the last holder has read all that it wanted */
		if (atomic_compare_exchange_weak_explicit(&taken, &now, now | 1u << n, memory_order_acquire, memory_order_relaxed))
			return slot_at(n);
	}
	fresh = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return sys_is_error(fresh) ? NULL : fresh;
}

void staging_give(void *slot, size_t bytes)
{
	uintptr_t offset = (uintptr_t)slot - (uintptr_t)slot_at(0);
	unsigned int n = (unsigned int)(offset / STAGING_SLOT_BYTES);

	if (offset >= SLOTS * STAGING_SLOT_BYTES) {
		(void)sys_munmap(slot, bytes); /* which cannot fail for a whole mapping but for lack of memory: then it stays */
		return;
	}
	if (n >= WARM_SLOTS && bytes > COLD_BYTES)
		(void)sys_madvise((unsigned char *)slot + COLD_BYTES, bytes - COLD_BYTES, MADV_DONTNEED);
	atomic_fetch_and_explicit(&taken, ~(1u << n), memory_order_release); /* see staging_take */
}

void staging_after_fork(void)
{
	if (!thread_self.fills)
		atomic_store_explicit(&taken, 0, memory_order_relaxed); /* one thread in the child */
}
