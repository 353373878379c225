/* SPDX-License-Identifier: MIT
 *
 * The radix tree behind index.h.  A slot holds 0, an object, or a node (low bit set).
 *
 *      root[512] -> node[512] -> ... -> node[512] -> object         9 bits of the page number each, from the top
 *
 * An object's range never overlaps another's, so a slot that holds an object never has to be split; a slot that holds a node
 * keeps it, and a range that covers the slot is written into the node's slots instead. */
#include "index.h"
#include <errno.h>
#include <sys/mman.h>
#include "sys.h"

#define PAGE_SHIFT 12 /* the smallest page size of any CPU: finer than needed elsewhere, never wrong */
#define LEVEL_BITS 9
#define SLOTS (1u << LEVEL_BITS)
/* 57 bits is the most a CPU of Debian's maps (x86_64 and riscv64 with five-level tables); 32-bit CPUs need 3 levels. */
#define LEVELS (sizeof(uintptr_t) > 4 ? 5 : 3)
#define NODE_TAG ((uintptr_t)1)
#define SLAB_BYTES (64u << 10)

struct node {
	_Atomic(uintptr_t) slot[SLOTS];
};

_Atomic(uintptr_t) index_lowest = UINTPTR_MAX, index_highest;

static struct node root;
static size_t objects; /* in the index, under the runtime lock */
static struct node *slab; /* nodes not yet used, under the runtime lock */
static size_t slab_left;

static struct node *slot_node(uintptr_t value)
{
	return (value & NODE_TAG) ? (struct node *)(value & ~NODE_TAG) : NULL;
}

static unsigned int slot_number(uintptr_t page, unsigned int level)
{
	return (page >> (LEVEL_BITS * level)) & (SLOTS - 1);
}

/* What is at the page, and in *at_level how many of its number's lowest groups of bits do not matter for that. */
static struct object *descend(uintptr_t page, unsigned int *at_level)
{
	struct node *node = &root;

	for (unsigned int level = LEVELS - 1;; level--) {
		/* seq_cst: index_acquire's second look must not be satisfied before its count is visible */
		uintptr_t value = atomic_load_explicit(&node->slot[slot_number(page, level)], memory_order_seq_cst);

		node = slot_node(value);
		*at_level = level;
		if (!node)
			return (struct object *)value;
	}
}

static bool beyond(uintptr_t page)
{
	return sizeof(uintptr_t) > 4 && (page >> (LEVEL_BITS * LEVELS)) != 0;
}

static struct object *lookup(uintptr_t address)
{
	uintptr_t page = address >> PAGE_SHIFT;
	unsigned int level;

	return beyond(page) ? NULL : descend(page, &level);
}

/* The first object from *page on, up to the page `last`, and in *page where it was found. */
static struct object *lookup_next(uintptr_t *page, uintptr_t last)
{
	unsigned int level;

	while (*page <= last && !beyond(*page)) {
		struct object *object = descend(*page, &level);

		if (object)
			return object;
		*page = ((*page >> (LEVEL_BITS * level)) + 1) << (LEVEL_BITS * level); /* behind the empty slot */
	}
	return NULL;
}

struct object *index_acquire(uintptr_t address)
{
	struct object *object;

	/* Count first, then look again.  index_remove clears the slots first, and index_drain
	 * then looks at the count.  All four are seq_cst,
	 * so one of the two sees the other: either we find the slot cleared, or the remover finds us counted. */
	while ((object = lookup(address)) != NULL) {
		atomic_fetch_add_explicit(&object->users, 1, memory_order_seq_cst);
		if (lookup(address) == object)
			break;
		object_release(object);
	}
	return object;
}

struct object *index_acquire_next(uintptr_t first, uintptr_t last)
{
	uintptr_t page = first >> PAGE_SHIFT;
	struct object *object;
	unsigned int level;

	while ((object = lookup_next(&page, last >> PAGE_SHIFT)) != NULL) {
		atomic_fetch_add_explicit(&object->users, 1, memory_order_seq_cst); /* as in index_acquire */
		if (descend(page, &level) == object)
			break;
		object_release(object);
	}
	return object;
}

void object_hold(struct object *object)
{
	atomic_fetch_add_explicit(&object->users, 1, memory_order_seq_cst); /* before a look at whether it is still alive */
}

