/* SPDX-License-Identifier: MIT
 *
 * The one thread-local variable of the library. */
#include "thread.h"

__thread struct thread thread_self;
