/* SPDX-License-Identifier: MIT
 *
 * Features: what is said to work does, each has a name and a reason, and asking changes nothing for the program. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include "paging.h"
#include "skip.h"

#define EVERY_BIT(bit) for (uint64_t bit = 1; bit; bit <<= 1)

static const char *reason_of(uint64_t feature)
{
	static char text[512];

	OK(vpager_feature_reason(feature, text, sizeof text));
	return text;
}

START_TEST(each_feature_has_a_name_and_a_reason)
{
	uint64_t found = vpager_features(), known = 0;

	EVERY_BIT(bit)
	{
		if (!vpager_feature_name(bit)) {
			FAILS(vpager_feature_reason(bit, NULL, 0), EINVAL);
			continue;
		}
		known |= bit;
		if (found & bit)
			ck_assert_ptr_nonnull(strstr(reason_of(bit), ": works here"));
		else
			ck_assert_ptr_nonnull(strstr(reason_of(bit), "; needs: "));
	}
	ck_assert_uint_eq(found & ~known, 0);
	ck_assert_uint_eq(vpager_features(), found);
	ck_assert_str_eq(vpager_feature_name(VPAGER_FEATURE_ENGINE_UFFD), "engine-uffd");
}
END_TEST

START_TEST(nonsense_is_refused_and_text_is_cut_off)
{
	char text[8] = "1234567";

	FAILS(vpager_feature_reason(0, text, sizeof text), EINVAL);
	FAILS(vpager_feature_reason(VPAGER_FEATURE_BACKTRACE | VPAGER_FEATURE_MEMBARRIER, text, sizeof text), EINVAL);
	FAILS(vpager_feature_reason(VPAGER_FEATURE_BACKTRACE, NULL, 1), EINVAL);
	ck_assert_str_eq(text, "1234567");
	ck_assert_ptr_null(vpager_feature_name(0));
	ck_assert_ptr_null(vpager_feature_name(VPAGER_FEATURE_BACKTRACE | VPAGER_FEATURE_MEMBARRIER));
	OK(vpager_feature_reason(VPAGER_FEATURE_ENGINE_MPROTECT, NULL, 0));
	OK(vpager_feature_reason(VPAGER_FEATURE_ENGINE_MPROTECT, text, 5));
	ck_assert_str_eq(text, "mpro");
}
END_TEST

/* ---- what is said is so ---- */

START_TEST(what_is_said_of_memory_files_and_backtraces_is_so)
{
	uint64_t found = vpager_features();
	void *pc[4];
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_eq(fd >= 0, !!(found & VPAGER_FEATURE_MEMORY_FILE));
	ck_assert_int_eq(vpager_backtrace(pc, 4, NULL) > 0, !!(found & VPAGER_FEATURE_BACKTRACE));
	if (fd >= 0)
		close(fd);
}
END_TEST

/* The record of a fault in a region knows what the probe promises. */
START_TEST(the_evidence_of_a_fault_is_what_was_probed)
{
	struct watched w = {.length = page_size(), .no_write = true, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);
	struct vpager_fault fault = {.size = sizeof fault};
	uint64_t found = vpager_features();

	FAILS(try_store(base_of(region), 1, &fault), EACCES);
	ck_assert_int_eq(fault.evidence == VPAGER_EVIDENCE_HARDWARE, !!(found & VPAGER_FEATURE_ACCESS_HARDWARE));
	if (found & VPAGER_FEATURE_ACCESS_DECODED)
		ck_assert(fault.was_write);
	if (found & VPAGER_FEATURE_ACCESS_HARDWARE)
		ck_assert(found & VPAGER_FEATURE_ACCESS_DECODED);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- asking changes nothing ---- */

static volatile sig_atomic_t signals;

static void handler_of_the_program(int signo)
{
	(void)signo;
	signals++;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(asking_leaves_handlers_children_descriptors_and_errno_alone)
{
	struct sigaction action = {.sa_handler = handler_of_the_program}, now;
	sigset_t before, after;
	void *pc[1];
	unsigned descriptors;

	(void)vpager_backtrace(pc, 1, NULL); /* libunwind keeps a pipe */
	descriptors = open_descriptors();
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	errno = ENOTTY;
	(void)vpager_features();
	ck_assert_int_eq(errno, ENOTTY);
	sigaction(SIGSEGV, NULL, &now);
	ck_assert_ptr_eq((void *)now.sa_handler, (void *)handler_of_the_program);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(long)), 0);
	ck_assert_uint_eq(open_descriptors(), descriptors);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(signals, 0);
	/* The runtime was not started by it: other options are still possible. */
	OK(vpager_init(&(struct vpager_options){.size = sizeof(struct vpager_options), .worker_threads = 3}));
}
END_TEST

static void *ask(void *arg)
{
	*(uint64_t *)arg = vpager_features();
	return NULL;
}

START_TEST(threads_that_ask_at_once_get_the_same_answer)
{
	pthread_t thread[8];
	uint64_t answer[8];

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, ask, &answer[i]), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 8; i++)
		SURE(answer[i] == vpager_features(), "thread %d", i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tests = tcase_create("probe");

	tcase_add_test(tests, each_feature_has_a_name_and_a_reason);
	tcase_add_test(tests, nonsense_is_refused_and_text_is_cut_off);
	tcase_add_test(tests, what_is_said_of_memory_files_and_backtraces_is_so);
	tcase_add_test(tests, the_evidence_of_a_fault_is_what_was_probed);
	tcase_add_test(tests, asking_leaves_handlers_children_descriptors_and_errno_alone);
	tcase_add_test(tests, threads_that_ask_at_once_get_the_same_answer);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
