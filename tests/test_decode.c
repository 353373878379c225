/* SPDX-License-Identifier: MIT
 *
 * From a CPU's fault status and from real signal frames to struct vpager_fault, and the record as text.  Link with the
 * core's objects and -Wl,--wrap=sys_call.  Builds and runs on every CPU, under qemu-user too; where one of these does not
 * say how memory was accessed, "unknown" is accepted and a wrong answer is not. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "vpager.h"
#include "../lib/core/arch/arch.h"
#include "../lib/core/classify.h"
#include "emulated.h"

#define BIT(n) (1ull << (n))

enum { READ = VPAGER_ACCESS_READ, WRITE = VPAGER_ACCESS_WRITE, EXEC = VPAGER_ACCESS_EXEC, UNKNOWN = VPAGER_ACCESS_UNKNOWN };

/* ---- the pure decoders ---- */

static struct vpager_fault fresh(void)
{
	struct vpager_fault fault;

	memset(&fault, 0xa5, sizeof fault);
	fault.size = sizeof fault;
	return fault;
}

/* Tens of thousands of times: Check's own macros write to a pipe each time. */
#define SURE(condition)                                                                                               \
	do {                                                                                                          \
		if (!(condition))                                                                                     \
			ck_abort_msg("%s %#llx: not so: %s (reason %d, access %d)", what, (unsigned long long)code, #condition, \
			             f->reason, f->access);                                                           \
	} while (0)

static void check_pure(const struct vpager_fault *f, int reason, int access, bool user, const char *what, uint64_t code)
{
	SURE((int)f->reason == reason);
	SURE((int)f->access == access);
	SURE(f->was_user_mode == user);
	SURE(f->was_write == (access == WRITE));
	SURE(f->evidence == (access == UNKNOWN ? VPAGER_EVIDENCE_NONE : VPAGER_EVIDENCE_HARDWARE));
	SURE(f->origin == VPAGER_ORIGIN_FOREIGN);
	SURE(f->hw_code == code);
	SURE(f->size == sizeof *f);
	SURE(f->stack_pointer == 0 && f->stack_limit == 0);
	SURE(f->signo == 0 && f->si_code == 0 && f->error == 0);
	SURE(f->object == NULL);
}

static void check_where(const struct vpager_fault *f, uint64_t address, uint64_t pc, bool exact, const char *what,
                        uint64_t code)
{
	SURE(f->faulting_address == (uintptr_t)address);
	SURE(f->instruction_pointer == (uintptr_t)pc);
	SURE(f->address_exact == exact);
}

/* The truth table, in order: the row whose bits under `mask` are `value` and whose address is in the right half. */
enum { ANY_HALF, KERNEL_HALF };
static const struct {
	uint64_t mask, value;
	int half, reason, access; /* access -1: by W, I; -2: by W */
} x86_rows[] = {
    {BIT(2), BIT(2), KERNEL_HALF, VPAGER_FAULT_USER_MODE_KERNEL_ACCESS, -1},
    {BIT(3), BIT(3), ANY_HALF, VPAGER_FAULT_PROTECTION_VIOLATION, -2},
    {BIT(5), BIT(5), ANY_HALF, VPAGER_FAULT_PROTECTION_VIOLATION, -2},
    {BIT(6), BIT(6), ANY_HALF, VPAGER_FAULT_PROTECTION_VIOLATION, -2},
    {BIT(15), BIT(15), ANY_HALF, VPAGER_FAULT_PROTECTION_VIOLATION, -2},
    {BIT(0), 0, ANY_HALF, VPAGER_FAULT_NOT_PRESENT, -1},
    {BIT(0) | BIT(4), BIT(0) | BIT(4), ANY_HALF, VPAGER_FAULT_EXECUTE_NO_EXECUTE, EXEC},
    {BIT(0) | BIT(1), BIT(0) | BIT(1), ANY_HALF, VPAGER_FAULT_WRITE_TO_READ_ONLY, WRITE},
    {BIT(0) | BIT(2), BIT(0) | BIT(2), ANY_HALF, VPAGER_FAULT_USER_MODE_KERNEL_ACCESS, READ},
    {BIT(0), BIT(0), ANY_HALF, VPAGER_FAULT_PROTECTION_VIOLATION, READ},
};

START_TEST(x86_64_every_error_code)
{
	const uint64_t address[] = {0x00007fff12345678, 0xffff800000000000};

	for (uint64_t code = 0; code <= 0xffff; code++) {
		for (int half = 0; half < 2; half++) {
			struct vpager_fault f = fresh();
			size_t row = 0;
			int access;

			while ((code & x86_rows[row].mask) != x86_rows[row].value || x86_rows[row].half > half)
				row++;
			access = x86_rows[row].access;
			if (access < 0)
				access = code & BIT(1) ? WRITE : access == -1 && code & BIT(4) ? EXEC : READ;
			vpager_fault_from_x86_64(code, address[half], 0x401000, &f);
			check_pure(&f, x86_rows[row].reason, access, code & BIT(2), "x86_64", code);
			check_where(&f, address[half], 0x401000, true, "x86_64", code);
		}
	}
}
END_TEST

