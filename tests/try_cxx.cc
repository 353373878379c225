// SPDX-License-Identifier: MIT
//
// A C++ exception may pass vpager_try, which is gone then: what fails later lands where it should.  C++11.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "skip.h"
#include "vpager.h"

#define SURE(condition) ((condition) ? (void)0 : sure_not(#condition, __LINE__))

static void sure_not(const char *what, int line)
{
	std::fprintf(stderr, "try_cxx.cc:%d: not so: %s\n", line, what);
	std::exit(1);
}

extern "C" {

static int read_nothing(void *, uint64_t, void *, size_t)
{
	return -EIO;
}

static void throw_it(void *arg)
{
	throw static_cast<int>(reinterpret_cast<intptr_t>(arg));
}

static void touch(void *arg)
{
	*static_cast<volatile char *>(arg) = 1;
}
}

static int destroyed;

struct local {
	~local() { destroyed++; }
};

static int throw_through_try(int value)
{
	try {
		local on_the_way;

		vpager_try(throw_it, reinterpret_cast<void *>(static_cast<intptr_t>(value)), nullptr);
	} catch (int caught) {
		return caught;
	}
	return -1;
}

extern "C" void throw_then_touch(void *arg)
{
	SURE(throw_through_try(3) == 3);
	touch(arg);
	std::abort();
}

extern "C" void nested_then_touch(void *arg)
{
	SURE(vpager_try(touch, arg, nullptr) == -EIO);
	SURE(throw_through_try(4) == 4);
	SURE(vpager_try(touch, arg, nullptr) == -EIO);
	touch(arg);
	std::abort();
}

int main()
{
	vpager_region_options options = {};
	vpager_store_ops ops = {};
	vpager_store *store;
	vpager_region *region;
	char *base;
	int status;

	alarm(20);
	ops.size = sizeof ops;
	ops.read_in = ops.write_in = VPAGER_CALL_HANDLER;
	ops.read = read_nothing;
	SURE(vpager_store_create(&store, &ops, nullptr) == 0);
	options.size = sizeof options;
	options.length = 65536;
	options.store = store;
	SURE(vpager_region_create(&region, &options) == 0);
	base = static_cast<char *>(vpager_region_base(region));

	for (int i = 0; i < 3; i++) {
		SURE(throw_through_try(i) == i);
		SURE(destroyed == i + 1);
	}
	SURE(vpager_try(throw_then_touch, base, nullptr) == -EIO);
	SURE(vpager_try(nested_then_touch, base, nullptr) == -EIO);

	if (skip_part("outside_of_any_try"))
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};
		vpager_region *own;

		alarm(20);
		setrlimit(RLIMIT_CORE, &none);
		SURE(vpager_region_create(&own, &options) == 0);
		SURE(throw_through_try(5) == 5);
		touch(vpager_region_base(own)); // outside of any try
		_exit(1);
	}
	SURE(waitpid(pid, &status, 0) == pid);
	SURE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	return 0;
}
