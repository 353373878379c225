/* SPDX-License-Identifier: MIT
 *
 * stdio, whose system calls are inside the C library, out of our reach.  It hands the caller's memory to the kernel where a
 * transfer is larger than the stream's buffer: fread, fwrite, fputs, puts.  fgets, getline and scanf copy out of the buffer
 * in user mode, where a hidden page is an ordinary fault; so the buffer itself must not be in managed memory (setvbuf). */
#include "syscalls.h"
#include <stdio.h>
#include <string.h>

/* macros too, where the header optimises */
#undef fread_unlocked
#undef fwrite_unlocked

static void mark_error(FILE *stream)
{
#ifdef _IO_ERR_SEEN
	stream->_flags |= _IO_ERR_SEEN; /* as the failed system call would have had it */
#else
	(void)stream;
#endif
}

static size_t saturated(size_t size, size_t n)
{
	return size && n > SIZE_MAX / size ? SIZE_MAX : size * n;
}

/* fread and fwrite go on until all is done, whatever the stream: so do pieces of theirs. */
#define ITEMS(name, pointer, write)                                                                                         \
	static size_t name##_pieces(char *at, size_t len, FILE *stream)                                                     \
	{                                                                                                                   \
		size_t done = 0;                                                                                            \
		while (done < len) {                                                                                        \
			HOLD(hold);                                                                                         \
			size_t n = len - done, got;                                                                         \
			while (n && !hold_pin(&hold, at + done, n, write))                                                  \
				n = errno == ENOMEM ? n / 2 : 0;                                                            \
			if (n == 0) {                                                                                       \
				mark_error(stream);                                                                         \
				break;                                                                                      \
			}                                                                                                   \
			got = REAL(name)(at + done, 1, n, stream);                                                          \
			done += got;                                                                                        \
			if (got < n)                                                                                        \
				break;                                                                                      \
		}                                                                                                           \
		return done;                                                                                                \
	}                                                                                                                   \
	EXPORT size_t name(pointer restrict at, size_t size, size_t n, FILE *restrict stream)                               \
	{                                                                                                                   \
		HOLD(hold);                                                                                                 \
		if (hold_buffer(&hold, at, saturated(size, n), write))                                                      \
			return REAL(name)(at, size, n, stream);                                                             \
		if (errno == ENOMEM)                                                                                        \
			return name##_pieces((char *)(uintptr_t)at, saturated(size, n), stream) / size;                     \
		mark_error(stream);                                                                                         \
		return 0;                                                                                                   \
	}
ITEMS(fread, void *, true)
ITEMS(fwrite, const void *, false)
ITEMS(fread_unlocked, void *, true)
ITEMS(fwrite_unlocked, const void *, false)

#define STRING_TO(name, params, args, text, stream)                                                                         \
	EXPORT int name params                                                                                              \
	{                                                                                                                   \
		HOLD(hold);                                                                                                 \
		if (hold_string(&hold, text))                                                                               \
			return REAL(name) args;                                                                             \
		mark_error(stream);                                                                                         \
		return EOF;                                                                                                 \
	}
STRING_TO(fputs, (const char *restrict text, FILE *restrict stream), (text, stream), text, stream)
STRING_TO(fputs_unlocked, (const char *restrict text, FILE *restrict stream), (text, stream), text, stream)
STRING_TO(puts, (const char *text), (text), text, stdout)

/* A buffer in managed memory is not used, which setvbuf(3) leaves to the library: the stream keeps one of its own. */
static bool usable(const void *buf, size_t len)
{
	return !buf || !vpager_address_managed(buf, len ? len : 1);
}

EXPORT int setvbuf(FILE *restrict stream, char *restrict buf, int mode, size_t len)
{
	return REAL(setvbuf)(stream, usable(buf, len) ? buf : NULL, mode, len);
}

EXPORT void setbuffer(FILE *restrict stream, char *restrict buf, size_t len)
{
	if (usable(buf, len))
		REAL(setbuffer)(stream, buf, len);
	else
		(void)REAL(setvbuf)(stream, NULL, _IOFBF, len);
}

EXPORT void setbuf(FILE *restrict stream, char *restrict buf)
{
	setbuffer(stream, buf, BUFSIZ);
}
