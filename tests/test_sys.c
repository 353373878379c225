/* SPDX-License-Identifier: MIT
 *
 * The raw system calls: what they do is checked through the C library, and errno must be as it was.  On 32-bit CPUs offsets
 * beyond 4 GiB show whether both halves arrive in the right registers. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../lib/core/sys.h"
#include "emulated.h"

#define FAR 0x123456000ll /* beyond 4 GiB, a multiple of 4096 */
#define UNTOUCHED 4321
#define LAST_SIGNO 58 /* emulators keep the last ones for themselves */

static long page_bytes;
static int file;

static void set_up(void)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	file = memfd_create("vpager-test-sys", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	errno = UNTOUCHED;
}

static void tear_down(void)
{
	ck_assert_int_eq(errno, UNTOUCHED);
}

START_TEST(offsets_of_64_bits)
{
	static const char text[] = "far away";
	char buf[sizeof text] = "";

	ck_assert_int_eq(sys_pwrite(file, text, sizeof text, FAR + 7), (ssize_t)sizeof text);
	ck_assert_int_eq(pread(file, buf, sizeof buf, FAR + 7), (ssize_t)sizeof buf);
	ck_assert_str_eq(buf, text);
	memset(buf, 0, sizeof buf);
	ck_assert_int_eq(sys_pread(file, buf, sizeof buf, FAR + 7), (ssize_t)sizeof buf);
	ck_assert_str_eq(buf, text);
	ck_assert_int_eq(sys_pread(file, buf, sizeof buf, 2 * FAR), 0);
	ck_assert_int_eq(sys_pread(file, buf, sizeof buf, -1), -EINVAL);
}
END_TEST

START_TEST(fallocate_gets_both_numbers)
{
	struct stat st;

	ck_assert_int_eq(sys_fallocate(file, 0, FAR, 3 * page_bytes), 0);
	ck_assert_int_eq(fstat(file, &st), 0);
	ck_assert(st.st_size == FAR + 3 * page_bytes);
	ck_assert_int_eq(pwrite(file, "x", 1, FAR), 1);
	ck_assert_int_eq(sys_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, FAR + page_bytes), 0);
	ck_assert_int_eq(fstat(file, &st), 0);
	ck_assert_int_eq(st.st_blocks * 512, 2 * page_bytes);
	ck_assert_int_eq(sys_fallocate(file, 0, 0, 0), -EINVAL);
}
END_TEST

START_TEST(mappings)
{
	long long offset = FAR & ~((long long)page_bytes * 16 - 1);
	size_t len = 2 * (size_t)page_bytes;
	char *p, byte = 0;

	if (sizeof(long) == 4 && is_emulated())
		offset &= 0x7fffffff; /* qemu-user before 8 loses the upper half of mmap2's offset */
	ck_assert_int_eq(pwrite(file, "mm", 2, offset), 2);
	p = sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
	ck_assert(!sys_is_error(p));
	ck_assert_int_eq(p[0], 'm');
	p[1] = 'n';
	ck_assert_int_eq(pread(file, &byte, 1, offset + 1), 1);
	ck_assert_int_eq(byte, 'n');
	ck_assert_int_eq(sys_mprotect(p, len, PROT_NONE), 0);
	ck_assert_int_eq(write(file, p, 1), -1); /* the kernel cannot read it now */
	ck_assert_int_eq(errno, EFAULT);
	errno = UNTOUCHED;
	ck_assert_int_eq(sys_mprotect(p + 1, len, PROT_READ), -EINVAL);
	ck_assert_int_eq(sys_munmap(p, len), 0);
	ck_assert_int_eq(sys_madvise(p + 1, len, MADV_DONTNEED), -EINVAL);
	ck_assert_int_eq(sys_munmap(p + 1, len), -EINVAL);

	ck_assert_int_eq((int)(intptr_t)sys_mmap(NULL, len, PROT_READ, MAP_SHARED, -1, 0), -EBADF);
	ck_assert_int_eq((int)(intptr_t)sys_mmap(NULL, len, PROT_READ, MAP_SHARED, file, 1), -EINVAL);
	ck_assert(sys_is_error(sys_mmap(NULL, len, PROT_READ, MAP_SHARED, file, -page_bytes)));
	p = sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(!sys_is_error(p));
	p[len - 1] = 1;
	ck_assert_int_eq(sys_madvise(p, len, MADV_DONTNEED), 0);
	ck_assert_int_eq(p[len - 1], 0);
	ck_assert_int_eq(sys_munmap(p, len), 0);
}
END_TEST

