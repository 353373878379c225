// SPDX-License-Identifier: MIT
//
// Boost.Context behind boost.h.  Built as its users build it for release: with NDEBUG, where the guarded allocator ignores an
// mprotect that fails.  Exceptions end here.
#define NDEBUG 1
#include "boost.h"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <new>

namespace context = boost::context;

template <typename Allocator> static void create(Allocator &allocator, size_t n, void (*fn)(void *))
{
	for (size_t i = 0; i < n; i++)
		context::fiber(std::allocator_arg, allocator, [fn](context::fiber &&caller) {
			fn(nullptr);
			return std::move(caller);
		}).resume();
}

template <typename Allocator> static void get(Allocator &allocator, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		context::stack_context stack = allocator.allocate();

		static_cast<volatile size_t *>(stack.sp)[-1] = i;
		allocator.deallocate(stack);
	}
}

static context::pooled_fixedsize_stack &pooled(size_t bytes)
{
	static context::pooled_fixedsize_stack allocator(bytes);

	return allocator;
}

bool boost_create(boost_allocator allocator, size_t bytes, size_t n, void (*fn)(void *))
{
	context::protected_fixedsize_stack guarded(bytes);

	try {
		if (allocator == BOOST_POOLED)
			create(pooled(bytes), n, fn);
		else
			create(guarded, n, fn);
	} catch (const std::bad_alloc &) {
		return false;
	}
	return true;
}

bool boost_get(boost_allocator allocator, size_t bytes, size_t n)
{
	context::protected_fixedsize_stack guarded(bytes);

	try {
		if (allocator == BOOST_POOLED)
			get(pooled(bytes), n);
		else
			get(guarded, n);
	} catch (const std::bad_alloc &) {
		return false;
	}
	return true;
}

char *boost_protected_get(size_t bytes)
{
	try {
		context::stack_context stack = context::protected_fixedsize_stack(bytes).allocate();

		// Its size is with the guard, at the bottom.
		return static_cast<char *>(stack.sp) - stack.size + context::stack_traits::page_size();
	} catch (const std::bad_alloc &) {
		return nullptr;
	}
}

void *boost_fiber_create(size_t bytes, void (*fn)(void *), void *arg)
{
	try {
		return new context::fiber(std::allocator_arg, context::protected_fixedsize_stack(bytes),
		                          [=](context::fiber &&caller) {
			                          fn(arg);
			                          return std::move(caller).resume();
		                          });
	} catch (const std::bad_alloc &) {
		return nullptr;
	}
}

// It comes back suspended: to return for good would unmap its stack.
void boost_fiber_resume(void *fiber)
{
	context::fiber *it = static_cast<context::fiber *>(fiber);

	*it = std::move(*it).resume();
}