void object_release(struct object *object)
{
	/* seq_cst, the load too: the last user and the remover must not both miss each other */
	if (atomic_fetch_sub_explicit(&object->users, 1, memory_order_seq_cst) - 1 == 0 &&
	    atomic_load_explicit(&object->leaving, memory_order_seq_cst))
		wait_wake(object);
}

static struct node *node_create(void)
{
	if (slab_left == 0) {
		void *fresh = sys_mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (sys_is_error(fresh))
			return NULL;
		slab = fresh;
		slab_left = SLAB_BYTES / sizeof(struct node);
	}
	slab_left--;
	return slab++;
}

/* Writes value to all slots that cover pages [first, last] under node, whose first page is `start`. */
static int set_range(struct node *node, unsigned int level, uintptr_t start, uintptr_t first, uintptr_t last, uintptr_t value)
{
	uintptr_t pages_per_slot = (uintptr_t)1 << (LEVEL_BITS * level);
	unsigned int from = first > start ? slot_number(first, level) : 0;

	for (unsigned int i = from; i < SLOTS; i++) {
		uintptr_t slot_first = start + i * pages_per_slot, slot_last = slot_first + (pages_per_slot - 1);
		_Atomic(uintptr_t) *slot = &node->slot[i];
		struct node *child = slot_node(atomic_load_explicit(slot, memory_order_relaxed)); /* only writers change it: the lock */

		if (slot_first > last)
			break;
		if (!child && first <= slot_first && last >= slot_last) {
			atomic_store_explicit(slot, value, memory_order_seq_cst);
			continue;
		}
		if (!child) {
			if (value == 0)
				continue; /* an insertion that failed before it came here */
			child = node_create();
			if (!child)
				return -ENOMEM;
			atomic_store_explicit(slot, (uintptr_t)child | NODE_TAG, memory_order_seq_cst);
		}
		int err = set_range(child, level - 1, slot_first, first, last, value);

		if (err)
			return err;
	}
	return 0;
}

static int object_set(const struct object *object, uintptr_t value)
{
	if (object->span == 0)
		return 0;

	uintptr_t first = object->base >> PAGE_SHIFT;
	uintptr_t last = (object->base + (object->span - 1)) >> PAGE_SHIFT;

	return set_range(&root, LEVELS - 1, 0, first, last, value);
}

static void widen(uintptr_t first, uintptr_t last)
{
	if (first < atomic_load_explicit(&index_lowest, memory_order_relaxed))
		atomic_store_explicit(&index_lowest, first, memory_order_relaxed);
	if (last > atomic_load_explicit(&index_highest, memory_order_relaxed))
		atomic_store_explicit(&index_highest, last, memory_order_relaxed);
}

int index_insert(struct object *object)
{
	int err;

	if (sizeof(uintptr_t) > 4 && ((object->base + (object->span - 1)) >> PAGE_SHIFT >> (LEVEL_BITS * LEVELS)) != 0)
		return -ENOMEM; /* no CPU of ours maps there */
	widen(object->base, object->base + (object->span - 1));
	err = object_set(object, (uintptr_t)object);
	if (err) {
		(void)object_set(object, 0); /* clearing allocates nothing */
		return err;
	}
	objects++;
	return 0;
}

void index_remove(struct object *object)
{
	if (object->span == 0)
		return; /* it was removed before */
	(void)object_set(object, 0);
	if (--objects > 0)
		return;
	atomic_store_explicit(&index_lowest, UINTPTR_MAX, memory_order_relaxed);
	atomic_store_explicit(&index_highest, 0, memory_order_relaxed);
}

void index_drain(struct object *object)
{
	atomic_store_explicit(&object->leaving, 1, memory_order_seq_cst);
	for (;;) {
		struct wait_ticket ticket = wait_prepare(object);

		if (atomic_load_explicit(&object->users, memory_order_seq_cst) == 0)
			break;
		wait_sleep(ticket);
	}
	atomic_store_explicit(&object->leaving, 0, memory_order_relaxed); /* a wake more is harmless */
}

void index_forget_users(struct object *object)
{
	atomic_store_explicit(&object->users, 0, memory_order_relaxed); /* one thread in the child */
}
