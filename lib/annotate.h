/* SPDX-License-Identifier: MIT
 *
 * What AddressSanitizer is told about stacks.  The functions are there if the program is built with it, whether this library is or
 * not, and else nothing is called.  sanitizer/common_interface_defs.h, sanitizer/asan_interface.h. */
#ifndef VPAGER_ANNOTATE_H
#define VPAGER_ANNOTATE_H

#include <stddef.h>

void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size) __attribute__((weak));
void __asan_unpoison_memory_region(const void volatile *low, size_t size) __attribute__((weak));

struct annotate_switch {
	void *save;         /* of the stack that was left */
	const void *bottom; /* the same */
	size_t size;
};

/* Before and after the stack pointer changes to a stack that nothing runs on yet. */
static inline void annotate_leave(struct annotate_switch *from, const void *bottom, size_t size)
{
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(&from->save, bottom, size);
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
}

/* Frames were abandoned in there. */
static inline void annotate_clean(const void *low, size_t size)
{
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(low, size);
}

#endif
