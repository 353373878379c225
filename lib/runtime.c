/* SPDX-License-Identifier: MIT
 *
 * Starting and stopping the library, and the small things that every call of the program needs. */
#include "runtime.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/chain.h"
#include "core/entry.h"
#include "core/export.h"
#include "core/region.h"
#include "core/sigmask.h"
#include "core/staging.h"
#include "core/sys.h"
#include "core/uffd.h"
#include "reader.h"
#include "snapshot.h"
#include "space.h"
#include "stack.h"
#include "stack_pool.h"
#include "thread.h"
#include "worker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int cancel_state; /* of the thread that has the lock */
static bool running;
static struct vpager_options current;

void runtime_lock(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* open and close are cancellation points, we are not */
	pthread_mutex_lock(&lock);
	cancel_state = state;
}

void runtime_unlock(void)
{
	int state = cancel_state;

	pthread_mutex_unlock(&lock);
	pthread_setcancelstate(state, NULL);
}

size_t system_page_bytes(void)
{
	static _Atomic(size_t) cached;
	size_t page = atomic_load_explicit(&cached, memory_order_relaxed); /* who comes first does not matter */

	if (!page) {
		page = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&cached, page, memory_order_relaxed);
	}
	return page;
}

int options_copy(void *to, size_t to_size, const void *from)
{
	const unsigned char *bytes = from;
	size_t size;

	if (!from)
		return -EINVAL;
	memcpy(&size, from, sizeof size);
	if (size < sizeof size)
		return -EINVAL;
	for (size_t i = to_size; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memset(to, 0, to_size);
	memcpy(to, from, size < to_size ? size : to_size);
	memcpy(to, &to_size, sizeof to_size);
	return 0;
}

int record_copy(void *to, const void *from, size_t from_size)
{
	size_t size;

	if (!to)
		return -EINVAL;
	memcpy(&size, to, sizeof size);
	if (size < sizeof size)
		return -EINVAL;
	size = size < from_size ? size : from_size;
	memcpy(to, from, size);
	memcpy(to, &size, sizeof size);
	return 0;
}

void signals_close(arch_sigset_t *saved)
{
	arch_sigset_t closed;

	sigmask_but_faults(&closed);
	sys_sigmask(SIG_BLOCK, &closed, saved);
}

void signals_restore(const arch_sigset_t *saved)
{
	sys_sigmask(SIG_SETMASK, saved, NULL);
}

int thread_start(pthread_t *thread, void *(*fn)(void *arg))
{
	arch_sigset_t saved;
	int err;

	signals_close(&saved); /* inherited */
	err = pthread_create(thread, NULL, fn, NULL);
	signals_restore(&saved);
	return -err;
}

/* The number in a file of the kernel's; 0: there is none. */
static size_t kernel_number(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t number = 0;

	if (file && fscanf(file, "%zu", &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

/* Three quarters of what the kernel allows, so that the program keeps the rest. */
static void read_vma_limit(void)
{
	size_t most = kernel_number("/proc/sys/vm/max_map_count");

	if (most >= 1024)
		vma_limit = most / 4 * 3;
}

size_t huge_page_bytes(void)
{
	static _Atomic(size_t) cached;
	size_t bytes = atomic_load_explicit(&cached, memory_order_relaxed); /* as above */

	if (!bytes) {
		bytes = kernel_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
		atomic_store_explicit(&cached, bytes, memory_order_relaxed);
	}
	return bytes ? bytes : SIZE_MAX;
}

static void defaults(struct vpager_options *options)
{
	memset(options, 0, sizeof *options);
	options->size = sizeof *options;
	options->worker_threads = WORKERS_DEFAULT;
}

static int start(const struct vpager_options *options)
{
	int err;

	read_vma_limit();
	err = fork_setup();
	if (!err)
		err = thread_setup(options->altstack_bytes);
	if (!err)
		err = stack_pool_setup();
	if (!err && !(options->flags & VPAGER_INIT_NO_HANDLER))
		err = chain_install(entry_signal);
	if (err)
		return err;
	workers_configure(options->worker_threads);
	residency_total.limit = options->resident_limit_bytes;
	current = *options;
	running = true;
	return 0;
}

static int check(const struct vpager_options *options)
{
	size_t least = REGION_RESERVE_PAGES * system_page_bytes();

	if (options->flags & ~VPAGER_INIT_NO_HANDLER || options->worker_threads > WORKERS_MOST)
		return -EINVAL;
	if (options->resident_limit_bytes && options->resident_limit_bytes < least)
		return -EINVAL;
	return thread_check_options(options->altstack_bytes);
}

static int start_or_compare(const struct vpager_options *options)
{
	int err = 0;

	runtime_lock();
	if (!running)
		err = start(options);
	else if (memcmp(options, &current, sizeof current) != 0)
		err = -EBUSY;
	runtime_unlock();
	return err;
}

VPAGER_EXPORT int vpager_init(const struct vpager_options *options)
{
	struct vpager_options copy;
	int err;

	defaults(&copy);
	err = options ? options_copy(&copy, sizeof copy, options) : 0;
	if (!err)
		err = check(&copy);
	if (err)
		return err;
	if (copy.worker_threads == 0)
		copy.worker_threads = WORKERS_DEFAULT;
	return start_or_compare(&copy);
}

int runtime_start(void)
{
	struct vpager_options options;
	int err = 0;

	defaults(&options);
	runtime_lock();
	if (!running)
		err = start(&options);
	runtime_unlock();
	return err;
}

VPAGER_EXPORT int vpager_shutdown(void)
{
	int err = 0;

	runtime_lock();
	for (size_t i = 0; i < region_slots() && !err; i++)
		if (region_slot(i)->metadata)
			err = -EBUSY;
	if (stack_pool_next(NULL))
		err = -EBUSY;
	if (running && !err && !(current.flags & VPAGER_INIT_NO_HANDLER))
		err = chain_remove();
	if (running && !err) {
		workers_stop();
		readers_stop();
		swing_stop();
		space_close_all();
		uffd_close();
		staging_close();
		running = false;
	}
	runtime_unlock();
	return err;
}

VPAGER_EXPORT int vpager_ensure_last(void)
{
	int err = runtime_start();

	if (err)
		return err;
	runtime_lock();
	err = current.flags & VPAGER_INIT_NO_HANDLER ? -EINVAL : chain_ensure_last(entry_signal);
	runtime_unlock();
	return err;
}
