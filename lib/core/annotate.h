/* SPDX-License-Identifier: MIT
 *
 * What checkers are told about stacks.  AddressSanitizer's functions are there if the program is built with it, whether this
 * library is or not, and else nothing is called: sanitizer/common_interface_defs.h, asan_interface.h.  What Valgrind is told are
 * a few instructions that do nothing elsewhere, if its header was there to build with.  ThreadSanitizer follows calls and
 * longjmp by itself, and for it there is nothing else here. */
#ifndef VPAGER_CORE_ANNOTATE_H
#define VPAGER_CORE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__has_include) && !defined(NVALGRIND)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) ((void)(low), (void)(high), 0u)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define RUNNING_ON_VALGRIND 0
#endif

/* Valgrind lowers the stack pointer before it stores what a call or a push puts there, and does both again after a fault: there
 * is no stack that grows by faults. */
static inline bool annotate_no_growth(void)
{
	return RUNNING_ON_VALGRIND != 0;
}

void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size) __attribute__((weak));
void __asan_unpoison_memory_region(const void volatile *low, size_t size) __attribute__((weak));

struct annotate_switch {
	void *save;         /* of the stack that was left */
	const void *bottom; /* the same */
	size_t size;
	unsigned valgrind;
	bool in_valgrind;
};

/* Before and after the stack pointer changes to a stack that nothing runs on yet.  in_valgrind: what annotate_no_growth said;
 * to ask or tell each time would cost as much as the rest of the call. */
static inline void annotate_leave(struct annotate_switch *from, uintptr_t low, uintptr_t high, bool in_valgrind)
{
	from->in_valgrind = in_valgrind;
	if (in_valgrind)
		from->valgrind = VALGRIND_STACK_REGISTER((void *)low, (void *)high);
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(&from->save, (const void *)low, high - low);
}

static inline void annotate_arrive(struct annotate_switch *from)
{
	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(NULL, &from->bottom, &from->size);
}

/* Before and after it changes back, for good. */
static inline void annotate_go_back(const struct annotate_switch *from)
{
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(NULL, from->bottom, from->size);
}

static inline void annotate_be_back(const struct annotate_switch *from)
{
	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(from->save, NULL, NULL);
	if (from->in_valgrind)
		VALGRIND_STACK_DEREGISTER(from->valgrind);
}

/* Frames were abandoned in there. */
static inline void annotate_clean(uintptr_t low, uintptr_t high)
{
	if (__asan_unpoison_memory_region && low < high)
		__asan_unpoison_memory_region((const void *)low, high - low);
}

#endif
