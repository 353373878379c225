/* SPDX-License-Identifier: MIT
 *
 * pageout-launcher COMMAND...: runs COMMAND, and while it does has the kernel reclaim pages of it and of its children, at random
 * places and all the time (process_madvise(2) with MADV_PAGEOUT), as a machine that is short of memory would.  Ends as COMMAND
 * does, or with 77 if this is not to be had here: it needs CAP_SYS_NICE, Linux 5.12 and CONFIG_PROC_CHILDREN. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "skip.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* asm-generic/unistd.h; the same on every CPU but alpha */
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define PROCESSES 64
#define RANGES 256u

static unsigned long long rounds, ranges_done;

static size_t number(size_t below)
{
	static unsigned long long state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % below);
}

/* Memory files of ours and anonymous memory, or parts of them. */
static size_t ranges_of(pid_t pid, struct iovec *range)
{
	char path[64], line[512], rights[8];
	unsigned long long from, to; /* also of a process of more bits than this one, which cannot name all of its pages */
	size_t n = 0, page = (size_t)sysconf(_SC_PAGESIZE);
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = fopen(path, "r");
	while (maps && n < RANGES && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%llx-%llx %7s", &from, &to, rights) != 3 || to > UINTPTR_MAX ||
		    !(strstr(line, "/memfd:vpager") || !strpbrk(line, "/[")))
			continue;
		if (number(3)) { /* a part */
			size_t pages = (size_t)(to - from) / page, first = number(pages);

			from += first * page;
			to = from + (1 + number(pages - first)) * page;
		}
		range[n++] = (struct iovec){(void *)(uintptr_t)from, (size_t)(to - from)};
	}
	if (maps)
		fclose(maps);
	return n;
}

/* 0, or why it cannot be done at all. */
static int reclaim(pid_t pid)
{
	struct iovec range[RANGES];
	size_t n = ranges_of(pid, range);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), err = 0;

	if (fd < 0)
		return errno == ESRCH ? 0 : errno;
	for (size_t i = 0; i < n && !err; i++) {
		if (syscall(SYS_process_madvise, fd, &range[i], 1, MADV_PAGEOUT, 0) >= 0)
			ranges_done++;
		else if (errno == EPERM || errno == ENOSYS || errno == EINVAL)
			err = errno;
	}
	close(fd);
	return err;
}

/* The processes below pid, it first; how many. */
static size_t family(pid_t pid, pid_t *out, size_t most)
{
	char path[96];
	size_t n = 0;
	FILE *children;
	int child;

	if (most == 0)
		return 0;
	out[n++] = pid;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	children = fopen(path, "r");
	while (children && fscanf(children, "%d", &child) == 1)
		n += family(child, out + n, most - n);
	if (children)
		fclose(children);
	return n;
}

static int end_with(int status)
{
	fprintf(stderr, "pageout-launcher: %llu rounds, %llu ranges\n", rounds, ranges_done);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	pid_t process[PROCESSES], command;
	int status, err;

	if (argc < 2)
		return 2;
	err = reclaim(getpid());
	if (!err && syscall(SYS_process_madvise, -1, NULL, 0, MADV_PAGEOUT, 0) < 0 && errno == ENOSYS)
		err = ENOSYS;
	if (err || geteuid() != 0) {
		fprintf(stderr, "process_madvise: %s\n", err ? strerror(err) : "needs CAP_SYS_NICE");
		return EXIT_SKIP;
	}
	command = fork();
	if (command == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	for (;; rounds++) {
		size_t n = family(command, process, PROCESSES);

		for (size_t i = 0; i < n; i++)
			reclaim(process[i]);
		if (waitpid(command, &status, WNOHANG) == command)
			return end_with(status);
		nanosleep(&(struct timespec){0, 200000}, NULL);
	}
}