START_TEST(aarch64_every_syndrome)
{
	for (unsigned ec = 0; ec < 64; ec++) {
		for (unsigned iss = 0; iss < 1u << 11; iss++) {
			uint64_t esr = (uint64_t)ec << 26 | BIT(25) | iss;
			bool data = ec == 0x24 || ec == 0x25, fetch = ec == 0x20 || ec == 0x21;
			bool write = iss & BIT(6) && !(iss & BIT(8));
			unsigned status = iss & 0x3f;
			int reason = VPAGER_FAULT_PROTECTION_VIOLATION, access = fetch ? EXEC : write ? WRITE : READ;
			struct vpager_fault f = fresh();

			if (!data && !fetch)
				access = UNKNOWN;
			else if (status < 8)
				reason = VPAGER_FAULT_NOT_PRESENT;
			else if (status >= 0x0c && status <= 0x0f && access == EXEC)
				reason = VPAGER_FAULT_EXECUTE_NO_EXECUTE;
			else if (status >= 0x0c && status <= 0x0f && access == WRITE)
				reason = VPAGER_FAULT_WRITE_TO_READ_ONLY;
			vpager_fault_from_aarch64(esr, 0x5000, 0x400000, &f);
			check_pure(&f, reason, access, ec == 0x24 || ec == 0x20, "aarch64", esr);
			/* bit 10, FnV: an external abort that has no address */
			check_where(&f, 0x5000, 0x400000, access != UNKNOWN && !(status == 0x10 && iss & BIT(10)), "aarch64", esr);
		}
	}
}
END_TEST

START_TEST(riscv_every_cause)
{
	for (uint64_t cause = 0; cause < 64; cause++) {
		int reason = cause == 12                   ? VPAGER_FAULT_EXECUTE_NO_EXECUTE
		             : cause == 13 || cause == 15 ? VPAGER_FAULT_NOT_PRESENT
		                                          : VPAGER_FAULT_PROTECTION_VIOLATION;
		int access = cause == 12 ? EXEC : cause == 13 ? READ : cause == 15 ? WRITE : UNKNOWN;
		struct vpager_fault f = fresh();

		vpager_fault_from_riscv(cause, 0x5000, 0x10000, &f);
		check_pure(&f, reason, access, true, "riscv", cause);
		check_where(&f, 0x5000, 0x10000, access != UNKNOWN, "riscv", cause);
		vpager_fault_from_riscv(cause | BIT(63), 0, 0x10000, &f); /* an interrupt */
		check_pure(&f, VPAGER_FAULT_PROTECTION_VIOLATION, UNKNOWN, true, "riscv", cause | BIT(63));
	}
}
END_TEST

/* The four tests that the kernel code had which this library started from. */
START_TEST(origin_reasons_are_equal_to_themselves_alone)
{
	for (int a = 0; a < VPAGER_FAULT_REASONS; a++)
		for (int b = 0; b < VPAGER_FAULT_REASONS; b++)
			ck_assert_int_eq(strcmp(vpager_fault_reason_name(a), vpager_fault_reason_name(b)) == 0, a == b);
	ck_assert_int_ne(VPAGER_FAULT_NOT_PRESENT, VPAGER_FAULT_PROTECTION_VIOLATION);
}
END_TEST

START_TEST(origin_record)
{
	struct vpager_fault f = fresh();

	vpager_fault_from_x86_64(0, 0xdeadbeef, 0x40100000, &f);
	ck_assert_uint_eq(f.faulting_address, 0xdeadbeef);
	ck_assert_uint_eq(f.instruction_pointer, 0x40100000);
	ck_assert_int_eq(f.reason, VPAGER_FAULT_NOT_PRESENT);
	ck_assert(!f.was_write);
}
END_TEST

START_TEST(origin_user_write)
{
	struct vpager_fault f = fresh();

	vpager_fault_from_x86_64(BIT(0) | BIT(1) | BIT(2), 0x1000, 0x2000, &f);
	ck_assert_int_eq(f.reason, VPAGER_FAULT_WRITE_TO_READ_ONLY);
	ck_assert(f.was_write);
	ck_assert(f.was_user_mode);
	ck_assert_uint_eq(f.faulting_address, 0x1000);
	ck_assert_uint_eq(f.instruction_pointer, 0x2000);
}
END_TEST

START_TEST(origin_kernel_fault)
{
	struct vpager_fault f = fresh();

	vpager_fault_from_x86_64(0, 0xffff800000000000, 0xffff800000100000, &f);
	ck_assert(!f.was_user_mode);
	ck_assert_int_eq(f.reason, VPAGER_FAULT_NOT_PRESENT);
	ck_assert_uint_eq(f.faulting_address, (uintptr_t)0xffff800000000000);
	ck_assert_uint_eq(f.instruction_pointer, (uintptr_t)0xffff800000100000);
}
END_TEST

