/* SPDX-License-Identifier: MIT
 *
 * An engine: one kernel mechanism for hiding, showing and write-protecting pages.  All of it runs in the handler.
 * The caller owns the pages it names (they are claimed), and holds the region's gate for publish, protect and drop.
 * Pages are numbers of region pages; prot is PROT_NONE, or PROT_READ with or without PROT_WRITE and PROT_EXEC. */
#ifndef VPAGER_CORE_ENGINE_H
#define VPAGER_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vpager.h"

/* The bytes of a run of absent pages, from the first of them on, between their read and their publication.  Lives on the
 * filler's stack; neither frame nor put was called: they are zeros. */
struct incoming {
	size_t page;       /* set by the caller: the run's first */
	const void *bytes; /* the engine's, as all below */
	size_t len;        /* beyond it, zeros */
	void *slot;
	size_t slot_bytes;
	bool borrowed; /* the store's own memory: publish and keep say -EFAULT where the kernel may not read it now */
};

struct engine {
	enum vpager_engine id;
	const char *name;
	bool splits; /* mappings, where neighbours differ: vma.c keeps count */
	bool forked; /* the kernel's fork copies the visible pages; else a child has none of them */
	/* Room for the bytes of absent pages, before anything of them is written or shown.  -ENOMEM. */
	int (*reserve)(struct vpager_region *region, size_t page, size_t n);
	/* Where the first len bytes of pages [page, page + n) are to be written before anybody sees them; the others read as
	 * zeros.  NULL: no memory. */
	unsigned char *(*frame)(struct vpager_region *region, size_t page, size_t n, size_t len, struct incoming *in);
	/* The frame's bytes are whole.  NULL: that is all the same to the engine. */
	int (*complete)(struct vpager_region *region, size_t page, size_t len, const struct incoming *in);
	/* As frame and complete, for bytes that are in memory already, which is cheaper.  false: it did not work, use frame. */
	bool (*put)(struct vpager_region *region, size_t page, size_t n, const void *bytes, size_t len, struct incoming *in);
	/* Pages of the incoming run become visible, each in one step.  Done again after an error it is harmless.  -ENOMEM. */
	int (*publish)(struct vpager_region *region, size_t page, size_t n, int prot, const struct incoming *in);
	/* They stay hidden, with their bytes.  Not 0: they cannot, and are absent again. */
	int (*keep)(struct vpager_region *region, size_t page, size_t n, const struct incoming *in);
	/* Nothing more is done with them. */
	void (*release)(struct incoming *in);
	/* A fill that failed: memory that frame took behind the pages is given back. */
	void (*abandon)(struct vpager_region *region, size_t page, size_t n);
	/* Where the bytes of a page that is present can be read, whatever is visible of it; good until something of it changes. */
	const unsigned char *(*bytes)(const struct vpager_region *region, size_t page);
	/* Whether to show the page for writing leaves its bytes where they are, and keeps them for snapshots: cow_preserved_at.  NULL: no. */
	bool (*leaves)(const struct vpager_region *region, size_t page);
	/* What is visible of present pages changes; PROT_NONE hides them and keeps the bytes.  -ENOMEM: no mapping, or no memory,
	 * to be had; they are as before. */
	int (*protect)(struct vpager_region *region, size_t page, size_t n, int from, int to);
	/* The pages, visible with prot, go, and their memory is given back.  On error they are as before. */
	int (*drop)(struct vpager_region *region, size_t page, size_t n, int prot);
};

/* engine_uffd_thread: the same, but for who answers a fault: see uffd.h. */
extern const struct engine engine_mprotect, engine_uffd, engine_uffd_thread;

/* Of the two over userfaultfd: the mapping of claimed pages allows what it does when no barrier is up; prot: of the pages. */
int engine_uffd_reopen(const struct vpager_region *region, size_t page, size_t n, int prot);

#endif
