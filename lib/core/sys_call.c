/* SPDX-License-Identifier: MIT
 *
 * The one door to the kernel.  Runs in the handler.  In a file of its own and out of line, so that every caller refers to
 * an undefined symbol and a test can put itself in between (ld --wrap=sys_call). */
#include "sys.h"

#ifdef ARCH_SYS_CALL
__asm__(ARCH_SYS_CALL);
#else
long sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	return arch_syscall(nr, a, b, c, d, e, f);
}
#endif
