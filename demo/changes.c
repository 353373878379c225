/* SPDX-License-Identifier: MIT
 *
 * changes [FILE]: keeps a copy of a changing region up to date by looking only at the pages that were written to.  The
 * region is FILE as memory, or 16 MiB of zeros; its pages are private, so that the file stays as it is.  After each round of
 * edits the copy must be the same as the region. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vpager.h>

#define ROUNDS 4

struct mirror {
	unsigned char *copy;
	const unsigned char *bytes; /* in the region */
	size_t len, sent;
};

/* Called for each run of pages that were written to. */
static int send_run(void *ctx, size_t off, size_t len)
{
	struct mirror *mirror = ctx;

	memcpy(mirror->copy + off, mirror->bytes + off, len);
	mirror->sent += len;
	return 0;
}

/* A handful of bytes here and there, each round elsewhere. */
static void edit(unsigned char *bytes, size_t len, unsigned int round)
{
	for (size_t i = 0; i < 10 * round; i++)
		bytes[i * 1234577 * round % len]++;
}

/* Each question is about the writes since the one before.  0 or a negative errno value. */
static int keep_up(struct vpager_region *region, struct mirror *mirror)
{
	int err = 0;

	for (unsigned int round = 1; !err && round <= ROUNDS; round++) {
		edit(vpager_region_base(region), mirror->len, round);
		mirror->sent = 0;
		err = vpager_region_dirty(region, 0, mirror->len, true, send_run, mirror);
		if (!err && memcmp(mirror->copy, mirror->bytes, mirror->len) != 0)
			err = -EBADMSG;
		if (!err)
			printf("round %u: %zu bytes sent of %zu; the copy is equal\n", round, mirror->sent, mirror->len);
	}
	return err;
}

static int open_region(struct vpager_region **out, const char *path)
{
	struct vpager_region_options options = {.size = sizeof options, .length = path ? 0 : 16 << 20};
	int fd, err;

	if (!path)
		return vpager_region_create(out, &options);
	fd = open(path, O_RDONLY | O_CLOEXEC); /* a store without write, and so a private region */
	if (fd < 0)
		return -errno;
	err = vpager_store_file(&options.store, fd, 0, 0, 0);
	close(fd);
	if (err)
		return err;
	err = vpager_region_create(out, &options);
	vpager_store_unref(options.store);
	return err;
}

int main(int argc, char **argv)
{
	struct vpager_region *region = NULL;
	struct mirror mirror = {0};
	int err = open_region(&region, argv[1]);

	if (!err) {
		mirror.bytes = vpager_region_base(region);
		mirror.len = vpager_region_length(region);
		mirror.copy = malloc(mirror.len);
		err = mirror.copy ? 0 : -ENOMEM;
	}
	if (!err) {
		memcpy(mirror.copy, mirror.bytes, mirror.len); /* the first time, everything */
		err = keep_up(region, &mirror);
	}
	if (err)
		fprintf(stderr, "changes: %s: %s\n", argc > 1 ? argv[1] : "zeros", strerror(-err));
	vpager_region_destroy(region, 0);
	free(mirror.copy);
	return err ? 1 : 0;
}
