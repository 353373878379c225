/* SPDX-License-Identifier: MIT
 *
 * A transfer of more bytes than the resident limit lets us pin at once: in pieces, where the bytes are a stream.  A message
 * comes or goes whole, so there it fails with ENOMEM before anything is lost. */
#include "syscalls.h"
#include <fcntl.h>
#include <sys/stat.h>

static bool has_no_edges(int fd, bool *regular)
{
	struct stat st;
	int type = 0;
	socklen_t len = sizeof type;

	*regular = false;
	if (fstat(fd, &st) != 0)
		return false;
	*regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	if (S_ISSOCK(st.st_mode))
		return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
	if (S_ISFIFO(st.st_mode))
		return !(fcntl(fd, F_GETFL) & O_DIRECT); /* a pipe of packets: pipe(2) */
	return *regular;
}

bool is_stream(int fd)
{
	bool regular;
	int saved = errno;
	bool stream = has_no_edges(fd, &regular);

	errno = saved;
	return stream;
}

/* Pins as much from `at` on as it can; how much. */
static size_t hold_most(struct hold *hold, void *at, size_t len, bool for_write)
{
	while (len && !hold_pin(hold, at, len, for_write))
		len = errno == ENOMEM ? len / 2 : 0;
	return len;
}

ssize_t transfer_in_pieces(const struct transfer *transfer, void *at, size_t len)
{
	size_t most = SIZE_MAX >> 1, done = 0;
	bool regular;
	int saved = errno;

	if (transfer->fd >= 0 && !has_no_edges(transfer->fd, &regular)) {
		errno = saved;
		return -1;
	}
	if (transfer->fd < 0)
		regular = true;
	if (len > most)
		len = most;
	while (done < len) {
		HOLD(hold);
		size_t n = hold_most(&hold, (char *)at + done, len - done, transfer->for_write);
		ssize_t got = n ? transfer->once(transfer, (char *)at + done, n, done) : -1;

		if (got < 0)
			return done ? (ssize_t)done : -1;
		done += (size_t)got;
		if ((size_t)got < n || !(transfer->all || regular))
			break;
	}
	return (ssize_t)done;
}
