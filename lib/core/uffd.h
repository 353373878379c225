/* SPDX-License-Identifier: MIT
 *
 * The userfaultfd: one descriptor for all regions.  No events are asked for, so nothing is ever queued on it, nobody has to
 * read it, and the kernel has no reason to say that the mappings are changing.  A missing or write-protected page is SIGBUS
 * in the thread that touches it.  copy, protect and forget run in the handler.  In a child of a raw clone, whose copy of the
 * descriptor is about the parent's memory, copy and protect say -ESTALE. */
#ifndef VPAGER_CORE_UFFD_H
#define VPAGER_CORE_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all of it works here, tried once: 0, or why not (-EPERM, -ENOSYS: denied; -EINVAL: a kernel that cannot do it).
 * Under the runtime lock, as open and close. */
int engine_uffd_probe(void);
/* The descriptor, made at first; or a negative errno value.  Stays open until uffd_close. */
int uffd_open(void);
void uffd_close(void);

/* The pages of a private anonymous mapping that are not there, or write-protected, are ours from now on. */
int uffd_register(int fd, uintptr_t at, size_t len);
/* Pages that are missing get these bytes, each in one step.  *done: how many bytes, also after an error.  Where the range is
 * more than one mapping it goes in steps.  -EEXIST: a page is there.  -EFAULT: `from` cannot be read.  -ENOMEM. */
int uffd_copy(int fd, uintptr_t to, const void *from, size_t len, size_t step, bool protected, size_t *done);
/* Whether the pages that are there can be written to. */
int uffd_protect(int fd, uintptr_t at, size_t len, bool protected);
/* The pages are missing again. */
int uffd_forget(uintptr_t at, size_t len);

#endif
