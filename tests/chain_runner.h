/* SPDX-License-Identifier: MIT
 *
 * Runs one scenario in a process of its own and says how it went: what it noted, how it ended and, where ptrace is to be
 * had, the registers and siginfo of the signal that killed it, which is what its core file would show.  Forked from one
 * program, so that addresses of two runs compare. */
#ifndef VPAGER_TESTS_CHAIN_RUNNER_H
#define VPAGER_TESTS_CHAIN_RUNNER_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "skip.h"

#define RUN_SECONDS 10
#define NOTES_MOST 255

/* Shared with the scenario's process. */
static struct run_shared {
	_Atomic(unsigned) notes;
	char note[NOTES_MOST + 1];
	uintptr_t base; /* addresses at death are told relative to it */
} *run_shared;

struct run_end {
	char notes[NOTES_MOST + 1];
	int status; /* as waitpid has it */
	bool seen;  /* the rest is known */
	int signo, code;
	bool by_itself;  /* sent by the process that it killed */
	int value;       /* of sigqueue */
	intptr_t address; /* of a fault */
	uintptr_t pc, sp;
};

/* Async-signal-safe. */
static void note(char what)
{
	unsigned n = run_shared->notes++;

	if (n < NOTES_MOST)
		run_shared->note[n] = what;
}

/* The last two fields are the stack pointer and the program counter, proc(5). */
static bool run_registers(pid_t tid, uintptr_t *pc, uintptr_t *sp)
{
	char path[64], line[512] = "", *last[2] = {NULL, NULL};
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/syscall", (int)tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fgets(line, sizeof line, file)) {
		for (char *field = strtok(line, " \n"); field; field = strtok(NULL, " \n")) {
			last[0] = last[1];
			last[1] = field;
		}
	}
	fclose(file);
	if (!last[0])
		return false;
	*sp = strtoull(last[0], NULL, 16);
	*pc = strtoull(last[1], NULL, 16);
	return true;
}

static void run_look(pid_t pid, pid_t tid, int signo, struct run_end *end)
{
	siginfo_t si;

	memset(&si, 0, sizeof si);
	if (ptrace(PTRACE_GETSIGINFO, tid, NULL, &si))
		return;
	end->seen = run_registers(tid, &end->pc, &end->sp);
	end->signo = signo;
	end->code = si.si_code;
	end->by_itself = si.si_code <= 0 && si.si_pid == pid;
	end->value = si.si_code == SI_QUEUE ? si.si_value.sival_int : 0;
	end->address = si.si_code > 0 ? (intptr_t)((uintptr_t)si.si_addr - run_shared->base) : 0;
}

/* Lets every signal through and remembers the last fault signal: whoever died, died of that. */
static void run_trace(pid_t pid, struct run_end *end)
{
	bool started = false;

	for (;;) {
		int status, signo = 0;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0) {
			perror("waitpid");
			exit(1);
		}
		if (!WIFSTOPPED(status)) {
			if (tid != pid)
				continue;
			end->status = status;
			return;
		}
		if (!started)
			ptrace(PTRACE_SETOPTIONS, tid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE);
		else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP)
			signo = WSTOPSIG(status);
		started = true;
		if (signo == SIGSEGV || signo == SIGBUS)
			run_look(pid, tid, signo, end);
		ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signo);
	}
}

static void run_child(void (*scenario)(void), bool trace)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	if (trace) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(97);
		raise(SIGSTOP);
	}
	alarm(RUN_SECONDS);
	scenario();
	_exit(0);
}

static bool run_can_trace(void)
{
	int status;
	pid_t pid;

	if (skip_emulated())
		return false;
	pid = fork();
	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void run_scenario(void (*scenario)(void), bool trace, struct run_end *end)
{
	pid_t pid;

	memset(end, 0, sizeof *end);
	memset(run_shared, 0, sizeof *run_shared);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(scenario, trace);
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (trace) {
		run_trace(pid, end);
	} else if (waitpid(pid, &end->status, 0) != pid) {
		perror("waitpid");
		exit(1);
	}
	if (!WIFSIGNALED(end->status))
		end->seen = false;
	memcpy(end->notes, run_shared->note, sizeof end->notes);
}

static void run_start(void)
{
	run_shared = mmap(NULL, sizeof *run_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run_shared == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
}

#endif
