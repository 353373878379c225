/* SPDX-License-Identifier: MIT
 *
 * A file behind pread(2) and pwrite(2), as the store of a region: what a program of yours would write for its own data. */
#ifndef TOUR_DISK_H
#define TOUR_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpager.h>

#define DISK_NOWHERE UINT64_MAX

/* The callbacks run in worker threads, several at a time; hence the atomics. */
struct disk {
	int fd;
	uint64_t length;
	size_t page_bytes;
	_Atomic(uint64_t) bad; /* reads of this byte fail, as on a disk with a bad block; DISK_NOWHERE: none do */
	_Atomic(uint64_t) reads, pages_written;
};

/* *disk must stay where it is until the last reference to the store is gone.  0 or a negative errno value. */
int disk_store(struct vpager_store **out, struct disk *disk, bool writable);

/* Without a store: all of buf, or a negative errno value.  Past the end of the file: zeros. */
int read_at(int fd, uint64_t offset, void *buf, size_t len);
int write_at(int fd, uint64_t offset, const void *buf, size_t len);

#endif