START_TEST(reason_names)
{
	ck_assert_str_eq(vpager_fault_reason_name(VPAGER_FAULT_NOT_PRESENT), "not present");
	ck_assert_str_eq(vpager_fault_reason_name(VPAGER_FAULT_PROTECTION_VIOLATION), "protection violation");
	ck_assert_str_eq(vpager_fault_reason_name(VPAGER_FAULT_WRITE_TO_READ_ONLY), "write to read-only");
	ck_assert_str_eq(vpager_fault_reason_name(VPAGER_FAULT_EXECUTE_NO_EXECUTE), "execute no-execute");
	ck_assert_str_eq(vpager_fault_reason_name(VPAGER_FAULT_USER_MODE_KERNEL_ACCESS), "user-mode kernel access");
	ck_assert_str_eq(vpager_fault_reason_name((enum vpager_fault_reason)VPAGER_FAULT_REASONS), "unknown reason");
	ck_assert_str_eq(vpager_fault_reason_name((enum vpager_fault_reason)1000), "unknown reason");
}
END_TEST

/* A caller built against a shorter struct: nothing beyond its size changes, and what is inside is right. */
static void decode_pure(int which, struct vpager_fault *out)
{
	if (which == 0)
		vpager_fault_from_x86_64(7, 0x1234, 0x5678, out);
	else if (which == 1)
		vpager_fault_from_aarch64(0x9200004f, 0x1234, 0x5678, out);
	else
		vpager_fault_from_riscv(15, 0x1234, 0x5678, out);
}

START_TEST(short_records_are_not_overrun)
{
	struct vpager_fault whole = fresh(), part;

	decode_pure(_i, &whole);
	for (size_t size = 0; size <= sizeof part + 64; size++) {
		union {
			struct vpager_fault fault;
			unsigned char bytes[sizeof(struct vpager_fault) + 64];
		} u;

		memset(&u, 0x5a, sizeof u);
		u.fault.size = size;
		decode_pure(_i, &u.fault);
		ck_assert_uint_eq(u.fault.size, size);
		for (size_t i = size > sizeof part ? sizeof part : size; i < sizeof u; i++)
			ck_assert_msg(i < sizeof size || u.bytes[i] == 0x5a, "size %zu: byte %zu was written", size, i);
		if (size >= offsetof(struct vpager_fault, was_write))
			ck_assert_int_eq(u.fault.reason, whole.reason);
		if (size >= offsetof(struct vpager_fault, address_exact))
			ck_assert_uint_eq(u.fault.instruction_pointer, 0x5678);
		if (size >= offsetof(struct vpager_fault, stack_pointer))
			ck_assert_int_eq(u.fault.access, WRITE);
	}
}
END_TEST

/* ---- real faults ---- */

static sigjmp_buf back;
static volatile int caught_signo, caught_rc;
static struct vpager_fault caught;
static size_t caught_size;

static void on_fault(int signo, siginfo_t *si, void *uc)
{
	struct vpager_fault whole;

	caught_signo = signo;
	memset(&caught, 0x5a, sizeof caught);
	caught.size = caught_size;
	errno = 1234;
	caught_rc = vpager_fault_decode(signo, si, uc, &caught);
	if (errno != 1234)
		_exit(99);
	/* What the core uses: all of the record, whatever was in it before. */
	memset(&whole, 0xa5, sizeof whole);
	if (caught_rc == 0) {
		fault_classify(signo, si, uc, &whole);
		if (whole.size != sizeof whole || whole.faulting_address != caught.faulting_address || whole.reason != caught.reason)
			_exit(98);
	}
	siglongjmp(back, 1);
}

static long page_bytes;
static char *page; /* one page of its own between two unmapped ones */
static bool emulated;

static bool cpu_is(const char *name)
{
	return strcmp(ARCH_NAME, name) == 0;
}

