/* SPDX-License-Identifier: MIT
 *
 * Whether a fault says that it was a write: found by raising one.  In a child that shares the memory, but neither the table
 * of signal handlers nor the parent's children (it has no exit signal, so only __WCLONE waits for it): the program notices
 * nothing. */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "core/arch/arch.h"
#include "core/sys.h"
#include "probe.h"
#include "runtime.h"

#define STACK_BYTES ((size_t)64 << 10)
#define RESTORER 0x04000000ul /* SA_RESTORER: x86 delivers no signal without one.  This handler never returns to it. */
#define EXIT_UNKNOWN 100

static _Noreturn void leave(int status)
{
	for (;;)
		(void)sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

static void on_fault(int signo, siginfo_t *si, void *uc)
{
	struct arch_access access = arch_access(si, uc);

	(void)signo;
	leave(access.access == VPAGER_ACCESS_WRITE ? (int)access.evidence : EXIT_UNKNOWN);
}

static int raise_one(void *read_only)
{
	struct arch_sigaction action = {.flags = SA_SIGINFO | RESTORER};

	action.handler = (void (*)(int))(void (*)(void))on_fault;
	if (sys_sigaction(SIGSEGV, &action, NULL) == 0)
		*(volatile int *)read_only = 1;
	leave(EXIT_UNKNOWN);
}

/* The evidence of the child's fault, EXIT_UNKNOWN, or a negative errno value. */
static int evidence_of(char *memory, size_t page)
{
	arch_sigset_t open;
	int status = 0;
	pid_t pid;

	signals_close(&open);
	pid = clone(raise_one, memory + page + STACK_BYTES, CLONE_VM | CLONE_VFORK, memory);
	signals_restore(&open);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, __WCLONE) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_UNKNOWN;
}

static int try_a_write(const char **what)
{
	size_t page = system_page_bytes();
	char *memory = mmap(NULL, page + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result;

	*what = "mmap";
	if (memory == MAP_FAILED)
		return -errno;
	*what = "mprotect";
	result = mprotect(memory, page, PROT_READ) < 0 ? -errno : 0;
	if (!result) {
		*what = "clone";
		result = evidence_of(memory, page);
	}
	munmap(memory, page + STACK_BYTES);
	return result;
}

int probe_access_hardware(const char **what)
{
	int result = try_a_write(what);

	if (result < 0)
		return result;
	*what = "the fault of a write on " ARCH_NAME;
	return result == VPAGER_EVIDENCE_HARDWARE ? 0 : -ENOTSUP;
}

int probe_access(const char **what)
{
	int result = try_a_write(what);

	if (result < 0)
		return result;
	*what = "the fault of a write on " ARCH_NAME;
	return result == VPAGER_EVIDENCE_HARDWARE || result == VPAGER_EVIDENCE_INSTRUCTION ? 0 : -ENOTSUP;
}
