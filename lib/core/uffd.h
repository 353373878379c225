/* SPDX-License-Identifier: MIT
 *
 * The userfaultfds: one descriptor of each kind for all regions.  The only event that is asked for is that a registered mapping
 * moved; while nobody has read of it the other calls wait.  copy, move, protect and forget run in the handler.  In a child of a raw
 * clone, whose copy of the descriptor is about the parent's memory, copy, move and protect say -ESTALE.  -EBADF:
 * somebody closed the descriptor, and it cannot be made good. */
#ifndef VPAGER_CORE_UFFD_H
#define VPAGER_CORE_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who learns that a page is missing, or write-protected and written to. */
enum uffd_kind {
	UFFD_SIGNAL, /* the thread that touches it, by SIGBUS; a system call says EFAULT */
	UFFD_READ    /* whoever reads the descriptor, which does not block, while the thread or its system call waits; a privilege */
};

/* Whether all of it works here, tried once: 0, or why not (-EPERM, -ENOSYS: denied; -EINVAL: a kernel that cannot do it).
 * Under the runtime lock, as open and close. */
int engine_uffd_probe(enum uffd_kind kind);
/* The descriptor, made at first, or again if somebody closed it; or a negative errno value.  page_bytes: of the
 * system's pages. */
int uffd_open(enum uffd_kind kind, size_t page_bytes);
void uffd_close(void);
/* Whether pages that are registered with UFFD_SIGNAL's may be moved away: not since somebody closed the descriptor, for then nobody
 * can read what the first one tells.  *waits: whoever moves them waits until the event of it was read, which is what makes it quick,
 * since the kernel moves whole page tables then.  Under the runtime lock. */
bool uffd_may_move(bool *waits);
int uffd_descriptor(enum uffd_kind kind); /* its number at this moment */

/* The pages of a private anonymous mapping that are not there, or write-protected, are ours from now on. */
int uffd_register(enum uffd_kind kind, uintptr_t at, size_t len);
/* Pages that are missing get these bytes, each in one step.  *done: how many bytes, also after an error.  Where the range is
 * more than one mapping it goes in steps.  -EEXIST: a page is there.  -EFAULT: `from` cannot be read.  -ENOMEM. */
int uffd_copy(enum uffd_kind kind, uintptr_t to, const void *from, size_t len, size_t step, bool protected, size_t *done);
/* Missing pages get those that are at `from`, where they are missing afterwards; what comes can be written to.  -EINVAL: the kernel
 * cannot.  -EBUSY: not with this page, which others have too. */
int uffd_move(enum uffd_kind kind, uintptr_t to, uintptr_t from, size_t len, size_t *done);
/* Whether the pages that are there can be written to. */
int uffd_protect(enum uffd_kind kind, uintptr_t at, size_t len, bool protected);
/* Who waits for one of these pages tries again, which neither copy nor protect brings about: the page's word comes first. */
void uffd_wake(enum uffd_kind kind, uintptr_t at, size_t len);
/* The pages are missing again. */
int uffd_forget(uintptr_t at, size_t len);

#endif
