/* SPDX-License-Identifier: MIT
 *
 * What ThreadSanitizer is told, which knows of locks and atomics, and of what goes through the C library.  Its functions are there if
 * the program is built with it, whether this library is or not, and else nothing is called. */
#ifndef VPAGER_CORE_TSAN_H
#define VPAGER_CORE_TSAN_H

#include <stddef.h>
#include <string.h>

void AnnotateIgnoreReadsBegin(const char *file, int line) __attribute__((weak));
void AnnotateIgnoreReadsEnd(const char *file, int line) __attribute__((weak));
void AnnotateIgnoreWritesBegin(const char *file, int line) __attribute__((weak));
void AnnotateIgnoreWritesEnd(const char *file, int line) __attribute__((weak));

/* Around the first writes to memory that was mapped by a system call of ours, where another thread's may have been until it was
 * unmapped so. */
static inline void fresh_bytes_begin(void)
{
	if (AnnotateIgnoreWritesBegin)
		AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

static inline void fresh_bytes_end(void)
{
	if (AnnotateIgnoreWritesEnd)
		AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}

/* Around reads of bytes that the program's threads can write to until the page's protection forbids it.  That orders the two, as the
 * kernel sees to it that no processor goes on with the older right. */
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
