/* SPDX-License-Identifier: MIT
 *
 * Attaching threads: an alternate signal stack, so that the handler can run when the thread's own is full.
 *
 *      | guard | ............ usable ............ |     one mapping; the guard is closed by markers or by mprotect
 *              ^ ss_sp                            ^ ss_sp + ss_size
 *
 * An alternate stack that overflows would silently overwrite what lies below it; with a guard the process ends there. */
#include "thread.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "core/arch/arch.h"
#include "core/export.h"
#include "core/stack.h"
#include "core/sys.h"
#include "core/thread.h"
#include "runtime.h"

#ifndef AT_MINSIGSTKSZ /* uapi/linux/auxvec.h */
#define AT_MINSIGSTKSZ 51
#endif

#define USABLE_DEFAULT ((size_t)64 << 10)
#define ROOM_DEFAULT ((size_t)32 << 10) /* beside the kernel's frame: our handler, and store code that runs in it */
#define ROOM_LEAST ((size_t)16 << 10)
#define GUARD_BYTES ((size_t)16 << 10)

static pthread_key_t key; /* its value is the mapping; its destructor gives it back when the thread ends */
static bool have_key;
static size_t usable_bytes;

static size_t frame_bytes(void)
{
	size_t least = getauxval(AT_MINSIGSTKSZ); /* 0 where the kernel does not say: then the constant is right */

	return least > (size_t)MINSIGSTKSZ ? least : (size_t)MINSIGSTKSZ;
}

static size_t page_up(size_t bytes)
{
	size_t page = system_page_bytes();

	return (bytes + page - 1) / page * page;
}

static size_t guard_bytes(void)
{
	return page_up(GUARD_BYTES);
}

static size_t mapping_bytes(void)
{
	return guard_bytes() + usable_bytes;
}

/* ---- the mapping ---- */

/* NULL: no memory. */
static char *map(void)
{
	void *low = mmap(NULL, mapping_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (low == MAP_FAILED)
		return NULL;
	if (stack_markers_close((uintptr_t)low, (uintptr_t)low + guard_bytes()) ||
	    sys_mprotect(low, guard_bytes(), PROT_NONE) == 0)
		return low;
	munmap(low, mapping_bytes());
	return NULL;
}

static void forget(void)
{
	thread_self.alternate_low = 0;
	thread_self.alternate_bytes = 0;
}

/* Takes it out of use, if it is in use, and gives it back. */
static int discard(char *low)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t now;

	if (sigaltstack(NULL, &now))
		return -errno;
	if (now.ss_sp == low + guard_bytes() && sigaltstack(&none, NULL))
		return errno == EPERM ? -EBUSY : -errno;
	forget();
	munmap(low, mapping_bytes());
	return 0;
}

static void at_thread_exit(void *low)
{
	(void)discard(low); /* cannot be refused: nothing of the thread runs but this */
}

/* ---- the interface ---- */

int thread_check_options(size_t altstack_bytes)
{
	return altstack_bytes && altstack_bytes < frame_bytes() + ROOM_LEAST ? -EINVAL : 0;
}

int thread_setup(size_t bytes)
{
	stack_frame_bytes = frame_bytes();
	stack_page_bytes = system_page_bytes();
	if (bytes == 0)
		bytes =
		    stack_frame_bytes + ROOM_DEFAULT > USABLE_DEFAULT ? stack_frame_bytes + ROOM_DEFAULT : USABLE_DEFAULT;
	usable_bytes = page_up(bytes);
	if (!have_key && pthread_key_create(&key, at_thread_exit))
		return -ENOMEM;
	have_key = true;
	return 0;
}

int thread_on_alternate(uintptr_t here)
{
	return here - thread_self.alternate_low < thread_self.alternate_bytes;
}

static int put_in_use(void)
{
	stack_t ours = {.ss_size = usable_bytes};
	char *low = map();
	int err;

	if (!low)
		return -ENOMEM;
	ours.ss_sp = low + guard_bytes();
	if (pthread_setspecific(key, low)) {
		munmap(low, mapping_bytes());
		return -ENOMEM;
	}
	if (sigaltstack(&ours, NULL)) {
		err = -errno;
		pthread_setspecific(key, NULL);
		munmap(low, mapping_bytes());
		return err;
	}
	thread_self.alternate_low = (uintptr_t)ours.ss_sp;
	thread_self.alternate_bytes = ours.ss_size;
	return 0;
}

static void unblock_faults(void)
{
	arch_sigset_t faults = {{0}};

	arch_sigset_add(&faults, SIGSEGV);
	arch_sigset_add(&faults, SIGBUS);
	(void)sys_sigmask(SIG_UNBLOCK, &faults, NULL); /* one that is raised while it is blocked kills */
	(void)sys_sigmask(SIG_BLOCK, NULL, &thread_self.mask);
}