static void set_up(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	emulated = is_emulated();
	caught_size = sizeof caught;
	page_bytes = sysconf(_SC_PAGESIZE);
	page = mmap(NULL, 3 * (size_t)page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(munmap(page, (size_t)page_bytes), 0);
	ck_assert_int_eq(munmap(page + 2 * page_bytes, (size_t)page_bytes), 0);
	page += page_bytes;
}

static void __attribute__((noinline)) touch_read(volatile char *p)
{
	(void)*p;
}

static void __attribute__((noinline)) touch_write(volatile char *p)
{
	*p = 1;
}

static void __attribute__((noinline)) touch_exec(volatile char *p)
{
	((void (*)(void))(uintptr_t)p)();
}

static void __attribute__((noinline)) touch_add(volatile char *p)
{
	__atomic_fetch_add((volatile int *)(uintptr_t)p, 1, __ATOMIC_SEQ_CST);
}

/* Touches p in the given way and leaves what the handler decoded in `caught`.  0 if nothing was raised. */
static int provoke(void (*touch)(volatile char *), volatile char *p)
{
	caught_signo = 0;
	if (sigsetjmp(back, 1) == 0)
		touch(p);
	return caught_signo;
}

static void check_caught(int signo, int reason, int access, void (*touch)(volatile char *), volatile char *p)
{
	char here;
	uintptr_t mask = ARCH_ADDRESS_EXACT ? ~(uintptr_t)0 : ~((uintptr_t)page_bytes - 1);

	ck_assert_int_eq(provoke(touch, p), signo);
	ck_assert_int_eq(caught_rc, 0);
	ck_assert_uint_eq(caught.size, sizeof caught);
	ck_assert_int_eq(caught.signo, signo);
	ck_assert_uint_eq(caught.faulting_address & mask, (uintptr_t)p & mask);
	ck_assert_int_eq(caught.address_exact, ARCH_ADDRESS_EXACT);
	ck_assert(caught.was_user_mode);
	ck_assert_int_eq(caught.origin, VPAGER_ORIGIN_FOREIGN);
	ck_assert_int_eq(caught.error, 0);
	ck_assert_uint_eq(caught.stack_limit, 0);
	ck_assert_ptr_eq(caught.object, NULL);
	ck_assert_int_eq(caught.was_write, caught.access == VPAGER_ACCESS_WRITE);
	ck_assert_int_eq(caught.access == VPAGER_ACCESS_UNKNOWN, caught.evidence == VPAGER_EVIDENCE_NONE);

	if (cpu_is("generic")) {
		ck_assert_int_eq(caught.access, VPAGER_ACCESS_UNKNOWN);
		ck_assert_uint_eq(caught.instruction_pointer, 0);
		ck_assert_uint_eq(caught.stack_pointer, 0);
		if (reason == VPAGER_FAULT_WRITE_TO_READ_ONLY || reason == VPAGER_FAULT_EXECUTE_NO_EXECUTE)
			reason = VPAGER_FAULT_PROTECTION_VIOLATION;
	} else {
		uintptr_t pc = access == EXEC ? (uintptr_t)p : (uintptr_t)touch & ~(uintptr_t)1;

		/* qemu-user says "read" of x86's read-modify-writes, so our decoder does not believe its reads */
		if (emulated && access == READ && (cpu_is("x86_64") || cpu_is("i386")))
			access = UNKNOWN;
		ck_assert_int_eq(caught.access, access);
		if (touch != touch_add) { /* which may call a function of the compiler's */
			ck_assert_uint_ge(caught.instruction_pointer, pc);
			ck_assert_uint_lt(caught.instruction_pointer, pc + 256);
		}
		ck_assert_uint_lt((uintptr_t)&here - caught.stack_pointer + 4096, 65536);
	}
	/* qemu-user says MAPERR of everything there */
	if (emulated && cpu_is("ppc64le") && reason != VPAGER_FAULT_USER_MODE_KERNEL_ACCESS)
		reason = VPAGER_FAULT_NOT_PRESENT;
	ck_assert_int_eq(caught.reason, reason);
}

START_TEST(real_read_and_write_of_prot_none)
{
	check_caught(SIGSEGV, VPAGER_FAULT_PROTECTION_VIOLATION, READ, touch_read, page + 24);
	check_caught(SIGSEGV, VPAGER_FAULT_WRITE_TO_READ_ONLY, WRITE, touch_write, page + 25);
	if (cpu_is("x86_64") && !emulated)
		ck_assert_uint_eq(caught.hw_code, 6);
}
END_TEST

START_TEST(real_write_to_read_only)
{
	ck_assert_int_eq(mprotect(page, (size_t)page_bytes, PROT_READ | PROT_WRITE), 0);
	page[7] = 1;
	ck_assert_int_eq(mprotect(page, (size_t)page_bytes, PROT_READ), 0);
	ck_assert_int_eq(provoke(touch_read, page + 7), 0);
	check_caught(SIGSEGV, VPAGER_FAULT_WRITE_TO_READ_ONLY, WRITE, touch_write, page + 7);
	if (cpu_is("x86_64") && !emulated)
		ck_assert_uint_eq(caught.hw_code, 7);
	check_caught(SIGSEGV, VPAGER_FAULT_WRITE_TO_READ_ONLY, WRITE, touch_add, page + 8);
}
END_TEST

/* On a CPU with load-linked and store-conditional the load faults first, so a read is right there. */
START_TEST(real_read_modify_write_of_prot_none_is_no_sure_read)
{
	ck_assert_int_eq(provoke(touch_add, page + 16), SIGSEGV);
	ck_assert_int_eq(caught_rc, 0);
	if ((cpu_is("x86_64") || cpu_is("i386")) && !emulated)
		ck_assert_int_eq(caught.access, VPAGER_ACCESS_WRITE);
	if (cpu_is("x86_64") || cpu_is("i386") || cpu_is("s390x"))
		ck_assert_int_ne(caught.access, VPAGER_ACCESS_READ);
	ck_assert_int_ne(caught.access, VPAGER_ACCESS_EXEC);
}
END_TEST

START_TEST(real_execution_of_no_execute)
{
	ck_assert_int_eq(mprotect(page, (size_t)page_bytes, PROT_READ | PROT_WRITE), 0);
	memset(page, 0, (size_t)page_bytes);
	if (emulated && cpu_is("ppc64le"))
		return; /* qemu-user reports address 8 */
	if (emulated && cpu_is("s390x")) {
		/* readable text on the page of the fault: fetch or data access cannot be told apart */
		ck_assert_int_eq(provoke(touch_exec, page + 64), SIGSEGV);
		ck_assert_int_eq(caught.access, VPAGER_ACCESS_UNKNOWN);
		return;
	}
	check_caught(SIGSEGV, VPAGER_FAULT_EXECUTE_NO_EXECUTE, EXEC, touch_exec, page + 64);
}
END_TEST

START_TEST(real_execution_of_prot_none)
{
	if (emulated && cpu_is("ppc64le"))
		return; /* qemu-user reports address 8 */
	check_caught(SIGSEGV, VPAGER_FAULT_EXECUTE_NO_EXECUTE, EXEC, touch_exec, page + 64);
}
END_TEST

START_TEST(real_unmapped)
{
	volatile char *hole = page + page_bytes;

	check_caught(SIGSEGV, VPAGER_FAULT_NOT_PRESENT, READ, touch_read, hole + 3);
	check_caught(SIGSEGV, VPAGER_FAULT_NOT_PRESENT, WRITE, touch_write, hole + 3);
	if (emulated && cpu_is("ppc64le"))
		return; /* qemu-user reports address 8 */
	check_caught(SIGSEGV, VPAGER_FAULT_NOT_PRESENT, EXEC, touch_exec, hole + 64);
}
END_TEST

START_TEST(real_null_pointer)
{
	check_caught(SIGSEGV, VPAGER_FAULT_NOT_PRESENT, READ, touch_read, (volatile char *)(uintptr_t)0);
	check_caught(SIGSEGV, VPAGER_FAULT_NOT_PRESENT, WRITE, touch_write, (volatile char *)(uintptr_t)16);
}
END_TEST

START_TEST(real_kernel_half)
{
	uintptr_t address = sizeof(long) == 8 ? (uintptr_t)0xffff800000000000 : (uintptr_t)0xfffff000;

	if (cpu_is("s390x") || cpu_is("generic")) { /* user space may have every address */
		ck_assert(!arch_kernel_half(address));
		return;
	}
	ck_assert(arch_kernel_half(address));
	ck_assert(!arch_kernel_half((uintptr_t)page));
	ck_assert_int_ne(provoke(touch_read, (volatile char *)address), 0);
	if (caught_signo != SIGSEGV || caught.si_code == SI_KERNEL || caught.faulting_address != address) {
		ck_assert(emulated || cpu_is("mips64el") || cpu_is("loongarch64")); /* an address error, no page fault */
		return;
	}
	ck_assert_int_eq(caught.reason, VPAGER_FAULT_USER_MODE_KERNEL_ACCESS);
	ck_assert_int_eq(provoke(touch_write, (volatile char *)address), SIGSEGV);
	ck_assert_int_eq(caught.reason, VPAGER_FAULT_USER_MODE_KERNEL_ACCESS);
	ck_assert_int_eq(caught.access, VPAGER_ACCESS_WRITE);
}
END_TEST

/* A general-protection trap: no address, no error code, and CR2 is an older fault's. */
START_TEST(real_non_canonical)
{
	void (*touch[])(volatile char *) = {touch_read, touch_write};

	if (emulated || !cpu_is("x86_64"))
		return;
	ck_assert_int_eq(provoke(touch_write, page), SIGSEGV);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(provoke(touch[i], (volatile char *)(uintptr_t)0x1234567812345678ull), SIGSEGV);
		ck_assert_int_eq(caught_rc, 0);
		ck_assert_int_eq(caught.si_code, SI_KERNEL);
		ck_assert_int_eq(caught.reason, VPAGER_FAULT_PROTECTION_VIOLATION);
		ck_assert_int_eq(caught.access, VPAGER_ACCESS_UNKNOWN);
		ck_assert_int_eq(caught.evidence, VPAGER_EVIDENCE_NONE);
		ck_assert(!caught.was_write);
		ck_assert(!caught.address_exact);
		ck_assert_uint_eq(caught.faulting_address, 0);
		ck_assert_uint_eq(caught.hw_code, 0);
		ck_assert_uint_ge(caught.instruction_pointer, (uintptr_t)touch[i]);
		ck_assert_uint_lt(caught.instruction_pointer, (uintptr_t)touch[i] + 64);
	}
}
END_TEST

