/* SPDX-License-Identifier: MIT
 *
 * What contenders of the paging cases share: the bytes that pages are filled with, in memory and in a file, and the order in
 * which pages are come to.  Made by the parent, only read by its children. */
#ifndef VPAGER_BENCH_SOURCE_H
#define VPAGER_BENCH_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpager_region;

struct source {
	size_t page_bytes, n_pages, n_bytes;
	char *bytes;
	uint32_t *order; /* page numbers */
	int fd;          /* an unlinked file with the same bytes; see source_warm_file */
	int file_error;  /* why there is none */
};
extern struct source source;

/* In the parent.  random: a permutation, the same one every time; else in sequence.  0 or a negative errno value. */
int source_make(size_t bytes, size_t page_bytes, bool random);
void source_drop(void);

/* The word at an index of 8 bytes. */
uint64_t source_word(uint64_t index);

/* In the child.  The file is in the page cache; gives up where there is no file. */
void source_warm_file(void);
/* n_bytes of fresh mapping, without huge pages, or gives up. */
char *source_map(int prot, int flags, int fd);

/* In the child.  A region of page_bytes over it all, by this engine (enum vpager_engine), and its end; or gives up. */
enum source_kind { SOURCE_MEMORY, SOURCE_FILE };
struct vpager_region *source_region(int engine, enum source_kind kind);
void source_region_end(struct vpager_region *region);
/* What measure says of such a region, which is new and ends afterwards; the thread is pinned. */
double source_measure(int engine, enum source_kind kind, double (*measure)(struct vpager_region *region));
/* Every byte is as it should be, or gives up. */
void source_compare(const char *base);

#endif
