/* SPDX-License-Identifier: MIT
 *
 * Reading bytes that the program's threads can write to until the page's protection forbids it.  That orders the two, as the kernel
 * sees to it that no processor goes on with the older right; but ThreadSanitizer knows of locks and atomics only, and is told here.
 * Its functions are there if the program is built with it, whether this library is or not, and else nothing is called. */
#ifndef VPAGER_CORE_PROGRAM_BYTES_H
#define VPAGER_CORE_PROGRAM_BYTES_H

#include <stddef.h>
#include <string.h>

void AnnotateIgnoreReadsBegin(const char *file, int line) __attribute__((weak));
void AnnotateIgnoreReadsEnd(const char *file, int line) __attribute__((weak));

static inline void program_bytes_begin(void)
{
	if (AnnotateIgnoreReadsBegin)
		AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
}

static inline void program_bytes_end(void)
{
	if (AnnotateIgnoreReadsEnd)
		AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

static inline void program_bytes_copy(void *to, const void *from, size_t n)
{
	program_bytes_begin();
	memcpy(to, from, n);
	program_bytes_end();
}

#endif