START_TEST(write_and_errors)
{
	char buf[4] = "";

	ck_assert_int_eq(sys_write(file, "abc", 3), 3);
	ck_assert_int_eq(pread(file, buf, 3, 0), 3);
	ck_assert_str_eq(buf, "abc");
	ck_assert_int_eq(sys_write(-1, "abc", 3), -EBADF);
	ck_assert_int_eq(sys_write(file, (void *)(uintptr_t)8, 3), -EFAULT);
	ck_assert_int_eq(sys_call(28000, 0, 0, 0, 0, 0, 0), -ENOSYS);
}
END_TEST

static void *gettid_of_thread(void *tid)
{
	*(int *)tid = sys_gettid();
	return NULL;
}

START_TEST(process_and_thread)
{
	pthread_t thread;
	int tid = 0;

	ck_assert_int_eq(sys_getpid(), getpid());
	ck_assert_int_eq(sys_gettid(), (int)syscall(SYS_gettid));
	ck_assert_int_eq(pthread_create(&thread, NULL, gettid_of_thread, &tid), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_gt(tid, 0);
	ck_assert_int_ne(tid, sys_gettid());
}
END_TEST

static _Atomic(uint32_t) word;
static _Atomic(int) woken;

static void *sleeper(void *arg)
{
	(void)arg;
	while (word == 7)
		woken = sys_futex_wait(&word, 7) == 0;
	return NULL;
}

START_TEST(futexes)
{
	pthread_t thread;

	word = 7;
	ck_assert_int_eq(sys_futex_wait(&word, 8), -EAGAIN);
	ck_assert_int_eq(sys_futex_wake(&word, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleeper, NULL), 0);
	while (sys_futex_wake(&word, 1) == 0) /* until it sleeps */
		usleep(100);
	word = 8;
	sys_futex_wake(&word, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(woken, 1);
}
END_TEST

START_TEST(signal_masks)
{
	const int signos[] = {SIGHUP, SIGUSR1, SIGRTMIN, LAST_SIGNO};
	arch_sigset_t set, old, now;
	sigset_t libc;

	memset(&set, 0, sizeof set);
	for (int i = 0; i < 4; i++) {
		ck_assert(!arch_sigset_has(&set, signos[i]));
		arch_sigset_add(&set, signos[i]);
		ck_assert(arch_sigset_has(&set, signos[i]));
	}
	ck_assert_int_eq(sys_sigmask(SIG_SETMASK, &set, &old), 0);
	sigprocmask(SIG_SETMASK, NULL, &libc);
	for (int signo = 1; signo <= LAST_SIGNO; signo++)
		if (signo < 32 || signo >= SIGRTMIN)
			ck_assert_int_eq(sigismember(&libc, signo), arch_sigset_has(&set, signo));
	arch_sigset_remove(&set, LAST_SIGNO);
	ck_assert(!arch_sigset_has(&set, LAST_SIGNO));
	ck_assert(arch_sigset_has(&set, SIGRTMIN));
	ck_assert_int_eq(sys_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	ck_assert_int_eq(sys_sigmask(SIG_BLOCK, NULL, &now), 0);
	ck_assert(arch_sigset_has(&now, LAST_SIGNO));
	ck_assert(!arch_sigset_has(&now, SIGRTMIN));
	ck_assert_int_eq(sys_sigmask(SIG_SETMASK, &old, NULL), 0);
	ck_assert_int_eq(sys_sigmask(99, &old, NULL), -EINVAL);
}
END_TEST

static volatile int got_signo, got_code, got_value;

static void on_signal(int signo, siginfo_t *si, void *uc)
{
	(void)uc;
	got_signo = signo;
	got_code = si->si_code;
	got_value = si->si_value.sival_int;
}

START_TEST(signal_actions)
{
	struct arch_sigaction action, ignore;
	struct sigaction libc;

	memset(&libc, 0, sizeof libc);
	libc.sa_sigaction = on_signal;
	libc.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
	sigemptyset(&libc.sa_mask);
	sigaddset(&libc.sa_mask, SIGUSR2);
	sigaddset(&libc.sa_mask, LAST_SIGNO);
	ck_assert_int_eq(sigaction(SIGUSR1, &libc, NULL), 0);

	memset(&action, 0, sizeof action);
	ck_assert_int_eq(sys_sigaction(SIGUSR1, NULL, &action), 0);
	ck_assert((uintptr_t)action.handler == (uintptr_t)on_signal);
	ck_assert_uint_eq(action.flags & (unsigned)(SA_SIGINFO | SA_NODEFER | SA_RESTART | SA_ONSTACK),
	                  (unsigned)(SA_SIGINFO | SA_NODEFER | SA_RESTART));
	if (strcmp(ARCH_NAME, "generic") != 0) {
		ck_assert(arch_sigset_has(&action.mask, SIGUSR2));
		ck_assert(arch_sigset_has(&action.mask, LAST_SIGNO));
		ck_assert(!arch_sigset_has(&action.mask, SIGUSR1));
	}

	memset(&ignore, 0, sizeof ignore);
	ignore.handler = SIG_IGN;
	ck_assert_int_eq(sys_sigaction(SIGUSR1, &ignore, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &libc), 0);
	ck_assert(libc.sa_handler == SIG_IGN);
	ck_assert_int_eq(sys_sigaction(SIGUSR1, &action, NULL), 0); /* as it was, the way back included */
	raise(SIGUSR1);
	ck_assert_int_eq(got_signo, SIGUSR1);
	ck_assert_int_eq(sys_sigaction(SIGKILL, &ignore, NULL), -EINVAL);
}
END_TEST

START_TEST(queued_signals)
{
	struct sigaction libc;
	siginfo_t si;

	memset(&libc, 0, sizeof libc);
	libc.sa_sigaction = on_signal;
	libc.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGUSR2, &libc, NULL), 0);
	memset(&si, 0, sizeof si);
	si.si_signo = SIGUSR2;
	si.si_code = SI_QUEUE;
	si.si_value.sival_int = 99;
	ck_assert_int_eq(sys_tgsigqueueinfo(sys_getpid(), sys_gettid(), SIGUSR2, &si), 0);
	ck_assert_int_eq(got_signo, SIGUSR2);
	ck_assert_int_eq(got_code, SI_QUEUE);
	ck_assert_int_eq(got_value, 99);
	ck_assert_int_eq(sys_tgsigqueueinfo(sys_getpid(), -1, SIGUSR2, &si), -EINVAL);
}
END_TEST

static Suite *sys_suite(void)
{
	Suite *suite = suite_create("sys");
	TCase *tcase = tcase_create("sys");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, offsets_of_64_bits);
	tcase_add_test(tcase, fallocate_gets_both_numbers);
	tcase_add_test(tcase, mappings);
	tcase_add_test(tcase, write_and_errors);
	tcase_add_test(tcase, process_and_thread);
	tcase_add_test(tcase, futexes);
	tcase_add_test(tcase, signal_masks);
	tcase_add_test(tcase, signal_actions);
	tcase_add_test(tcase, queued_signals);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(sys_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
