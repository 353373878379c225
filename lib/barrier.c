/* SPDX-License-Identifier: MIT
 *
 * The list of barriers that are up.  An entry may outlive its region: it names an address, and whatever is there when its time
 * has come is only made to be as its page words say. */
#include "barrier.h"
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include "core/sys.h"

#define MOST 1024u /* each is two mappings more, and stays while its page is claimed: no fewer than nested.c lets wait */
#define UP_MS 10 /* as long as a thread that was woken needs to run, mostly */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* never held while anything is waited for */
static struct {
	uintptr_t address;
	int64_t since; /* ms */
} up[MOST];
static unsigned int count_up;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Under the lock. */
static bool note(struct vpager_region *region, uintptr_t address)
{
	unsigned int i = 0;

	while (i < count_up && up[i].address != address)
		i++;
	if (i == MOST)
		return false;
	count_up += i == count_up;
	up[i].address = address;
	up[i].since = now_ms();
	atomic_store_explicit(&region->barred, 1, memory_order_relaxed); /* before the page is let go of: see mappings_differ */
	return true;
}

static int prot_of(uint32_t word)
{
	return page_prot(word, page_state(word));
}

/* Changes what the mapping of a page allows that nobody is at. */
static bool change(struct vpager_region *region, size_t page, uint32_t seen, int (*how)(struct vpager_region *region, size_t page,
                   uint32_t word, bool write), bool write)
{
	uint32_t before = seen;
	bool done = false;

	if (!gate_enter(&region->gate))
		return false;
	if (page_claim(&region->table, page, &seen, PAGE_CHANGING)) {
		done = how(region, page, before, write) == 0;
		if (page_state(before) == PAGE_ABSENT && (before & PAGE_FAILED))
			page_settle_failed(&region->table, page, -(int)(before >> PAGE_PIN_SHIFT));
		else
			page_settle(&region->table, page, page_state(before), 0, 0);
	}
	gate_leave(&region->gate);
	region_settled(region);
	return done;
}

static int bar(struct vpager_region *region, size_t page, uint32_t word, bool write)
{
	int prot = write ? PROT_READ | (prot_of(word) & PROT_EXEC) : PROT_NONE;

	return sys_mprotect((void *)region_page_address(region, page), region->page_bytes, prot);
}

static int unbar(struct vpager_region *region, size_t page, uint32_t word, bool write)
{
	(void)write;
	return engine_uffd_reopen(region, page, 1, prot_of(word));
}

/* True: nothing is left to be done there. */
static bool lift(uintptr_t address)
{
	struct object *object = index_acquire(address);
	struct vpager_region *region = object && object->fault == region_fault ? region_of(object) : NULL;
	bool done = true;

	if (region && region->engine == &engine_uffd_thread) {
		size_t page = (address - object->base) >> region->page_shift;
		uint32_t seen = page_load(&region->table.word[page]);

		done = !page_claimed(seen) && change(region, page, seen, unbar, false);
	}
	if (object)
		object_release(object);
	return done;
}

/* Under the lock: a barrier of `address`s region is gone, perhaps the last. */
static void forget(uintptr_t address)
{
	struct object *object = index_acquire(address);
	bool others = false;

	if (!object)
		return;
	for (unsigned int i = 0; i < count_up; i++)
		others |= up[i].address - object->base < object->span;
	if (!others && object->fault == region_fault)
		atomic_store_explicit(&region_of(object)->barred, 0, memory_order_relaxed);
	object_release(object);
}

bool barrier_put(struct vpager_region *region, size_t page, uint32_t seen, bool write)
{
	uintptr_t address = region_page_address(region, page);
	bool noted, done;

	pthread_mutex_lock(&lock);
	noted = note(region, address);
	pthread_mutex_unlock(&lock);
	if (!noted)
		return false;
	if (!page_claimed(seen))
		return change(region, page, seen, bar, write);
	/* Somebody is at it whom the access must not wait for.  Had it been shown by now, it would be barred as shown. */
	done = bar(region, page, seen, write) == 0;
	seen = page_load(&region->table.word[page]);
	if (page_visible(seen))
		(void)change(region, page, seen, unbar, false); /* else in a moment */
	return done;
}

int barriers_lift(void)
{
	int64_t now, next = -1;

	pthread_mutex_lock(&lock);
	now = count_up ? now_ms() : 0;
	for (unsigned int i = 0; i < count_up;) {
		int64_t left = up[i].since + UP_MS - now;
		uintptr_t address = up[i].address;

		if (left <= 0 && lift(address)) {
			up[i] = up[--count_up];
			forget(address);
			continue;
		}
		left = left > 0 ? left : 1;
		next = next < 0 || left < next ? left : next;
		i++;
	}
	pthread_mutex_unlock(&lock);
	return (int)next;
}

void barriers_lost(void)
{
	pthread_mutex_init(&lock, NULL); /* a thread of the parent's may have held it */
	count_up = 0;
}