/* The address is in the page that faulted, which is not where the operand starts. */
struct __attribute__((packed)) unaligned {
	volatile uint64_t word;
};

static void __attribute__((noinline)) touch_straddle(volatile char *p)
{
	((struct unaligned *)(uintptr_t)p)->word = 1;
}

START_TEST(real_straddling_store)
{
	char *two = mmap(NULL, 2 * (size_t)page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(two, MAP_FAILED);
	ck_assert_int_eq(mprotect(two + page_bytes, (size_t)page_bytes, PROT_NONE), 0);
	ck_assert_int_eq(provoke(touch_straddle, two + page_bytes - 4), SIGSEGV);
	ck_assert_int_eq(caught_rc, 0);
	ck_assert_uint_eq(caught.faulting_address & ~((uintptr_t)page_bytes - 1), (uintptr_t)two + (uintptr_t)page_bytes);
	ck_assert_int_ne(caught.access, VPAGER_ACCESS_EXEC);
	if (cpu_is("x86_64")) {
		ck_assert_int_eq(caught.access, VPAGER_ACCESS_WRITE);
		ck_assert_uint_eq(caught.faulting_address, (uintptr_t)two + (uintptr_t)page_bytes);
	}
}
END_TEST

START_TEST(real_access_beyond_the_end_of_a_file)
{
	char name[] = "/tmp/vpager-decode-XXXXXX";
	int fd = mkstemp(name);
	char *map;

	ck_assert_int_ge(fd, 0);
	unlink(name);
	ck_assert_int_eq(ftruncate(fd, page_bytes), 0);
	map = mmap(NULL, 2 * (size_t)page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(provoke(touch_write, map), 0);
	if (emulated) { /* a swapped, stale or missing address, and no error code: only that it is told at all */
		ck_assert_int_eq(provoke(touch_read, map + page_bytes), SIGBUS);
		ck_assert_int_eq(caught_rc, 0);
		ck_assert_int_eq(caught.reason, VPAGER_FAULT_NOT_PRESENT);
		return;
	}
	check_caught(SIGBUS, VPAGER_FAULT_NOT_PRESENT, READ, touch_read, map + page_bytes + 5);
	ck_assert_int_eq(caught.si_code, BUS_ADRERR);
	check_caught(SIGBUS, VPAGER_FAULT_NOT_PRESENT, WRITE, touch_write, map + page_bytes + 5);
}
END_TEST

/* A signal that was sent is no memory fault, even with the registers of one in its frame. */
static void send_kill(volatile char *p)
{
	(void)p;
	kill(getpid(), SIGSEGV);
}

static void send_raise(volatile char *p)
{
	(void)p;
	raise(SIGBUS);
}

static void send_queue(volatile char *p)
{
	union sigval value = {.sival_ptr = (void *)(uintptr_t)p};

	sigqueue(getpid(), SIGSEGV, value);
}

START_TEST(sent_signals_are_refused)
{
	void (*send[])(volatile char *) = {send_kill, send_raise, send_queue};

	for (int i = 0; i < 3; i++) {
		struct vpager_fault untouched;

		ck_assert_int_eq(provoke(touch_write, page), SIGSEGV);
		ck_assert_int_eq(caught_rc, 0);
		ck_assert_int_ne(provoke(send[i], page), 0);
		ck_assert_int_eq(caught_rc, -EINVAL);
		memset(&untouched, 0x5a, sizeof untouched);
		untouched.size = sizeof untouched;
		ck_assert_mem_eq(&caught, &untouched, sizeof caught);
	}
}
END_TEST

static void send_other_signal(volatile char *p)
{
	siginfo_t si;

	(void)p;
	memset(&si, 0, sizeof si);
	si.si_code = SEGV_MAPERR; /* to itself a process may send any code */
	syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si);
}

START_TEST(other_signals_are_refused)
{
	ck_assert_int_eq(provoke(send_other_signal, NULL), SIGUSR1);
	ck_assert_int_eq(caught_rc, -EINVAL);
}
END_TEST

START_TEST(short_record_of_a_real_fault_is_not_overrun)
{
	unsigned char *bytes = (unsigned char *)&caught;

	caught_size = offsetof(struct vpager_fault, instruction_pointer);
	ck_assert_int_eq(provoke(touch_write, page + 9), SIGSEGV);
	ck_assert_int_eq(caught_rc, 0);
	ck_assert_uint_eq(caught.size, caught_size);
	ck_assert_uint_eq(caught.faulting_address & ~((uintptr_t)page_bytes - 1), (uintptr_t)page);
	for (size_t i = caught_size; i < sizeof caught; i++)
		ck_assert_uint_eq(bytes[i], 0x5a);
}
END_TEST

/* ---- the record as text ---- */

/* System calls go through here: writes come out in small pieces and are interrupted, as by a slow terminal and a timer. */
long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

static long piece; /* most bytes that a write takes; 0: as the kernel does */
static int interrupts, writes, failure;

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	if (nr == SYS_write) {
		writes++;
		if (failure && writes > 1)
			return failure;
		if (interrupts && interrupts--)
			return -EINTR;
		if (piece && c > piece)
			c = piece;
	}
	return __real_sys_call(nr, a, b, c, d, e, f);
}

