/* SPDX-License-Identifier: MIT
 *
 * Who called whom, by libunwind: the only file that includes it, and the only thing of the library that needs it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <errno.h>
#include <ucontext.h>
#include "core/export.h"
#include "vpager.h"

#ifdef HAVE_LIBUNWIND

#define UNW_LOCAL_ONLY
#include <libunwind.h>

/* From a signal's frame.  On most CPUs libunwind's context is the kernel's; on others (arm) it has one of its own, which
 * cannot be made from here. */
static int begin_at_signal(unw_cursor_t *cursor, const ucontext_t *uc)
{
	if (!__builtin_types_compatible_p(unw_context_t, ucontext_t))
		return -ENOTSUP;
	return unw_init_local2(cursor, (unw_context_t *)(uintptr_t)uc, UNW_INIT_SIGNAL_FRAME) < 0 ? -EINVAL : 0;
}

VPAGER_EXPORT int vpager_backtrace(void **pc, int n, const void *ucontext)
{
	unw_context_t here;
	unw_cursor_t cursor;
	int count = 0, err = 0;

	if (n < 0 || (n && !pc))
		return -EINVAL;
	if (ucontext)
		err = begin_at_signal(&cursor, ucontext);
	else if (unw_getcontext(&here) < 0 || unw_init_local(&cursor, &here) < 0)
		err = -EINVAL;
	if (err)
		return err;
	/* The first frame without a context is this function. */
	if (!ucontext && unw_step(&cursor) <= 0)
		return 0;
	while (count < n) {
		unw_word_t ip;

		if (unw_get_reg(&cursor, UNW_REG_IP, &ip) < 0 || ip == 0)
			break;
		pc[count++] = (void *)(uintptr_t)ip;
		if (unw_step(&cursor) <= 0)
			break;
	}
	return count;
}

#else

VPAGER_EXPORT int vpager_backtrace(void **pc, int n, const void *ucontext)
{
	(void)ucontext;
	return n < 0 || (n && !pc) ? -EINVAL : -ENOTSUP;
}

#endif