/* What the program's handlers of blocked signals, those that run on whatever stack there is, had added to the mask of the thread
 * as it was attached. */
static arch_sigset_t mask_in_handlers(const arch_sigset_t *found)
{
	arch_sigset_t mask = thread_self.mask;

	for (int signo = 1; signo <= (int)(8 * sizeof mask); signo++) {
		struct arch_sigaction action = {0};

		if (!arch_sigset_has(found, signo) || arch_sigset_has(&thread_self.mask, signo) || sys_sigaction(signo, NULL, &action) ||
		    action.handler == SIG_DFL || action.handler == SIG_IGN || (action.flags & SA_ONSTACK))
			continue;
		if (!(action.flags & SA_NODEFER))
			arch_sigset_add(&mask, signo);
		for (size_t i = 0; i < sizeof mask.word / sizeof *mask.word; i++)
			mask.word[i] |= action.mask.word[i];
	}
	return mask;
}

/* Abandoned handlers do not take off what they had added.  The mask before them is not asked for at each call, which would be a
 * system call and most of the cost; but if handlers explain all that is blocked, they are what was abandoned. */
void thread_mask_after(const arch_sigset_t *found)
{
	arch_sigset_t explained = mask_in_handlers(found);
	bool handlers = memcmp(&explained, found, sizeof explained) == 0;

	(void)sys_sigmask(SIG_SETMASK, handlers ? &thread_self.mask : found, NULL);
}

VPAGER_EXPORT int vpager_thread_attach(void)
{
	stack_t now;
	int err;

	if (thread_self.alternate_low)
		return 0;
	err = runtime_start();
	if (err)
		return err;
	if (sigaltstack(NULL, &now))
		return -errno;
	if (now.ss_flags & SS_DISABLE) {
		err = put_in_use();
		if (err)
			return err;
	} else {
		thread_self.alternate_low = (uintptr_t)now.ss_sp;
		thread_self.alternate_bytes = now.ss_size;
	}
	unblock_faults();
	return 0;
}

VPAGER_EXPORT int vpager_thread_detach(void)
{
	char *low = have_key ? pthread_getspecific(key) : NULL;
	int err;

	if (thread_on_alternate(stack_here()) || stack_at(stack_here()))
		return -EBUSY;
	if (!low) {
		forget();
		return 0;
	}
	err = discard(low);
	if (!err)
		pthread_setspecific(key, NULL);
	return err;
}

/* ---- the thread's own stack ---- */

#define GAP_BYTES ((size_t)1 << 20) /* what the kernel leaves below a growing stack, at the least: stack_guard_gap */

/* The main thread's has no guard of its own: the kernel stops growing it, at RLIMIT_STACK or short of what lies below.  musl's
 * pthread_getattr_np tells how far it has grown until now. */
static int bounds_of_main(struct own_stack *own)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), below = 0, low = 0, high = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	struct rlimit limit;

	if (!maps)
		return errno == ENOMEM ? -ENOMEM : -ENOTSUP;
	while (high <= here) {
		below = high;
		if (fscanf(maps, "%" SCNxPTR "-%" SCNxPTR "%*[^\n]", &low, &high) != 2)
			break;
	}
	fclose(maps);
	if (low > here || high <= here || getrlimit(RLIMIT_STACK, &limit))
		return -ENOTSUP;
	low = limit.rlim_cur < high - below ? high - (uintptr_t)limit.rlim_cur : below;
	*own = (struct own_stack){low, high, GAP_BYTES};
	return 0;
}

static int bounds(struct own_stack *own)
{
	pthread_attr_t attr;
	void *low;
	size_t bytes, guard;
	int err;

	if (sys_gettid() == sys_getpid())
		return bounds_of_main(own);
	err = pthread_getattr_np(pthread_self(), &attr);
	if (err)
		return err == ENOMEM ? -ENOMEM : -ENOTSUP;
	err = pthread_attr_getstack(&attr, &low, &bytes) || pthread_attr_getguardsize(&attr, &guard);
	pthread_attr_destroy(&attr);
	if (err)
		return -ENOTSUP;
	*own = (struct own_stack){(uintptr_t)low, (uintptr_t)low + bytes, guard};
	return 0;
}

VPAGER_EXPORT int vpager_stack_guard_thread(uint32_t flags)
{
	struct own_stack own;
	int err;

	if (flags)
		return -EINVAL;
#ifndef ARCH_CALL_ON /* where we know no stack pointer */
	return -ENOTSUP;
#endif
	if (stack_at(stack_here()) || thread_on_alternate(stack_here()))
		return -EBUSY;
	err = vpager_thread_attach();
	if (!err)
		err = bounds(&own);
	if (!err)
		thread_self.own = own;
	return err;
}
