// SPDX-License-Identifier: MIT
//
// C++ exceptions on stacks of a pool: out of vpager_stack_call, and from a yellow zone into the code that overflowed, which is
// compiled with -fnon-call-exceptions since any access to the stack may throw there.  C++11.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include "skip.h"
#include "vpager.h"

#define SURE(condition) ((condition) ? (void)0 : sure_not(#condition, __LINE__))

static void sure_not(const char *what, int line)
{
	std::fprintf(stderr, "stack_cxx.cc:%d: not so: %s\n", line, what);
	std::exit(1);
}

// The unwinders of these CPUs do not get through a signal's frame (the tables of 32-bit ARM describe a function at its calls only;
// libgcc has nothing for loongarch64).
#if defined(__arm__) || defined(__loongarch__)
static const bool unwinds_signals = false;
#else
static const bool unwinds_signals = true;
#endif

static int destroyed;

struct local {
	~local() { destroyed++; }
};

static int recurse(int depth);
static int (*volatile opaque)(int) = recurse; // or the compiler knows that nothing is thrown in there

static int recurse(int depth)
{
	volatile char frame[400];

	frame[0] = static_cast<char>(depth);
	return depth == 0 ? 0 : opaque(depth - 1) + frame[0];
}

extern "C" {

static void throw_it(void *arg)
{
	local on_the_stack;

	opaque(1000);
	throw *static_cast<int *>(arg);
}

static void overflow(void *)
{
	opaque(1 << 30);
}

static void throw_overflow(void *)
{
	throw std::length_error("stack overflow");
}

static void catch_overflow(void *arg)
{
	int *caught = static_cast<int *>(arg);

	try {
		local on_the_way;

		opaque(1 << 30);
	} catch (const std::length_error &) {
		++*caught;
	}
}
}

static int throw_through_call(vpager_stack *stack, int value)
{
	try {
		local on_the_way;

		vpager_stack_call(stack, throw_it, &value, nullptr);
	} catch (int caught) {
		return caught;
	}
	return -1;
}

int main()
{
	vpager_stack_pool_options options = {};
	vpager_stack_pool *pool;
	vpager_stack *stack;

	options.size = sizeof options;
	options.max_stacks = 8; // emulators keep a record of each page of addresses
	SURE(vpager_stack_pool_create(&pool, &options) == 0);
	SURE(vpager_stack_get(&stack, pool) == 0);
	for (int i = 0; i < 100; i++) {
		SURE(throw_through_call(stack, i) == i); // and nothing runs on the stack
		SURE(destroyed == 2 * (i + 1));
	}
	SURE(vpager_stack_call(stack, overflow, nullptr, nullptr) == -EOVERFLOW);
	destroyed = 0;
	for (int i = 0; unwinds_signals && !skip_part("from_the_yellow_zone") && i < 20; i++) {
		int caught = 0;

		SURE(vpager_stack_on_overflow(stack, 256 << 10, throw_overflow, nullptr) == 0);
		SURE(vpager_stack_call(stack, catch_overflow, &caught, nullptr) == 0);
		SURE(caught == 1);
		SURE(destroyed == i + 1);
	}
	SURE(vpager_stack_call(stack, overflow, nullptr, nullptr) == -EOVERFLOW);
	vpager_stack_put(stack);
	SURE(vpager_stack_pool_destroy(pool) == 0);
	return 0;
}
