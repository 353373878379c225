/* SPDX-License-Identifier: MIT
 *
 * Copies of pages: room that is taken inside faults, without a lock and without malloc, and given back by ordinary threads.
 * Chunks that double in size; each is one mapping, whose memory the kernel gives as it is touched.  Runs in the handler.
 *
 *      chunk k:   header | bitmap: slots in use | records | bytes of the pages
 *
 * The bytes of a copy may be elsewhere: in what a snapshot moved away (engine_uffd.c).  Its slot then has none. */
#ifndef VPAGER_CORE_COPIES_H
#define VPAGER_CORE_COPIES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A copy is right for generations in (after, upto]. */
struct copy {
	_Atomic(uint32_t) older; /* the page's copy before this one; 0: none */
	_Atomic(uint32_t) next;  /* of the same snapshot */
	_Atomic(uint32_t) upto;
	uint32_t after;
	size_t page;
	unsigned char *elsewhere; /* its bytes; NULL: they are in its slot */
};

#define COPY_CHUNKS 22

struct copies {
	size_t page_bytes;
	unsigned int first_shift; /* slots of chunk 0 */
	struct copy_chunk *_Atomic chunk[COPY_CHUNKS];
};

void copies_init(struct copies *copies, size_t page_bytes);
/* A number from 1 on; 0: none, and *err says why.  elsewhere: of the bytes, or NULL. */
uint32_t copies_take(struct copies *copies, unsigned char *elsewhere, int *err);
struct copy *copies_record(struct copies *copies, uint32_t id);
unsigned char *copies_bytes(struct copies *copies, uint32_t id);
/* n in a row, all with their bytes in their slots, which are given back, or all elsewhere; nobody looks at them any more. */
void copies_free(struct copies *copies, uint32_t id, uint32_t n);
void copies_unmap(struct copies *copies);             /* all of it */

#endif
