/* SPDX-License-Identifier: MIT
 *
 * seccomp-launcher [-d NAME[=ERRNO]]... COMMAND...: runs COMMAND with system calls denied by a seccomp filter, as containers
 * do; the filter stays on whatever COMMAND starts.  Without -d, what the default profile of Docker denies of the calls that
 * a library like this one might think of; -d adds to that.  ERRNO: EPERM (default), ENOSYS, EACCES or EINVAL.  77: no seccomp here. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_SKIP 77

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define THIS_ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define THIS_ARCH AUDIT_ARCH_ARM
#elif defined(__riscv)
#define THIS_ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define THIS_ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define THIS_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__mips64) && defined(__MIPSEL__)
#define THIS_ARCH AUDIT_ARCH_MIPSEL64
#elif defined(__loongarch64)
#define THIS_ARCH AUDIT_ARCH_LOONGARCH64
#endif

/* userfaultfd's other door: the ioctl of /dev/userfaultfd, kernel 6.1 (linux/userfaultfd.h). */
#define USERFAULTFD_IOC_NEW 0xaa00

/* asm-generic/mman-common.h, kernel 6.13 */
#undef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102

static const struct deniable {
	const char *name;
	long nr;
	uint32_t request; /* deny it with this argument only: ioctl's request, madvise's advice */
	bool always;      /* Docker's default profile denies it to a container without capabilities */
	unsigned argument; /* which one the request is, from 0 */
} deniable[] = {
    {"userfaultfd", SYS_userfaultfd, 0, true, 0},
    {"perf_event_open", SYS_perf_event_open, 0, true, 0},
    {"bpf", SYS_bpf, 0, true, 0},
    {"kcmp", SYS_kcmp, 0, true, 0},
    {"add_key", SYS_add_key, 0, true, 0},
    {"keyctl", SYS_keyctl, 0, true, 0},
    {"unshare", SYS_unshare, 0, true, 0},
    {"mount", SYS_mount, 0, true, 0},
    {"process_vm_readv", SYS_process_vm_readv, 0, true, 0},
    {"process_vm_writev", SYS_process_vm_writev, 0, true, 0},
    {"ptrace", SYS_ptrace, 0, true, 0},
    {"io_uring_setup", SYS_io_uring_setup, 0, true, 0},
    {"dev-userfaultfd", SYS_ioctl, USERFAULTFD_IOC_NEW, true, 1},
    {"memfd_create", SYS_memfd_create, 0, false, 0},
    {"membarrier", SYS_membarrier, 0, false, 0},
    {"mremap", SYS_mremap, 0, false, 0},
    {"guard-install", SYS_madvise, MADV_GUARD_INSTALL, false, 2},
};
#define DENIABLE (sizeof deniable / sizeof *deniable)

static int deny[DENIABLE]; /* the errno value, or 0 */

static void deny_default(void)
{
	for (size_t i = 0; i < DENIABLE; i++)
		deny[i] = deniable[i].always ? EPERM : 0;
}

static int errno_named(const char *name)
{
	if (strcmp(name, "EPERM") == 0)
		return EPERM;
	if (strcmp(name, "ENOSYS") == 0)
		return ENOSYS;
	if (strcmp(name, "EINVAL") == 0)
		return EINVAL;
	return strcmp(name, "EACCES") == 0 ? EACCES : 0;
}

/* NAME[=ERRNO] */
static bool deny_also(char *what)
{
	char *equals = strchr(what, '=');
	int err = equals ? errno_named(equals + 1) : EPERM;

	if (equals)
		*equals = '\0';
	for (size_t i = 0; i < DENIABLE && err; i++) {
		if (strcmp(deniable[i].name, what) == 0) {
			deny[i] = err;
			return true;
		}
	}
	return false;
}

#ifdef THIS_ARCH

/* An argument is 64 bits in the CPU's byte order; a request has 32. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define REQUEST_AT(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#else
#define REQUEST_AT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))

static int install(void)
{
	struct sock_filter filter[4 + 5 * DENIABLE];
	struct sock_fprog program = {0, filter};
	unsigned n = 0;

	/* Calls of another ABI pass: this is for finding out what a program does without, not for keeping it in. */
	filter[n++] = (struct sock_filter)LOAD(offsetof(struct seccomp_data, arch));
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
	filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < DENIABLE; i++) {
		bool by_request = deniable[i].request != 0;

		if (!deny[i])
			continue;
		filter[n++] = (struct sock_filter)LOAD(offsetof(struct seccomp_data, nr));
		filter[n++] = (struct sock_filter)SKIP_UNLESS((uint32_t)deniable[i].nr, by_request ? 3 : 1);
		if (by_request) {
			filter[n++] = (struct sock_filter)LOAD(REQUEST_AT(deniable[i].argument));
			filter[n++] = (struct sock_filter)SKIP_UNLESS(deniable[i].request, 1);
		}
		filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | (unsigned)deny[i]);
	}
	filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

#else

static int install(void)
{
	return -ENOTSUP;
}

#endif

static int usage(void)
{
	fprintf(stderr, "usage: seccomp-launcher [-d NAME[=EPERM|ENOSYS|EACCES|EINVAL]]... COMMAND...\nNAME:");
	for (size_t i = 0; i < DENIABLE; i++)
		fprintf(stderr, " %s", deniable[i].name);
	fputc('\n', stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int option, err;

	deny_default();
	while ((option = getopt(argc, argv, "+d:")) == 'd') {
		if (!deny_also(optarg))
			return usage();
	}
	if (option != -1 || optind >= argc)
		return usage();
	err = install();
	if (err) {
		fprintf(stderr, "seccomp-launcher: no seccomp filter here: %s\n", strerror(-err));
		return EXIT_SKIP;
	}
	execvp(argv[optind], argv + optind);
	perror(argv[optind]);
	return 127;
}
