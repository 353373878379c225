/* SPDX-License-Identifier: MIT
 *
 * The text of arch_call_on, for this CPU.  A file of its own: link-time optimisation loses what it does not see called. */
#include "arch/arch.h"

#ifdef ARCH_CALL_ON
__asm__(ARCH_CALL_ON);
#endif