static void text_of(const struct vpager_fault *f, char *text, size_t len)
{
	int fd[2];
	ssize_t n;
	size_t have = 0;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(vpager_fault_write(fd[1], f), 0);
	close(fd[1]);
	while ((n = read(fd[0], text + have, len - 1 - have)) > 0)
		have += (size_t)n;
	close(fd[0]);
	text[have] = '\0';
	ck_assert_uint_lt(have, len - 1);
}

/* The value of a line, NULL without such a line. */
static const char *value_of(const char *text, const char *name)
{
	static char value[128];
	size_t len = strlen(name);

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		ck_assert_ptr_ne(strchr(line, '\n'), NULL);
		ck_assert_ptr_ne(strstr(line, ": "), NULL);
		if (strncmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0) {
			size_t n = (size_t)(strchr(line, '\n') - (line + len + 2));

			ck_assert_uint_lt(n, sizeof value);
			memcpy(value, line + len + 2, n);
			value[n] = '\0';
			return value;
		}
	}
	return NULL;
}

static uint64_t number_of(const char *text, const char *name)
{
	const char *value = value_of(text, name);

	return value ? strtoull(value, NULL, 0) : 0;
}

static void check_value(const char *text, const char *name, const char *expected)
{
	const char *value = value_of(text, name);

	ck_assert_msg(value && strcmp(value, expected) == 0, "%s: \"%s\", not \"%s\" in\n%s", name, value ? value : "(no line)",
	              expected, text);
}

