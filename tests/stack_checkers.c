/* SPDX-License-Identifier: MIT
 *
 * What a memory checker sees of stacks: calls, nested ones, overflow again and again, stacks that go from thread to thread.  It
 * should have nothing to say, except to `wrong': one real mistake, on a stack.  stack_checkers.sh runs this with each checker. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpager.h>

/* Signal stacks and signals are the library's. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "use_sigaltstack=0:handle_segv=0:handle_sigbus=0:detect_stack_use_after_return=1";
}

const char *__tsan_default_options(void)
{
	return "use_sigaltstack=0:handle_segv=0:handle_sigbus=0";
}

#define SURE(condition)                                                                                                      \
	do {                                                                                                                  \
		if (!(condition)) {                                                                                           \
			printf("line %d: not so: %s\n", __LINE__, #condition);                                                \
			exit(1);                                                                                              \
		}                                                                                                             \
	} while (0)

#define THREADS 4
#define ROUNDS 10

static struct vpager_stack_pool *pool;

/* Frames with arrays in them, which checkers fence in. */
__attribute__((noinline)) static uint64_t recurse(size_t depth)
{
	volatile unsigned char frame[200];
	uint64_t sum;

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (unsigned char)(depth + i);
	sum = depth ? recurse(depth - 1) : 0;
	for (size_t i = 0; i < sizeof frame; i++)
		sum += frame[i] - (uint64_t)(unsigned char)(depth + i);
	return sum;
}

static void recurse_by(void *arg)
{
	SURE(recurse((size_t)(uintptr_t)arg) == 0);
}

static void use_nested(void *arg)
{
	struct vpager_stack *inner;

	recurse_by(arg);
	SURE(vpager_stack_get(&inner, pool) == 0);
	SURE(vpager_stack_call(inner, recurse_by, arg, NULL) == 0);
	SURE(vpager_stack_call(inner, recurse_by, (void *)(uintptr_t)SIZE_MAX, NULL) == -EOVERFLOW);
	SURE(vpager_try(recurse_by, (void *)(uintptr_t)SIZE_MAX, NULL) == -EOVERFLOW);
	vpager_stack_put(inner);
	recurse_by(arg);
}

/* Left by one thread, taken by the next: each writes to all of it. */
static struct vpager_stack *shelf;
static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;

static struct vpager_stack *swap(struct vpager_stack *mine)
{
	struct vpager_stack *other;

	pthread_mutex_lock(&shelf_lock);
	other = shelf;
	shelf = mine;
	pthread_mutex_unlock(&shelf_lock);
	return other;
}

static void *thread(void *arg)
{
	struct vpager_stack *stack;

	SURE(vpager_stack_get(&stack, pool) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		SURE(vpager_stack_call(stack, use_nested, (void *)(uintptr_t)300, NULL) == 0);
		SURE(vpager_stack_call(stack, recurse_by, (void *)(uintptr_t)SIZE_MAX, NULL) == -EOVERFLOW);
		stack = swap(stack);
		if (!stack)
			SURE(vpager_stack_get(&stack, pool) == 0);
	}
	vpager_stack_put(stack);
	return arg;
}

/* ---- mistakes ---- */

static volatile size_t past = 200;
static volatile int shared;
static pthread_barrier_t together; /* or what they lock one after the other would put them in order */

/* A byte behind an array. */
static void write_behind(void *arg)
{
	volatile unsigned char array[200];

	array[0] = 1;
	array[past] = 2;
	*(unsigned char *)arg = array[0];
}

/* A branch on what nobody has written. */
static void read_undefined(void *arg)
{
	volatile unsigned char array[200];

	if (array[past / 2])
		*(unsigned char *)arg = 1;
}

static void count(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		shared++;
}

static void *count_on_stack(void *arg)
{
	struct vpager_stack *stack;

	SURE(vpager_stack_get(&stack, pool) == 0);
	SURE(vpager_thread_attach() == 0);
	pthread_barrier_wait(&together);
	SURE(vpager_stack_call(stack, count, NULL, NULL) == 0);
	vpager_stack_put(stack);
	return arg;
}

static void in_threads(void *(*fn)(void *))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		SURE(pthread_create(&threads[i], NULL, fn, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		SURE(pthread_join(threads[i], NULL) == 0);
}

int main(int argc, char **argv)
{
	const struct vpager_stack_pool_options options = {.size = sizeof options, .limit_bytes = (size_t)4 << 20, .max_stacks = 64};
	const char *wrong = argc > 1 ? argv[1] : "";
	struct vpager_stack *stack;
	unsigned char byte = 0;

	SURE(pthread_barrier_init(&together, NULL, THREADS) == 0);
	SURE(vpager_stack_pool_create(&pool, &options) == 0);
	SURE(vpager_stack_get(&stack, pool) == 0);
	SURE(vpager_stack_call(stack, use_nested, (void *)(uintptr_t)3000, NULL) == 0);
	if (strcmp(wrong, "behind") == 0)
		SURE(vpager_stack_call(stack, write_behind, &byte, NULL) == 0);
	if (strcmp(wrong, "undefined") == 0)
		SURE(vpager_stack_call(stack, read_undefined, &byte, NULL) == 0);
	vpager_stack_put(stack);
	in_threads(thread);
	if (strcmp(wrong, "race") == 0)
		in_threads(count_on_stack);
	vpager_stack_put(shelf);
	SURE(vpager_stack_pool_destroy(pool) == 0);
	puts("done");
	return 0;
}
