/* SPDX-License-Identifier: MIT
 *
 * The tour's store.  Its callbacks are called by worker threads, several at a time, when a page is touched that is not in
 * memory, or a dirty one has to leave it.  read fills all of the buffer, or fails: never half of it. */
#include "tour_disk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int read_at(int fd, uint64_t offset, void *buf, size_t len)
{
	unsigned char *to = buf;

	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset(to, 0, len);
			return 0;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int write_at(int fd, uint64_t offset, const void *buf, size_t len)
{
	const unsigned char *from = buf;

	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int disk_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct disk *disk = ctx;
	uint64_t bad = disk->bad;

	disk->reads++;
	if (bad >= offset && bad - offset < len)
		return -EIO;
	return read_at(disk->fd, offset, buf, len);
}

static int disk_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct disk *disk = ctx;

	disk->pages_written += (len + disk->page_bytes - 1) / disk->page_bytes; /* the last page may be cut short */
	return write_at(disk->fd, offset, buf, len);
}

static int disk_flush(void *ctx)
{
	struct disk *disk = ctx;

	return fdatasync(disk->fd) < 0 ? -errno : 0;
}

static int disk_length(void *ctx, uint64_t *out)
{
	struct disk *disk = ctx;

	*out = disk->length;
	return 0;
}

int disk_store(struct vpager_store **out, struct disk *disk, bool writable)
{
	struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "the tour's disk",
	    .read_in = VPAGER_CALL_WORKER,
	    .write_in = VPAGER_CALL_WORKER,
	    .read = disk_read,
	    .write = writable ? disk_write : NULL,
	    .flush = writable ? disk_flush : NULL,
	    .length = disk_length,
	};

	return vpager_store_create(out, &ops, disk);
}
