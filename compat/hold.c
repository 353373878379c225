/* SPDX-License-Identifier: MIT
 *
 * What one call holds pinned, and the errors that it fails with where something cannot be pinned. */
#include "syscalls.h"
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

static struct pinned *all_of(struct hold *hold)
{
	return hold->n > HOLD_INLINE || hold->more ? hold->more : hold->few;
}

void hold_end(struct hold *hold)
{
	int saved = errno;

	for (unsigned i = 0; i < hold->n; i++)
		(void)vpager_unpin_address(all_of(hold)[i].at, all_of(hold)[i].len); /* pinned below */
	if (hold->more)
		munmap(hold->more, hold->room * sizeof *hold->more);
	hold->n = 0;
	errno = saved;
}

/* Room for one more.  By mmap: we may be in a signal handler, and malloc may be the program's. */
static bool make_room(struct hold *hold)
{
	unsigned room = hold->n < HOLD_INLINE ? 0 : hold->n == HOLD_INLINE ? 256 : hold->room * 2;
	struct pinned *more;

	if (hold->n == 0) {
		hold->more = NULL;
		hold->room = HOLD_INLINE;
	}
	if (hold->n < hold->room)
		return true;
	more = mmap(NULL, room * sizeof *more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (more == MAP_FAILED)
		return false;
	memcpy(more, all_of(hold), hold->n * sizeof *more);
	if (hold->more)
		munmap(hold->more, hold->room * sizeof *more);
	hold->more = more;
	hold->room = room;
	return true;
}

/* What is forbidden is EFAULT, as in a mapping.  EAGAIN and EINTR would ask the program to do it again. */
static int errno_for(int err)
{
	switch (err) {
	case -EACCES:
	case -ESTALE:
		return EFAULT;
	case -EAGAIN: /* 65,535 pins of a page */
		return ENOMEM;
	case -EINTR:
		return EIO;
	default:
		return -err;
	}
}

bool hold_pin(struct hold *hold, const void *at, size_t len, bool for_write)
{
	int err = make_room(hold) ? vpager_pin_address(at, len, for_write) : -ENOMEM;

	if (err) {
		errno = errno_for(err);
		return false;
	}
	all_of(hold)[hold->n++] = (struct pinned){at, len};
	return true;
}

bool hold_string(struct hold *hold, const char *text)
{
	return !text || !vpager_address_managed(text, 1) || hold_pin(hold, text, strlen(text) + 1, false);
}

bool hold_sized(struct hold *hold, const void *at, socklen_t *len)
{
	if (!len || !vpager_address_managed(NULL, SIZE_MAX)) /* nothing is: not even *len is looked at */
		return true;
	return hold_buffer(hold, len, sizeof *len, true) && hold_buffer(hold, at, *len, true);
}

int hold_vector(struct hold *hold, const struct iovec *iov, int n, bool for_write)
{
	if (n <= 0 || n > IOV_MAX || !vpager_address_managed(NULL, SIZE_MAX))
		return n;
	if (!hold_buffer(hold, iov, (size_t)n * sizeof *iov, false))
		return -1;
	for (int i = 0; i < n; i++)
		if (!hold_buffer(hold, iov[i].iov_base, iov[i].iov_len, for_write))
			return i;
	return n;
}

static bool hold_parts(struct hold *hold, const struct msghdr *msg, bool for_write)
{
	int n = msg->msg_iovlen > IOV_MAX ? 0 : (int)msg->msg_iovlen;

	return hold_buffer(hold, msg->msg_name, msg->msg_name ? msg->msg_namelen : 0, for_write) &&
	       hold_buffer(hold, msg->msg_control, msg->msg_control ? msg->msg_controllen : 0, for_write) &&
	       hold_vector(hold, msg->msg_iov, n, for_write) == n;
}

bool hold_message(struct hold *hold, const struct msghdr *msg, bool for_write)
{
	if (!vpager_address_managed(NULL, SIZE_MAX))
		return true;
	return hold_buffer(hold, msg, sizeof *msg, for_write) && hold_parts(hold, msg, for_write);
}

bool hold_messages(struct hold *hold, const struct mmsghdr *msg, unsigned n, bool for_write)
{
	if (n > IOV_MAX)
		n = IOV_MAX; /* as the kernel does */
	if (!vpager_address_managed(NULL, SIZE_MAX))
		return true;
	if (!hold_buffer(hold, msg, n * sizeof *msg, true)) /* the kernel writes msg_len */
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!hold_parts(hold, &msg[i].msg_hdr, for_write))
			return false;
	return true;
}
