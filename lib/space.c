/* SPDX-License-Identifier: MIT
 *
 * Extents in sparse files: first fit among what was given back, else at the end.  Files are as large as they can be from the
 * start, which costs nothing until pages are touched. */
#include "space.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "core/sys.h"

#define ALIGNMENT ((int64_t)2 << 20) /* the largest page */

struct hole {
	struct hole *next;
	int64_t offset, len;
};

struct file {
	struct file *next;
	enum space_kind kind;
	int fd;
	bool limited; /* by its file system */
	int64_t end, most; /* behind the last extent; never beyond most */
	struct hole *holes; /* below end, in order, none touches another */
};

static struct file *files;
static struct file *parents; /* in a fork child, until it has what it needs of them */

static int64_t largest_file(void)
{
	/* 32-bit CPUs: mmap2 counts 4 KiB units in 32 bits */
	int64_t most = sizeof(long) > 4 ? (int64_t)1 << 62 : (int64_t)1 << 43;
	struct rlimit limit;

	/* Beyond RLIMIT_FSIZE, ftruncate and pwrite raise SIGXFSZ (setrlimit(2)). */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)most)
		most = (int64_t)limit.rlim_cur;
	return most & -ALIGNMENT;
}

static int open_unlinked(const char *directory)
{
	char name[4096];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || snprintf(name, sizeof name, "%s/vpager-XXXXXX", directory) >= (int)sizeof name)
		return fd;
	fd = mkostemp(name, O_CLOEXEC); /* file systems without O_TMPFILE */
	if (fd >= 0)
		unlink(name);
	return fd;
}

static int open_swap(void)
{
	const char *directory = secure_getenv("TMPDIR");
	int fd = directory && *directory ? open_unlinked(directory) : -1;

	if (fd < 0)
		fd = open_unlinked("/var/tmp");
	if (fd < 0)
		fd = open_unlinked("/tmp");
	return fd < 0 ? -errno : fd;
}

/* A memory file; where a container forbids it, a file in memory by another name, and at last one on disk.  *most: how long it
 * may be, which is the file system's to say. */
static int open_memory(int64_t *most, bool *limited)
{
	int fd = memfd_create("vpager", MFD_CLOEXEC);
	int err;

	*limited = fd < 0 && (errno == ENOSYS || errno == EPERM);
	if (*limited)
		fd = open_unlinked("/dev/shm");
	if (*limited && fd < 0)
		fd = open_swap();
	if (fd < 0)
		return *limited ? fd : -errno;
	while (ftruncate(fd, *most) < 0) {
		err = -errno;
		*most = *most / 2 & -ALIGNMENT;
		if (err != -EFBIG || *most == 0) {
			close(fd);
			return err;
		}
	}
	return fd;
}

static int add_file(enum space_kind kind, struct file **out)
{
	struct file *file = calloc(1, sizeof *file);
	int fd;

	if (!file)
		return -ENOMEM;
	file->kind = kind;
	file->most = largest_file();
	fd = kind == SPACE_MEMORY ? open_memory(&file->most, &file->limited) : open_swap();
	if (fd < 0) {
		free(file);
		return fd;
	}
	file->fd = fd;
	file->next = files;
	files = file;
	*out = file;
	return 0;
}

static int64_t take_hole(struct file *file, int64_t len)
{
	for (struct hole **at = &file->holes; *at; at = &(*at)->next) {
		struct hole *hole = *at;
		int64_t offset = hole->offset;

		if (hole->len < len)
			continue;
		hole->offset += len;
		hole->len -= len;
		if (hole->len == 0) {
			*at = hole->next;
			free(hole);
		}
		return offset;
	}
	return -1;
}

static int64_t take(struct file *file, int64_t len)
{
	int64_t offset = take_hole(file, len);

	if (offset < 0 && len <= file->most - file->end) {
		offset = file->end;
		file->end += len;
	}
	return offset;
}

int space_alloc(enum space_kind kind, size_t bytes, struct extent *out)
{
	int64_t len = (int64_t)((bytes + (size_t)ALIGNMENT - 1) & ~((size_t)ALIGNMENT - 1)), offset = -1;
	struct file *file;
	int err;

	if (len <= 0 || len > largest_file())
		return -EFBIG;
	for (file = files; file; file = file->next) {
		if (file->kind == kind)
			offset = take(file, len);
		if (offset >= 0)
			break;
	}
	if (!file) {
		err = add_file(kind, &file);
		if (err)
			return err;
		offset = take(file, len);
		if (offset < 0)
			return -EFBIG; /* than the file system allows */
	}
	*out = (struct extent){file->fd, offset, (size_t)len, file->limited};
	return 0;
}

/* The last extent of a file takes holes before it along. */
static void shrink(struct file *file, int64_t end)
{
	struct hole **at = &file->holes;

	file->end = end;
	while (*at && (*at)->offset + (*at)->len < end)
		at = &(*at)->next;
	if (*at) {
		file->end = (*at)->offset;
		free(*at);
		*at = NULL;
	}
}

static void add_hole(struct file *file, int64_t offset, int64_t len)
{
	struct hole **at = &file->holes, *hole, *next;

	while (*at && (*at)->offset + (*at)->len < offset)
		at = &(*at)->next;
	hole = *at;
	if (hole && hole->offset + hole->len == offset) {
		hole->len += len;
	} else if (hole && offset + len == hole->offset) {
		hole->offset = offset;
		hole->len += len;
	} else {
		hole = malloc(sizeof *hole);
		if (!hole)
			return; /* the addresses in the file are lost, no more */
		*hole = (struct hole){*at, offset, len};
		*at = hole;
	}
	next = hole->next;
	if (next && hole->offset + hole->len == next->offset) {
		hole->len += next->len;
		hole->next = next->next;
		free(next);
	}
}

void space_free(enum space_kind kind, const struct extent *extent)
{
	int64_t len = (int64_t)extent->len;

	for (struct file *file = files; file; file = file->next) {
		if (file->kind != kind || file->fd != extent->fd)
			continue;
		if (sys_fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, extent->offset, len) != 0 &&
		    kind == SPACE_MEMORY)
			return; /* what cannot be emptied is not used again: a region must start as zeros */
		if (extent->offset + len == file->end)
			shrink(file, extent->offset);
		else
			add_hole(file, extent->offset, len);
		return;
	}
}

static void close_files(struct file *file)
{
	while (file) {
		struct file *next = file->next;

		while (file->holes) {
			struct hole *hole = file->holes;

			file->holes = hole->next;
			free(hole);
		}
		close(file->fd);
		free(file);
		file = next;
	}
}

void space_close_all(void)
{
	close_files(files);
	files = NULL;
}

void space_leave(void)
{
	parents = files;
	files = NULL;
}

void space_forget(void)
{
	close_files(parents);
	parents = NULL;
}