static struct vpager_fault example(void)
{
	struct vpager_fault f;

	memset(&f, 0, sizeof f);
	f.size = sizeof f;
	f.faulting_address = (uintptr_t)0x7f0123456789abcd;
	f.reason = VPAGER_FAULT_WRITE_TO_READ_ONLY;
	f.was_write = true;
	f.was_user_mode = true;
	f.instruction_pointer = 0x401000;
	f.address_exact = true;
	f.access = VPAGER_ACCESS_WRITE;
	f.evidence = VPAGER_EVIDENCE_HARDWARE;
	f.origin = VPAGER_ORIGIN_REGION;
	f.stack_pointer = (uintptr_t)-16;
	f.stack_limit = (uintptr_t)-4096;
	f.signo = SIGSEGV;
	f.si_code = SEGV_ACCERR;
	f.error = -EIO;
	f.hw_code = UINT64_MAX;
	f.object = &page;
	return f;
}

static void check_text(const char *text, const struct vpager_fault *f)
{
	check_value(text, "reason", vpager_fault_reason_name(f->reason));
	check_value(text, "address_exact", f->address_exact ? "yes" : "no");
	check_value(text, "was_user_mode", f->was_user_mode ? "yes" : "no");
	ck_assert_uint_eq(number_of(text, "faulting_address"), f->faulting_address);
	ck_assert_uint_eq(number_of(text, "instruction_pointer"), f->instruction_pointer);
	ck_assert_uint_eq(number_of(text, "stack_pointer"), f->stack_pointer);
	ck_assert_uint_eq(number_of(text, "stack_limit"), f->stack_limit);
	ck_assert_uint_eq(number_of(text, "object"), (uintptr_t)f->object);
	ck_assert_int_eq((int)number_of(text, "signo"), f->signo);
	ck_assert_int_eq((int)number_of(text, "si_code"), f->si_code);
	ck_assert_int_eq((int)number_of(text, "error"), f->error);
	ck_assert(number_of(text, "hw_code") == f->hw_code);
}

START_TEST(text_of_a_full_record)
{
	struct vpager_fault f = example();
	char text[2048];

	text_of(&f, text, sizeof text);
	check_text(text, &f);
	check_value(text, "access", "write");
	check_value(text, "evidence", "hardware");
	check_value(text, "origin", "region");
	check_value(text, "signo", "11 (SIGSEGV)");
	check_value(text, "si_code", "2 (SEGV_ACCERR)");
	check_value(text, "error", "-5 (EIO)");
	check_value(text, "instruction_pointer", "0x401000");
	ck_assert_int_eq(writes, 1); /* one write: two threads' reports do not mix */
}
END_TEST

START_TEST(text_of_every_name)
{
	static const char *const access[] = {"unknown", "read", "write", "execute"};
	static const char *const evidence[] = {"hardware", "instruction", "page state", "none"};
	static const char *const origin[] = {"foreign", "region", "stack growth", "stack overflow"};
	struct vpager_fault f = example();
	char text[2048];

	for (int i = 0; i <= 4; i++) {
		f.reason = i;
		f.access = i;
		f.evidence = i;
		f.origin = i;
		text_of(&f, text, sizeof text);
		check_text(text, &f);
		check_value(text, "access", i < 4 ? access[i] : "unknown");
		check_value(text, "evidence", i < 4 ? evidence[i] : "none");
		check_value(text, "origin", i < 4 ? origin[i] : "unknown");
	}
	f.signo = SIGBUS;
	f.si_code = BUS_MCEERR_AR;
	f.error = INT32_MIN;
	text_of(&f, text, sizeof text);
	check_text(text, &f);
	ck_assert_ptr_ne(strstr(value_of(text, "signo"), "(SIGBUS)"), NULL);
	check_value(text, "si_code", "4 (BUS_MCEERR_AR)");
	check_value(text, "error", "-2147483648");
	f.si_code = SI_KERNEL;
	text_of(&f, text, sizeof text);
	check_value(text, "si_code", "128 (SI_KERNEL)");
}
END_TEST

