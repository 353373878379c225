/* SPDX-License-Identifier: MIT
 *
 * What this port can tell of an access, and which engines bring pages in here: by real faults, with the public API alone.
 * Nothing that is told may be wrong; how much is told depends on the CPU and the kernel, and is printed as facts, of which
 * tools/porting makes its table. */
#include <check.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
#include "vpager.h"

static sigjmp_buf back;
static struct vpager_fault caught;
static size_t page_bytes;

static void on_fault(int signo, siginfo_t *si, void *uc)
{
	caught.size = sizeof caught;
	if (vpager_fault_decode(signo, si, uc, &caught) < 0)
		_exit(99);
	siglongjmp(back, 1);
}

static __attribute__((noinline)) void do_read(volatile int *p)
{
	(void)*p;
}

static __attribute__((noinline)) void do_write(volatile int *p)
{
	*p = 1;
}

static __attribute__((noinline)) void do_modify(volatile int *p)
{
	__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
}

static __attribute__((noinline)) void do_execute(volatile int *p)
{
	((void (*)(void))(uintptr_t)p)();
}

#define BIT(access) (1u << (access))

static const struct {
	const char *name;
	void (*touch)(volatile int *);
	int prot;
	unsigned right; /* what may be told of it, beside that it is unknown */
} accesses[] = {
    {"read", do_read, PROT_NONE, BIT(VPAGER_ACCESS_READ)},
    {"write", do_write, PROT_NONE, BIT(VPAGER_ACCESS_WRITE)},
    {"write-to-read-only", do_write, PROT_READ, BIT(VPAGER_ACCESS_WRITE)},
    /* where it is two instructions, the load faults first; emulators say so of one, too */
    {"modify", do_modify, PROT_NONE, BIT(VPAGER_ACCESS_READ) | BIT(VPAGER_ACCESS_WRITE)},
    {"execute", do_execute, PROT_READ | PROT_WRITE, BIT(VPAGER_ACCESS_EXEC)},
};

static const char *evidence_name(const struct vpager_fault *fault)
{
	switch (fault->access == VPAGER_ACCESS_UNKNOWN ? VPAGER_EVIDENCE_NONE : fault->evidence) {
	case VPAGER_EVIDENCE_HARDWARE:
		return "hardware";
	case VPAGER_EVIDENCE_INSTRUCTION:
		return "instruction";
	default:
		return "page state";
	}
}

static void catch_faults(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
}

START_TEST(no_access_is_told_wrongly)
{
	volatile int *page = mmap(NULL, page_bytes, accesses[_i].prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne((void *)page, MAP_FAILED);
	catch_faults();
	if (sigsetjmp(back, 1) == 0) {
		accesses[_i].touch(page);
		ck_abort_msg("%s: no fault", accesses[_i].name);
	}
	ck_assert_msg(caught.access == VPAGER_ACCESS_UNKNOWN || (accesses[_i].right & BIT(caught.access)),
	              "%s: told as access %d", accesses[_i].name, (int)caught.access);
	ck_assert_int_eq(caught.was_write, caught.access == VPAGER_ACCESS_WRITE);
	ck_assert_int_eq(caught.access == VPAGER_ACCESS_UNKNOWN, caught.evidence == VPAGER_EVIDENCE_NONE);
	printf("fact access %s %s\n", accesses[_i].name, evidence_name(&caught));
}
END_TEST

static const struct {
	const char *name;
	enum vpager_engine engine;
} engines[] = {
    {"mprotect", VPAGER_ENGINE_MPROTECT},
    {"uffd", VPAGER_ENGINE_UFFD},
    {"uffd-thread", VPAGER_ENGINE_UFFD_THREAD},
};

static int counting_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	unsigned char *bytes = buf;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)((offset + i) % 251);
	return 0;
}

START_TEST(engine_brings_pages_in)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .name = "counting", .read = counting_read,
	                                     .read_in = VPAGER_CALL_HANDLER};
	struct vpager_region_options options = {.size = sizeof options, .engine = engines[_i].engine};
	struct vpager_region *region;
	volatile unsigned char *bytes;
	int err;

	ck_assert_int_eq(vpager_store_create(&options.store, &ops, NULL), 0);
	options.length = 16 * page_bytes;
	err = vpager_region_create(&region, &options);
	if (err == -ENOTSUP) {
		printf("fact engine %s not here\n", engines[_i].name);
		vpager_store_unref(options.store);
		return;
	}
	ck_assert_int_eq(err, 0);
	bytes = vpager_region_base(region);
	for (size_t at = page_bytes / 2; at < options.length; at += page_bytes) {
		ck_assert_uint_eq(bytes[at], at % 251);
		bytes[at] = 7;
	}
	for (size_t at = page_bytes / 2; at < options.length; at += page_bytes) {
		ck_assert_uint_eq(bytes[at], 7);
		ck_assert_uint_eq(bytes[at + 1], (at + 1) % 251);
	}
	ck_assert_int_eq(vpager_region_destroy(region, 0), 0);
	vpager_store_unref(options.store);
	printf("fact engine %s works\n", engines[_i].name);
}
END_TEST

static void print_surroundings(void)
{
#ifdef __GLIBC__
	printf("fact libc glibc %s\n", gnu_get_libc_version());
#else
	printf("fact libc musl\n"); /* which does not tell; no other C library has neither this nor a macro of its own */
#endif
	printf("fact bits %zu\n", 8 * sizeof(void *));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	printf("fact endian big\n");
#else
	printf("fact endian little\n");
#endif
	printf("fact page_bytes %zu\n", page_bytes);
	printf("fact user %s\n", geteuid() == 0 ? "root" : "ordinary");
}

int main(void)
{
	Suite *suite = suite_create("port");
	TCase *tcase = tcase_create("port");
	SRunner *runner = srunner_create(suite);
	int failed;

	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	print_surroundings();
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, no_access_is_told_wrongly, 0, (int)(sizeof accesses / sizeof *accesses));
	tcase_add_loop_test(tcase, engine_brings_pages_in, 0, (int)(sizeof engines / sizeof *engines));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
