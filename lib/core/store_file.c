/* SPDX-License-Identifier: MIT
 *
 * The store over a part of a file: its read and write, which run in the handler.  pread and pwrite carry their own offset, so
 * that threads need no lock. */
#include <errno.h>
#include <string.h>
#include "store.h"
#include "sys.h"

/* The part of [offset, offset + len) that the file part has. */
static size_t inside(const struct file_store *file, uint64_t offset, size_t len)
{
	uint64_t left = offset < file->length ? file->length - offset : 0;

	return left < len ? (size_t)left : len;
}

int file_store_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct file_store *file = ctx;
	size_t want = inside(file, offset, len), done = 0;

	while (done < want) {
		ssize_t n = sys_pread(file->fd, (char *)buf + done, want - done, (int64_t)(file->offset + offset + done));

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			break; /* the file became shorter: zeros from here on */
		done += (size_t)n;
	}
	memset((char *)buf + done, 0, len - done);
	return 0;
}

/* Of len bytes at offset, what the file itself still has.  Somebody may have cut it, and we do not make it grow again. */
static ssize_t still_there(const struct file_store *file, uint64_t offset, size_t len)
{
	int64_t size = file->may_end ? sys_file_size(file->fd) : INT64_MAX;
	uint64_t left;

	if (size < 0)
		return (ssize_t)size;
	left = (uint64_t)size > file->offset + offset ? (uint64_t)size - (file->offset + offset) : 0;
	return (ssize_t)(left < len ? left : len);
}

int file_store_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	const struct file_store *file = ctx;
	size_t want = inside(file, offset, len), done = 0;
	ssize_t fits = still_there(file, offset, want);

	while ((ssize_t)done < fits) {
		ssize_t n = sys_pwrite(file->fd, (const char *)buf + done, (size_t)fits - done,
		                       (int64_t)(file->offset + offset + done));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	if (fits < 0)
		return (int)fits;
	return done < want ? -EFBIG : 0; /* what does not fit is not lost: its pages stay dirty */
}
