/* SPDX-License-Identifier: MIT
 *
 * Numbers out of a signal frame or an instruction, in the byte order of the CPU that wrote them, whatever the host's.
 * Runs in the handler.  Compilers make one load of each. */
#ifndef VPAGER_CORE_ARCH_BYTES_H
#define VPAGER_CORE_ARCH_BYTES_H

#include <stdint.h>

static inline uint16_t bytes_le16(const void *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t bytes_le32(const void *p)
{
	return bytes_le16(p) | (uint32_t)bytes_le16((const char *)p + 2) << 16;
}

static inline uint64_t bytes_le64(const void *p)
{
	return bytes_le32(p) | (uint64_t)bytes_le32((const char *)p + 4) << 32;
}

static inline uint16_t bytes_be16(const void *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t bytes_be32(const void *p)
{
	return (uint32_t)bytes_be16(p) << 16 | bytes_be16((const char *)p + 2);
}

static inline uint64_t bytes_be64(const void *p)
{
	return (uint64_t)bytes_be32(p) << 32 | bytes_be32((const char *)p + 4);
}

#endif
