/* SPDX-License-Identifier: MIT
 *
 * Reading memory that may not be readable.  Runs in the handler. */
#ifndef VPAGER_CORE_PEEK_H
#define VPAGER_CORE_PEEK_H

#include <stddef.h>
#include <stdint.h>

/* Copies up to len (at most 64) bytes at address, and returns how many from the first on could be read.  Never faults,
 * whatever is there: nothing, execute-only text, a hidden page of ours. */
size_t peek_text(uint64_t address, void *buf, size_t len);

#endif