START_TEST(text_leaves_out_what_is_not_there)
{
	struct vpager_fault f = example();
	char text[2048];

	f.stack_limit = 0;
	f.error = 0;
	f.object = NULL;
	f.hw_code = 0;
	text_of(&f, text, sizeof text);
	check_text(text, &f);
	ck_assert_ptr_eq(value_of(text, "stack_limit"), NULL);
	ck_assert_ptr_eq(value_of(text, "error"), NULL);
	ck_assert_ptr_eq(value_of(text, "object"), NULL);
	ck_assert_ptr_eq(value_of(text, "hw_code"), NULL);
}
END_TEST

START_TEST(text_of_a_short_record_reads_no_further)
{
	struct vpager_fault f = example();
	char text[2048];

	f.size = offsetof(struct vpager_fault, address_exact);
	text_of(&f, text, sizeof text);
	check_value(text, "reason", "write to read-only");
	check_value(text, "instruction_pointer", "0x401000");
	check_value(text, "access", "unknown");
	check_value(text, "stack_pointer", "0x0");
	ck_assert_ptr_eq(value_of(text, "error"), NULL);
}
END_TEST

START_TEST(text_of_a_real_fault)
{
	char text[2048];

	ck_assert_int_eq(provoke(touch_write, page + 3), SIGSEGV);
	text_of(&caught, text, sizeof text);
	check_text(text, &caught);
}
END_TEST

START_TEST(text_survives_partial_and_interrupted_writes)
{
	struct vpager_fault f = example();
	char whole[2048], text[2048];

	text_of(&f, whole, sizeof whole);
	piece = 7;
	interrupts = 3;
	writes = 0;
	text_of(&f, text, sizeof text);
	ck_assert_str_eq(text, whole);
	ck_assert_int_eq(writes, 3 + ((int)strlen(whole) + 6) / 7);
}
END_TEST

START_TEST(text_reports_the_error_of_write)
{
	struct vpager_fault f = example();
	int null = open("/dev/null", O_WRONLY);

	errno = 1234;
	ck_assert_int_eq(vpager_fault_write(-1, &f), -EBADF);
	piece = 7;
	writes = 0;
	failure = -ENOSPC;
	ck_assert_int_eq(vpager_fault_write(null, &f), -ENOSPC);
	ck_assert_int_eq(writes, 2);
	writes = 0;
	failure = 0;
	ck_assert_int_eq(vpager_fault_write(null, &f), 0);
	ck_assert_int_eq(errno, 1234);
	close(null);
}
END_TEST

static Suite *decode_suite(void)
{
	Suite *suite = suite_create("decode");
	TCase *pure = tcase_create("pure"), *real = tcase_create("real"), *text = tcase_create("text");

	tcase_add_test(pure, x86_64_every_error_code);
	tcase_add_test(pure, aarch64_every_syndrome);
	tcase_add_test(pure, riscv_every_cause);
	tcase_add_test(pure, origin_reasons_are_equal_to_themselves_alone);
	tcase_add_test(pure, origin_record);
	tcase_add_test(pure, origin_user_write);
	tcase_add_test(pure, origin_kernel_fault);
	tcase_add_test(pure, reason_names);
	tcase_add_loop_test(pure, short_records_are_not_overrun, 0, 3);
	suite_add_tcase(suite, pure);

	tcase_add_checked_fixture(real, set_up, NULL);
	tcase_add_test(real, real_read_and_write_of_prot_none);
	tcase_add_test(real, real_write_to_read_only);
	tcase_add_test(real, real_read_modify_write_of_prot_none_is_no_sure_read);
	tcase_add_test(real, real_execution_of_no_execute);
	tcase_add_test(real, real_execution_of_prot_none);
	tcase_add_test(real, real_unmapped);
	tcase_add_test(real, real_null_pointer);
	tcase_add_test(real, real_kernel_half);
	tcase_add_test(real, real_non_canonical);
	tcase_add_test(real, real_straddling_store);
	tcase_add_test(real, real_access_beyond_the_end_of_a_file);
	tcase_add_test(real, sent_signals_are_refused);
	tcase_add_test(real, other_signals_are_refused);
	tcase_add_test(real, short_record_of_a_real_fault_is_not_overrun);
	suite_add_tcase(suite, real);

	tcase_add_checked_fixture(text, set_up, NULL);
	tcase_add_test(text, text_of_a_full_record);
	tcase_add_test(text, text_of_every_name);
	tcase_add_test(text, text_leaves_out_what_is_not_there);
	tcase_add_test(text, text_of_a_short_record_reads_no_further);
	tcase_add_test(text, text_of_a_real_fault);
	tcase_add_test(text, text_survives_partial_and_interrupted_writes);
	tcase_add_test(text, text_reports_the_error_of_write);
	suite_add_tcase(suite, text);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(decode_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
