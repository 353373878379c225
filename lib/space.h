/* SPDX-License-Identifier: MIT
 *
 * Room in a few large sparse files, shared by all regions so that thousands of them need few descriptors: memory files for
 * the pages, and an unlinked file on disk for swap.  Under the runtime lock. */
#ifndef VPAGER_SPACE_H
#define VPAGER_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum space_kind { SPACE_MEMORY, SPACE_SWAP };

struct extent {
	int fd;
	int64_t offset;
	size_t len;
	bool limited; /* the file is in a file system that may be full */
};

/* len is rounded up.  -EFBIG: larger than a file may be (RLIMIT_FSIZE).  -EMFILE, -ENOMEM, or why no file can be made. */
int space_alloc(enum space_kind kind, size_t len, struct extent *out);
void space_free(enum space_kind kind, const struct extent *extent); /* its contents go */
void space_close_all(void);                                          /* no extent is in use */
/* In a fork child: the files are the parent's.  They are taken out of use, but stay open until space_forget. */
void space_leave(void);
void space_forget(void);

#endif
