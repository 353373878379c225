/* SPDX-License-Identifier: MIT
 *
 * Frames larger than a guard, with and without -fstack-clash-protection: stack_clash.sh builds this both ways.  Says what
 * became of one at the limit of a stack, and of a system call that fills one on a stack that has to grow for it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vpager.h>

#define GUARD ((size_t)64 << 10)
#define FRAME (3 * GUARD)
#define NEAR ((size_t)16 << 10)

static void sure(int ok, const char *what)
{
	if (ok)
		return;
	printf("not so: %s\n", what);
	exit(1);
}

static struct vpager_stack_pool *pool_with(uint32_t flags)
{
	const struct vpager_stack_pool_options options = {
	    .size = sizeof options, .slot_bytes = (size_t)1 << 20, .guard_bytes = GUARD, .max_stacks = 2, .flags = flags};
	struct vpager_stack_pool *pool;
	int err = vpager_stack_pool_create(&pool, &options);

	if (err == -ENOTSUP)
		exit(77); /* no stacks on this CPU */
	sure(err == 0, "a pool");
	return pool;
}

/* ---- at the limit ---- */

static volatile size_t far_end = 0;

/* Its far end, and nothing on the way there. */
static __attribute__((noinline)) void large_frame(void)
{
	volatile unsigned char frame[FRAME];

	frame[far_end] = 1; /* not a constant, or clang makes do with less */
	(void)frame[far_end];
}

static __attribute__((noinline)) void go_near_the_limit(void *arg)
{
	volatile unsigned char frame[1024];

	frame[0] = 1;
	if (vpager_stack_remaining() > NEAR)
		go_near_the_limit(arg);
	else
		large_frame();
	frame[1] = frame[0]; /* after the call: no loop */
}

/* Where the large frame ends, in the slot below: all zeros before. */
static const char *at_the_limit(uint32_t flags)
{
	struct vpager_stack_pool *pool = pool_with(flags);
	struct vpager_stack *low = NULL, *high = NULL;
	const unsigned char *bytes;
	size_t n = FRAME, i = 0;
	int err;

	sure(vpager_stack_get(&low, pool) == 0 && vpager_stack_get(&high, pool) == 0, "two stacks");
	sure(vpager_stack_top(low) < vpager_stack_base(high), "slots upwards");
	err = vpager_stack_call(high, go_near_the_limit, NULL, NULL);
	if (err)
		return err == -EOVERFLOW ? "overflow" : "another error";
	bytes = (const unsigned char *)vpager_stack_top(low) - n;
	while (i < n && bytes[i] == 0)
		i++;
	return i < n ? "the next stack was written to" : "nothing";
}

/* ---- a system call ---- */

struct filled {
	int fd[2];
	ssize_t got;
};

static __attribute__((noinline)) void fill(void *arg)
{
	struct filled *filled = arg;
	unsigned char frame[FRAME];

	filled->got = read(filled->fd[0], frame, sizeof frame);
	sure(filled->got <= 0 || frame[filled->got - 1] == 7, "what was read");
}

static void write_all(int fd)
{
	static unsigned char bytes[FRAME];

	memset(bytes, 7, sizeof bytes);
	sure(write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes, "write");
}

static ssize_t by_a_system_call(void)
{
	struct vpager_stack_pool *pool = pool_with(0);
	struct vpager_stack *stack = NULL;
	struct filled filled;
	FILE *file = tmpfile();

	sure(file && vpager_stack_get(&stack, pool) == 0, "a stack and a file");
	filled.fd[0] = fileno(file);
	write_all(filled.fd[0]);
	sure(lseek(filled.fd[0], 0, SEEK_SET) == 0, "lseek");
	sure(vpager_stack_call(stack, fill, &filled, NULL) == 0, "the call");
	return filled.got;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "lazy") == 0)
		puts(at_the_limit(VPAGER_STACK_LAZY));
	else if (strcmp(what, "grown") == 0)
		puts(at_the_limit(0));
	else
		puts(by_a_system_call() == (ssize_t)FRAME ? "all was read" : "not all was read");
	return 0;
}
