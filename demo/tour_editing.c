/* SPDX-License-Identifier: MIT
 *
 * The part of the tour that writes: a copy of the file is edited as if it were memory, and looked at on disk.  The original
 * is only ever read. */
#include "tour.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EDIT_EVERY 4 /* pages */
#define EDIT_BYTES 64

/* The part goes through the file three times. */
enum step { STEP_COPY, STEP_EDIT, STEP_LOOK, STEPS };

static void bar(const struct tour *tour, const struct result *result, enum step step, uint64_t at)
{
	report_bar(result, step * tour->length + at, STEPS * tour->length);
}

/* ---- the edit ---- */

struct edit {
	unsigned char *page;
	size_t len;
};

/* Inverts the first bytes of a page.  The same function makes what is in the region and what should be on disk in the end;
 * if it did nothing that would be noticed, as the region would not be dirty. */
static void invert(void *arg)
{
	struct edit *edit = arg;

	for (size_t i = 0; i < edit->len && i < EDIT_BYTES; i++)
		edit->page[i] = (unsigned char)~edit->page[i];
}

/* Each page is compared before it is edited.  So it is in memory but not writable: the first write to it is a fault of
 * another kind. */
static bool edit_pages(struct paged *paged)
{
	const struct tour *tour = paged->tour;
	struct vpager_fault fault;

	for (size_t page = 0; page < tour->pages; page++) {
		uint64_t at = (uint64_t)page * tour->page_bytes;
		struct edit edit = {paged->bytes + at, bytes_from(tour, at, tour->page_bytes)};
		int err;

		if (!paged_equal(paged, at, edit.len, &fault))
			return false;
		err = page % EDIT_EVERY == 0 ? vpager_try(invert, &edit, NULL) : 0;
		if (err)
			return failed(paged->result, "editing at byte %" PRIu64 ": %s", at, strerror(-err));
		paged_count(paged);
		bar(tour, paged->result, STEP_EDIT, at);
	}
	return true;
}

struct dirty_pages {
	size_t page_bytes, edited, others;
};

static int count_dirty(void *ctx, size_t off, size_t len)
{
	struct dirty_pages *dirty = ctx;

	for (size_t at = off; at < off + len; at += dirty->page_bytes) {
		if (at / dirty->page_bytes % EDIT_EVERY == 0)
			dirty->edited++;
		else
			dirty->others++;
	}
	return 0;
}

/* The region knows which pages were written to, also those that have been evicted since. */
static bool edits_are_known(struct paged *paged)
{
	struct dirty_pages dirty = {.page_bytes = paged->tour->page_bytes};
	size_t edited = (paged->tour->pages + EDIT_EVERY - 1) / EDIT_EVERY;
	int err = vpager_region_dirty(paged->region, 0, vpager_region_length(paged->region), false, count_dirty, &dirty);

	if (err)
		return failed(paged->result, "vpager_region_dirty: %s", strerror(-err));
	if (dirty.edited != edited || dirty.others)
		return failed(paged->result, "of %zu edited pages %zu are known as written, and %zu others", edited,
		              dirty.edited, dirty.others);
	return true;
}

/* Under the limit most edited pages had to be written back and evicted to make room for others; this is for the rest. */
static bool flush(struct paged *paged)
{
	int err = vpager_region_flush(paged->region, 0, vpager_region_length(paged->region));

	paged_count(paged);
	if (err)
		return failed(paged->result, "flushing: %s", strerror(-err));
	if (paged->result->stats.dirty_bytes)
		return failed(paged->result, "%" PRIu64 " bytes are dirty after a flush", paged->result->stats.dirty_bytes);
	return true;
}

static bool edit_copy(const struct tour *tour, int fd, struct result *result)
{
	struct paged paged;

	if (!paged_open(&paged, tour, result, fd, true))
		return false;
	return paged_close(&paged, edit_pages(&paged) && edits_are_known(&paged) && flush(&paged));
}

/* ---- the copy ---- */

/* A temporary file that has lost its name, so that nothing is left behind however the tour ends: one descriptor to edit it
 * by, another one, read-only, to look at what is on disk. */
static bool temporary_file(int *edit_fd, int *look_fd, struct result *result)
{
	const char *directory = getenv("TMPDIR");
	char path[PATH_MAX];

	directory = directory && *directory ? directory : "/tmp";
	snprintf(path, sizeof path, "%s/vpager-tour.XXXXXX", directory); /* if cut short, it does not end in six X: EINVAL */
	*edit_fd = mkostemp(path, O_CLOEXEC);
	if (*edit_fd < 0)
		return failed(result, "no temporary file in %s: %s", directory, strerror(errno));
	*look_fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	if (*look_fd >= 0)
		return true;
	close(*edit_fd);
	return failed(result, "the temporary file in %s cannot be read", directory);
}

static bool make_copy(const struct tour *tour, int fd, struct result *result)
{
	for (uint64_t at = 0; at < tour->length; at += tour->stretch_bytes) {
		size_t len = bytes_from(tour, at, tour->stretch_bytes);
		int err = read_at(tour->fd, at, tour->found, len);

		err = err ? err : write_at(fd, at, tour->found, len);
		if (err)
			return failed(result, "making a copy: %s", strerror(-err));
		bar(tour, result, STEP_COPY, at);
	}
	return true;
}

/* As it should be on disk: the original in tour->expected with the edit. */
static void edit_expected(const struct tour *tour, uint64_t at, size_t len)
{
	for (size_t off = 0; off < len; off += tour->page_bytes)
		if ((at + off) / tour->page_bytes % EDIT_EVERY == 0)
			invert(&(struct edit){tour->expected + off, len - off});
}

/* What is on disk, without paging, against the original with the same edit. */
static bool look_at_copy(const struct tour *tour, int fd, struct result *result)
{
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* really from the disk, where the file system has one */
	for (uint64_t at = 0; at < tour->length; at += tour->stretch_bytes) {
		size_t len = bytes_from(tour, at, tour->stretch_bytes), i = 0;
		int err = read_at(tour->fd, at, tour->expected, len);

		err = err ? err : read_at(fd, at, tour->found, len);
		if (err)
			return failed(result, "pread at byte %" PRIu64 ": %s", at, strerror(-err));
		edit_expected(tour, at, len);
		while (i < len && tour->found[i] == tour->expected[i])
			i++;
		if (i < len)
			return failed(result, "byte %" PRIu64 " of the edited copy is 0x%02x on disk and should be 0x%02x",
			              at + i, tour->found[i], tour->expected[i]);
		result->compared_bytes += len;
		bar(tour, result, STEP_LOOK, at);
	}
	return finished(result, "every %dth page of a copy edited and flushed: on disk as it should be", EDIT_EVERY);
}

bool part_editing(const struct tour *tour, struct result *result)
{
	int edit_fd, look_fd;
	bool ok;

	if (!temporary_file(&edit_fd, &look_fd, result))
		return false;
	ok = make_copy(tour, edit_fd, result) && edit_copy(tour, edit_fd, result) && look_at_copy(tour, look_fd, result);
	close(look_fd);
	close(edit_fd);
	return ok;
}
