/* SPDX-License-Identifier: MIT
 *
 * Two ways to guard a stack.  Runs in the handler.
 *
 * markers    The arena is one readable and writable mapping, and a guard is a run of markers in its page tables
 *            (MADV_GUARD_INSTALL, Linux 6.13), which cost no mapping: a million stacks in one.  Only the guard is closed;
 *            what lies below it is not.
 * mprotect   The arena is PROT_NONE, and the usable part is opened: two mappings more for each stack.  It works
 * everywhere, and
 *            where markers are refused: in locked memory (mlockall), and under strict overcommit, which charges what is
 * opened and no more.
 *
 * A new guard is in place before the old one goes, so an error leaves the stack guarded.  A marker that could not be
 * removed stays below the limit, where it does no harm until the limit moves over it, and that removes all there are. */
#include <errno.h>
#include <sys/mman.h>
#include "peek.h"
#include "stack.h"
#include "sys.h"

#ifndef MADV_GUARD_INSTALL /* uapi/asm-generic/mman-common.h, Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static int advise(uintptr_t low, uintptr_t high, int advice)
{
	return low < high ? sys_madvise((void *)low, high - low, advice) : 0;
}

static int give_back(const struct vpager_stack_pool *pool, uintptr_t low, uintptr_t high)
{
	return advise(low, high, pool->flags & VPAGER_STACK_FREE ? MADV_FREE : MADV_DONTNEED);
}

/* ---- markers ---- */

static int markers_place(const struct vpager_stack_pool *pool, uintptr_t top, uintptr_t limit)
{
	(void)top;
	return advise(limit - pool->guard_bytes, limit, MADV_GUARD_INSTALL);
}

static int markers_lower(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to)
{
	uintptr_t guard = to - pool->guard_bytes, end = lesser(to, from - pool->guard_bytes);
	int err = advise(guard, end, MADV_GUARD_INSTALL);

	if (!err)
		err = advise(to, from, MADV_GUARD_REMOVE);
	if (err)
		(void)advise(guard, end, MADV_GUARD_REMOVE);
	return err;
}

static int markers_raise(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to)
{
	uintptr_t guard = to - pool->guard_bytes;
	int err = advise(greater(guard, from), to, MADV_GUARD_INSTALL);

	if (err)
		return err;
	(void)advise(from - pool->guard_bytes, lesser(from, guard), MADV_GUARD_REMOVE);
	(void)give_back(pool, from, guard);
	return 0;
}

static int markers_hide(uintptr_t low, uintptr_t high)
{
	return advise(low, high, MADV_GUARD_INSTALL);
}

static int markers_show(uintptr_t low, uintptr_t high)
{
	return advise(low, high, MADV_GUARD_REMOVE);
}

bool stack_markers_close(uintptr_t low, uintptr_t high)
{
	char byte;

	return markers_hide(low, high) == 0 && peek_text(low, &byte, 1) == 0;
}

const struct stack_guard stack_guard_markers = {
    .name = "markers",
    .place = markers_place,
    .lower = markers_lower,
    .raise = markers_raise,
    .hide = markers_hide,
    .show = markers_show,
};

/* ---- mprotect ---- */

static int mprotect_show(uintptr_t low, uintptr_t high)
{
	return low < high ? sys_mprotect((void *)low, high - low, PROT_READ | PROT_WRITE) : 0;
}

/* A fresh mapping in place of the old one gives back the memory, what strict overcommit has charged for it, and locked
 * pages too, in one call. */
static int mprotect_hide(uintptr_t low, uintptr_t high)
{
	void *fresh;

	if (low >= high)
		return 0;
	fresh = sys_mmap((void *)low, high - low, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_FIXED, -1, 0);
	if (sys_is_error(fresh))
		return (int)(intptr_t)fresh;
	(void)sys_madvise((void *)low, high - low,
	                  MADV_NOHUGEPAGE); /* as the rest of the arena, or it does not merge with it */
	return 0;
}

static int mprotect_place(const struct vpager_stack_pool *pool, uintptr_t top, uintptr_t limit)
{
	(void)pool;
	return mprotect_show(limit, top);
}

static int mprotect_lower(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to)
{
	(void)pool;
	return mprotect_show(to, from);
}

static int mprotect_raise(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to)
{
	(void)pool;
	return mprotect_hide(from, to);
}

const struct stack_guard stack_guard_mprotect = {
    .name = "mprotect",
    .vmas = 2,
    .place = mprotect_place,
    .lower = mprotect_lower,
    .raise = mprotect_raise,
    .hide = mprotect_hide,
    .show = mprotect_show,
};
