/* SPDX-License-Identifier: MIT
 *
 * Calls on sockets.  A datagram is taken from the socket before its bytes are copied, so a buffer that turns out to be
 * hidden then loses it: everything is pinned before the call. */
#include "syscalls.h"
#include <time.h>

#define BUF(at, len) hold_buffer(&hold, at, len, true)
#define BYTES(at, len) hold_buffer(&hold, at, len, false)
#define SOCKADDR(address) ((address).__sockaddr__) /* glibc declares these pointers as a union of all kinds of addresses */

/* ---- bytes ---- */

static ssize_t recv_once(const struct transfer *t, void *at, size_t len, size_t done)
{
	(void)done;
	return REAL(recv)(t->fd, at, len, t->flags);
}

static ssize_t send_once(const struct transfer *t, void *at, size_t len, size_t done)
{
	(void)done;
	return REAL(send)(t->fd, at, len, t->flags);
}

static ssize_t recv_in_pieces(int fd, void *buf, size_t len, int flags)
{
	struct transfer t = {.once = recv_once, .fd = fd, .flags = flags, .for_write = true};

	t.all = (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
	return errno == ENOMEM ? transfer_in_pieces(&t, buf, len) : -1;
}

static ssize_t send_in_pieces(int fd, const void *buf, size_t len, int flags)
{
	struct transfer t = {.once = send_once, .fd = fd, .flags = flags, .all = true};

	return errno == ENOMEM ? transfer_in_pieces(&t, (void *)(uintptr_t)buf, len) : -1;
}

EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	HOLD(hold);
	return BUF(buf, len) ? REAL(recv)(fd, buf, len, flags) : recv_in_pieces(fd, buf, len, flags);
}

EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	HOLD(hold);
	return BYTES(buf, len) ? REAL(send)(fd, buf, len, flags) : send_in_pieces(fd, buf, len, flags);
}

/* With an address it is a message, or a stream that ignores the address. */
EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags, __SOCKADDR_ARG from, socklen_t *restrict from_len)
{
	HOLD(hold);
	if (!hold_sized(&hold, SOCKADDR(from), from_len))
		return -1;
	if (BUF(buf, len))
		return REAL(recvfrom)(fd, buf, len, flags, from, from_len);
	return SOCKADDR(from) ? -1 : recv_in_pieces(fd, buf, len, flags);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_len)
{
	HOLD(hold);
	if (!BYTES(SOCKADDR(to), SOCKADDR(to) ? to_len : 0))
		return -1;
	if (BYTES(buf, len))
		return REAL(sendto)(fd, buf, len, flags, to, to_len);
	return SOCKADDR(to) ? -1 : send_in_pieces(fd, buf, len, flags);
}

/* ---- messages: whole, or ENOMEM before anything happens ---- */

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	HOLD(hold);
	return hold_message(&hold, msg, true) ? REAL(recvmsg)(fd, msg, flags) : -1;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	HOLD(hold);
	return hold_message(&hold, msg, false) ? REAL(sendmsg)(fd, msg, flags) : -1;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags, struct timespec *timeout)
{
	HOLD(hold);
	return hold_messages(&hold, msg, n, true) && BUF(timeout, timeout ? sizeof *timeout : 0)
		   ? REAL(recvmmsg)(fd, msg, n, flags, timeout)
		   : -1;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags)
{
	HOLD(hold);
	return hold_messages(&hold, msg, n, false) ? REAL(sendmmsg)(fd, msg, n, flags) : -1;
}

/* ---- addresses and options ---- */

#define ADDRESS_OUT(name)                                                                                                   \
	EXPORT int name(int fd, __SOCKADDR_ARG address, socklen_t *restrict len)                                            \
	{                                                                                                                   \
		HOLD(hold);                                                                                                 \
		return hold_sized(&hold, SOCKADDR(address), len) ? REAL(name)(fd, address, len) : -1;                       \
	}
#define ADDRESS_IN(name)                                                                                                    \
	EXPORT int name(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)                                                \
	{                                                                                                                   \
		HOLD(hold);                                                                                                 \
		return BYTES(SOCKADDR(address), SOCKADDR(address) ? len : 0) ? REAL(name)(fd, address, len) : -1;           \
	}
ADDRESS_OUT(accept)
ADDRESS_OUT(getsockname)
ADDRESS_OUT(getpeername)
ADDRESS_IN(bind)
ADDRESS_IN(connect)

EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict len, int flags)
{
	HOLD(hold);
	return hold_sized(&hold, SOCKADDR(address), len) ? REAL(accept4)(fd, address, len, flags) : -1;
}

EXPORT int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict len)
{
	HOLD(hold);
	return hold_sized(&hold, value, len) ? REAL(getsockopt)(fd, level, option, value, len) : -1;
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	HOLD(hold);
	return BYTES(value, value ? len : 0) ? REAL(setsockopt)(fd, level, option, value, len) : -1;
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	HOLD(hold);
	return BUF(fds, 2 * sizeof *fds) ? REAL(socketpair)(domain, type, protocol, fds) : -1;
}
