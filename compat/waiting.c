/* SPDX-License-Identifier: MIT
 *
 * Calls that wait: for children, whose status is lost with an EFAULT, and for descriptors. */
#include "syscalls.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define OUT(at) hold_buffer(&hold, at, (at) ? sizeof *(at) : 0, true)

EXPORT pid_t wait(int *status)
{
	HOLD(hold);
	return OUT(status) ? REAL(wait)(status) : -1;
}

EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
	HOLD(hold);
	return OUT(status) ? REAL(waitpid)(pid, status, options) : -1;
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
	HOLD(hold);
	return OUT(status) && OUT(usage) ? REAL(wait3)(status, options, usage) : -1;
}

EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	HOLD(hold);
	return OUT(status) && OUT(usage) ? REAL(wait4)(pid, status, options, usage) : -1;
}

EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	HOLD(hold);
	return OUT(info) ? REAL(waitid)(type, id, info, options) : -1;
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	HOLD(hold);
	return hold_buffer(&hold, fds, n * sizeof *fds, true) ? REAL(poll)(fds, n, timeout) : -1;
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	HOLD(hold);
	return hold_buffer(&hold, events, n > 0 ? (size_t)n * sizeof *events : 0, true)
		   ? REAL(epoll_wait)(fd, events, n, timeout)
		   : -1;
}

EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *mask)
{
	HOLD(hold);
	return hold_buffer(&hold, events, n > 0 ? (size_t)n * sizeof *events : 0, true)
		   ? REAL(epoll_pwait)(fd, events, n, timeout, mask)
		   : -1;
}

EXPORT int epoll_ctl(int fd, int op, int of, struct epoll_event *event)
{
	HOLD(hold);
	return hold_buffer(&hold, event, event ? sizeof *event : 0, false) ? REAL(epoll_ctl)(fd, op, of, event) : -1;
}
