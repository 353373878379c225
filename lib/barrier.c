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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all here; never held while anything is waited for */
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

static int forbid(struct vpager_region *region, size_t page, uint32_t word, bool write)
{
	int prot = write ? PROT_READ | (prot_of(word) & PROT_EXEC) : PROT_NONE;

	return sys_mprotect((void *)region_page_address(region, page), region->page_bytes, prot);
}

/* Claims a page that nobody is at, and lets go of it as it was; with the error, if that is to be told. */
static bool claim(struct vpager_region *region, size_t page, uint32_t seen)
{
	if (!gate_enter(&region->gate))
		return false;
	if (page_claim(&region->table, page, &seen, PAGE_CHANGING))
		return true;
	gate_leave(&region->gate);
	return false;
}

static void let_go(struct vpager_region *region, size_t page, uint32_t before, bool tell)
{
	if (tell && page_state(before) == PAGE_ABSENT && (before & PAGE_FAILED))
		page_settle_failed(&region->table, page, -(int)(before >> PAGE_PIN_SHIFT));
	else
		page_settle(&region->table, page, page_state(before), 0, 0);
	gate_leave(&region->gate);
	region_settled(region);
}

static bool bar(struct vpager_region *region, size_t page, uint32_t seen, bool write)
{
	bool done = claim(region, page, seen);

	if (done) {
		done = forbid(region, page, seen, write) == 0;
		let_go(region, page, seen, true);
	}
	return done;
}

/* The error goes with the barrier: who comes now and waits for our claim would take it for its own. */
static bool unbar(struct vpager_region *region, size_t page, uint32_t seen)
{
	bool done = claim(region, page, seen);

	if (done) {
		done = engine_uffd_reopen(region, page, 1, prot_of(seen)) == 0;
		let_go(region, page, seen, false);
	}
	return done;
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

		done = !page_claimed(seen) && unbar(region, page, seen);
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
	bool done;

	pthread_mutex_lock(&lock); /* until it is up: nobody may have lifted it before */
	done = note(region, region_page_address(region, page));
	if (done && !page_claimed(seen)) {
		done = bar(region, page, seen, write);
	} else if (done) {
		/* Somebody is at it whom the access must not wait for, and may have looked at `barred` before it was set: then the
		 * page is shown, and barred.  Who touches it shows it again, and what is noted is lifted soon. */
		done = forbid(region, page, seen, write) == 0;
		seen = page_load(&region->table.word[page]);
		if (page_visible(seen))
			(void)unbar(region, page, seen);
	}
	pthread_mutex_unlock(&lock);
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
