/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a signal frame and as the text that it points to, through every CPU's decoder: nothing is read outside of the
 * frame, which the sanitizers see, and whatever comes out is one of the answers that there are.  For libFuzzer, or with a main
 * of its own for compilers that have none (see fuzz.sh). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../lib/core/arch/aarch64/frame.h"
#include "../lib/core/arch/arm/frame.h"
#include "../lib/core/arch/i386/frame.h"
#include "../lib/core/arch/loongarch64/frame.h"
#include "../lib/core/arch/mips64el/frame.h"
#include "../lib/core/arch/ppc64le/frame.h"
#include "../lib/core/arch/riscv64/frame.h"
#include "../lib/core/arch/s390x/frame.h"
#include "../lib/core/arch/x86_64/frame.h"

/* Large enough for every CPU's ucontext_t: the largest is aarch64's, with 4096 bytes of records. */
#define FRAME_BYTES 8192u
#define TEXT_BYTES 16u

static const struct {
	const char *name;
	struct arch_access (*access)(const void *uc, struct arch_signal sig, arch_peek_fn peek);
	uint64_t (*pc)(const void *uc);
} cpus[] = {
    {"aarch64", aarch64_access, aarch64_pc}, {"arm", arm_access, arm_pc},
    {"i386", i386_access, i386_pc},          {"loongarch64", loongarch64_access, loongarch64_pc},
    {"mips64el", mips64el_access, mips64el_pc}, {"ppc64le", ppc64le_access, ppc64le_pc},
    {"riscv64", riscv64_access, riscv64_pc}, {"s390x", s390x_access, s390x_pc},
    {"x86_64", x86_64_access, x86_64_pc},
};
#define CPUS (sizeof cpus / sizeof *cpus)

/* The head of an input; what follows is the frame, repeated until that is full. */
struct head {
	uint8_t cpu, signo, text_len, si_code;
	uint64_t address;
	unsigned char text[TEXT_BYTES];
};

static struct head head;

static size_t peek(uint64_t address, void *buf, size_t len)
{
	size_t n = head.text_len % (TEXT_BYTES + 1);

	n = n < len ? n : len;
	memcpy(buf, head.text + address % (TEXT_BYTES + 1 - n), n);
	return n;
}

static void sure(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %s\n", cpus[head.cpu % CPUS].name, what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	unsigned char *frame;
	struct arch_access got;

	if (len <= sizeof head)
		return 0;
	memcpy(&head, bytes, sizeof head);
	bytes += sizeof head;
	len -= sizeof head;
	frame = malloc(FRAME_BYTES); /* its end is watched by the sanitizer */
	if (!frame)
		return 0;
	for (size_t at = 0; at < FRAME_BYTES; at += len)
		memcpy(frame + at, bytes, len < FRAME_BYTES - at ? len : FRAME_BYTES - at);
	got = cpus[head.cpu % CPUS].access(
	    frame, (struct arch_signal){head.signo % 2 ? SIGSEGV : SIGBUS, head.si_code, head.address}, peek);
	(void)cpus[head.cpu % CPUS].pc(frame);
	sure(got.access <= VPAGER_ACCESS_EXEC, "no access of this name");
	sure(got.evidence <= VPAGER_EVIDENCE_NONE, "no evidence of this name");
	sure((got.access == VPAGER_ACCESS_UNKNOWN) == (got.evidence == VPAGER_EVIDENCE_NONE), "access without evidence");
	free(frame);
	return 0;
}

#ifndef LIBFUZZER
int main(int argc, char **argv)
{
	static unsigned char bytes[4096 + sizeof head];
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL), runs = 0;

	printf("seed %llu\n", (unsigned long long)state);
	for (; time(NULL) < end; runs++) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
			bytes[i] = (unsigned char)(state >> 56);
		}
		LLVMFuzzerTestOneInput(bytes, sizeof head + 1 + runs % 4096);
	}
	printf("%llu inputs\n", (unsigned long long)runs);
	return 0;
}
#endif
