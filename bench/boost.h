/* SPDX-License-Identifier: MIT
 *
 * Boost.Context's stack allocators for the benchmark, which is in C. */
#ifndef VPAGER_BENCH_BOOST_H
#define VPAGER_BENCH_BOOST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum boost_allocator {
	BOOST_POOLED, /* no guards */
	BOOST_PROTECTED
};

/* n times: a stack, fn(NULL) runs on it as a fiber, and it goes back.  The loop is on the other side, so that Boost's code is
 * inlined as in a program of its users.  bytes: the same in every call.  false: no memory. */
bool boost_create(enum boost_allocator allocator, size_t bytes, size_t n, void (*fn)(void *));

/* n times: a stack, a word at its top is written, and it goes back. */
bool boost_get(enum boost_allocator allocator, size_t bytes, size_t n);

/* A stack of the guarded allocator, and the lowest byte above its guard.  NULL: no memory. */
char *boost_protected_get(size_t bytes);

/* A fiber with such a stack of its own.  Resumed, it runs fn(arg), and keeps its stack.  NULL: no memory. */
void *boost_fiber_create(size_t bytes, void (*fn)(void *), void *arg);
void boost_fiber_resume(void *fiber);

#ifdef __cplusplus
}
#endif

#endif
