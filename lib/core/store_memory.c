/* SPDX-License-Identifier: MIT
 *
 * The store over borrowed bytes: reading it, which runs in the handler. */
#include <string.h>
#include "store.h"

int memory_store_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct memory_store *memory = ctx;
	size_t n = 0;

	if (offset < memory->length) {
		n = memory->length - (size_t)offset;
		n = n < len ? n : len;
		memcpy(buf, memory->bytes + offset, n);
	}
	memset((char *)buf + n, 0, len - n);
	return 0;
}

const void *store_bytes(const struct vpager_store *store, uint64_t offset, size_t len)
{
	const struct memory_store *memory = store->memory;

	return memory && offset <= memory->length && len <= memory->length - offset ? memory->bytes + offset : NULL;
}
