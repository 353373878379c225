/* SPDX-License-Identifier: MIT
 *
 * The functions behind ours.  All of them are looked for when the library is loaded, since a signal handler may be the first
 * to call one; and before that, if another library's constructor calls one earlier. */
#include "syscalls.h"
#include <dlfcn.h>
#include <stdlib.h>

/* The linker's, around the section. */
extern struct real *__start_vpager_real[] __attribute__((visibility("hidden")));
extern struct real *__stop_vpager_real[] __attribute__((visibility("hidden")));

static __thread bool looking __attribute__((tls_model("initial-exec")));

void *real_find(struct real *real)
{
	void *fn;

	if (looking) /* by a malloc of the program's, called by dlsym */
		return real->early ? real->early : (abort(), NULL);
	looking = true;
	fn = dlsym(RTLD_NEXT, real->name);
	looking = false;
	if (!fn)
		abort(); /* the program could not have called it without us either */
	atomic_store_explicit(&real->fn, fn, memory_order_relaxed);
	return fn;
}

__attribute__((constructor(101))) static void find_all(void)
{
	for (struct real **real = __start_vpager_real; real < __stop_vpager_real; real++) {
		void *fn;

		looking = true;
		fn = dlsym(RTLD_NEXT, (*real)->name); /* NULL: not in this C library, so nobody calls it */
		looking = false;
		atomic_store_explicit(&(*real)->fn, fn, memory_order_relaxed);
	}
}
