/* SPDX-License-Identifier: MIT
 *
 * lines FILE...: how many lines each file has, as `wc -l' says it, with at most 1 MiB of a file in memory.  The loop in
 * count() knows nothing of files; a read error ends it, and only it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vpager.h>

struct text {
	const char *bytes; /* in a region */
	size_t len, lines;
};

static void count(void *arg)
{
	struct text *text = arg;

	for (size_t i = 0; i < text->len; i++)
		text->lines += text->bytes[i] == '\n';
}

/* 0 or a negative errno value; so do the others. */
static int lines_in_region(struct vpager_region *region, size_t *lines)
{
	struct text text = {vpager_region_base(region), vpager_region_length(region), 0};
	int err = vpager_try(count, &text, NULL);

	*lines = text.lines;
	return err;
}

static int lines_in_store(struct vpager_store *store, size_t *lines)
{
	struct vpager_region_options options = {
	    .size = sizeof options,
	    .flags = VPAGER_REGION_READ_ONLY,
	    .store = store,
	    .resident_limit_bytes = 1 << 20,
	};
	struct vpager_region *region;
	int err = vpager_region_create(&region, &options);

	if (err)
		return err;
	err = lines_in_region(region, lines);
	vpager_region_destroy(region, 0);
	return err;
}

static int lines_in_file(const char *path, size_t *lines)
{
	struct vpager_store *store;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) == 0) { /* an empty file has no lines, and there is no region of no bytes */
		close(fd);
		return 0;
	}
	err = vpager_store_file(&store, fd, 0, 0, 0);
	close(fd); /* the store has a descriptor of its own */
	if (err)
		return err;
	err = lines_in_store(store, lines);
	vpager_store_unref(store);
	return err;
}

int main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		size_t lines = 0;
		int err = lines_in_file(argv[i], &lines);

		if (err) {
			fprintf(stderr, "lines: %s: %s\n", argv[i], strerror(-err));
			status = 1;
		} else {
			printf("%zu %s\n", lines, argv[i]);
		}
	}
	return status;
}
