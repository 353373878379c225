/* SPDX-License-Identifier: MIT
 *
 * Creating stores and using them without a region. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/export.h"
#include "core/landing.h"
#include "core/store.h"
#include "core/sys.h"
#include "runtime.h"

static int check(const struct vpager_store_ops *ops)
{
	if (!ops->read)
		return -EINVAL;
	if ((ops->read_in != VPAGER_CALL_WORKER && ops->read_in != VPAGER_CALL_HANDLER) ||
	    (ops->write_in != VPAGER_CALL_WORKER && ops->write_in != VPAGER_CALL_HANDLER))
		return -EINVAL;
	return 0;
}

VPAGER_EXPORT int vpager_store_create(struct vpager_store **out, const struct vpager_store_ops *ops, void *ctx)
{
	struct vpager_store_ops copy;
	struct vpager_store *store;
	int err;

	if (!out)
		return -EINVAL;
	err = options_copy(&copy, sizeof copy, ops);
	if (!err)
		err = check(&copy);
	if (err)
		return err;
	store = calloc(1, sizeof *store);
	if (!store)
		return -ENOMEM;
	store->ops = copy;
	store->ctx = ctx;
	atomic_store_explicit(&store->references, 1, memory_order_relaxed); /* published by the caller */
	*out = store;
	return 0;
}

VPAGER_EXPORT struct vpager_store *vpager_store_ref(struct vpager_store *store)
{
	if (store)
		atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed); /* the caller has one already */
	return store;
}

VPAGER_EXPORT void vpager_store_unref(struct vpager_store *store)
{
	/* acquire and release: every use comes before the close */
	if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) - 1 > 0)
		return;
	if (store->ops.close)
		store->ops.close(store->ctx);
	free(store);
}

/* Offsets fit off_t, as files have them. */
static bool in_range(uint64_t offset, uint64_t len)
{
	return offset <= INT64_MAX && len <= INT64_MAX - offset;
}

/* An access that fails in a callback leaves the handler without its sigreturn, with everything blocked: a callback that runs in
 * the caller's thread under the caller's mask is called between these two. */
static void mask_save(arch_sigset_t *mask)
{
	sys_sigmask(SIG_BLOCK, NULL, mask);
}

static int mask_restore(int err, const arch_sigset_t *mask)
{
	if (err)
		signals_restore(mask);
	return err;
}

VPAGER_EXPORT int vpager_store_read(struct vpager_store *store, uint64_t offset, void *buf, size_t len)
{
	arch_sigset_t mask;

	if (!store || (!buf && len) || !in_range(offset, len))
		return -EINVAL;
	if (len == 0)
		return 0;
	mask_save(&mask);
	return mask_restore(store_read(store, offset, buf, len, NULL, NULL), &mask);
}

VPAGER_EXPORT int vpager_store_write(struct vpager_store *store, uint64_t offset, const void *buf, size_t len)
{
	arch_sigset_t mask;
	uint64_t length;

	if (!store || (!buf && len) || !in_range(offset, len))
		return -EINVAL;
	if (!store->ops.write)
		return -EROFS;
	if (vpager_store_length(store, &length) == 0 && offset + len > length)
		return -EINVAL; /* stores do not grow */
	if (len == 0)
		return 0;
	mask_save(&mask);
	return mask_restore(store_write(store, offset, buf, len, NULL, NULL), &mask);
}

struct question {
	struct vpager_store *store;
	uint64_t length;
};

static int ask_length(void *arg)
{
	struct question *question = arg;

	return question->store->ops.length(question->store->ctx, &question->length);
}

static int ask_flush(void *arg)
{
	struct question *question = arg;

	return question->store->ops.flush(question->store->ctx);
}

/* As store_call.c has it for read and write: an access that fails in the callback is its error, and never ends a vpager_try
 * further out, whose frames may be the library's; what is no error value is one all the same. */
static int ask(int (*callback)(void *), struct question *question)
{
	arch_sigset_t mask;
	int err;

	mask_save(&mask);
	err = mask_restore(landing_run(callback, question, NULL), &mask);
	return err > 0 || err < -4095 ? -EIO : err;
}

VPAGER_EXPORT int vpager_store_length(struct vpager_store *store, uint64_t *out)
{
	struct question question = {.store = store};
	int err;

	if (!store || !out)
		return -EINVAL;
	if (!store->ops.length)
		return -ENOTSUP;
	err = ask(ask_length, &question);
	if (!err)
		*out = question.length;
	return err;
}

int store_flush(struct vpager_store *store)
{
	return store->ops.flush ? ask(ask_flush, &(struct question){.store = store}) : 0;
}

VPAGER_EXPORT int vpager_store_copy(struct vpager_store *to, struct vpager_store *from)
{
	const size_t chunk = 256u << 10;
	uint64_t length;
	void *buf;
	int err;

	if (!to || !from)
		return -EINVAL;
	if (!to->ops.write)
		return -EROFS;
	err = vpager_store_length(from, &length);
	if (err)
		return err;
	buf = malloc(chunk);
	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < length && !err; at += chunk) {
		size_t len = length - at < chunk ? (size_t)(length - at) : chunk;

		err = vpager_store_read(from, at, buf, len);
		if (!err)
			err = vpager_store_write(to, at, buf, len);
	}
	free(buf);
	return err ? err : store_flush(to);
}

/* ---- borrowed memory ---- */

static int memory_length(void *ctx, uint64_t *out)
{
	*out = ((struct memory_store *)ctx)->length;
	return 0;
}

VPAGER_EXPORT int vpager_store_memory(struct vpager_store **out, const void *bytes, size_t length)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "memory",
	    .read_in = VPAGER_CALL_HANDLER,
	    .write_in = VPAGER_CALL_HANDLER,
	    .read = memory_store_read,
	    .length = memory_length,
	    .close = free,
	};
	struct memory_store *memory;
	int err;

	if (!bytes && length)
		return -EINVAL;
	memory = malloc(sizeof *memory);
	if (!memory)
		return -ENOMEM;
	*memory = (struct memory_store){bytes, length};
	err = vpager_store_create(out, &ops, memory);
	if (err)
		free(memory);
	else
		(*out)->memory = memory;
	return err;
}

/* ---- a part of a file ---- */

static int file_flush(void *ctx)
{
	return (int)sys_call(SYS_fdatasync, ((struct file_store *)ctx)->fd, 0, 0, 0, 0, 0); /* not a cancellation point */
}

static int file_length(void *ctx, uint64_t *out)
{
	*out = ((struct file_store *)ctx)->length;
	return 0;
}

static void file_close(void *ctx)
{
	(void)sys_call(SYS_close, ((struct file_store *)ctx)->fd, 0, 0, 0, 0, 0); /* likewise; nothing is left to lose */
	free(ctx);
}

/* The length of what can be paged; *writable: opened for writing; *may_end: its end can move. */
static int inspect(int fd, uint64_t *length, bool *writable, bool *may_end)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH))
		return -EINVAL;
	*writable = (flags & O_ACCMODE) == O_RDWR;
	*length = (uint64_t)st.st_size;
	*may_end = S_ISREG(st.st_mode);
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, length) == 0 ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

VPAGER_EXPORT int vpager_store_file(struct vpager_store **out, int fd, uint64_t offset, uint64_t length, uint32_t flags)
{
	enum vpager_call_context in = flags & VPAGER_STORE_FILE_WORKER ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER;
	struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "file",
	    .read_in = in,
	    .write_in = in,
	    .read = file_store_read,
	    .write = file_store_write,
	    .flush = file_flush,
	    .length = file_length,
	    .close = file_close,
	};
	struct file_store *file;
	uint64_t end = 0;
	bool writable = false, may_end = false;
	int err = inspect(fd, &end, &writable, &may_end);

	if (err)
		return err;
	if (!out || flags & ~VPAGER_STORE_FILE_WORKER || !in_range(offset, length) || offset >= end)
		return -EINVAL;
	if (!writable)
		ops.write = NULL;
	file = malloc(sizeof *file);
	if (!file)
		return -ENOMEM;
	if (length == 0 || length > end - offset)
		length = end - offset; /* behind the file's end there is nothing to read, and nothing is written */
	*file = (struct file_store){offset, length, fcntl(fd, F_DUPFD_CLOEXEC, 3), may_end};
	if (file->fd < 0) {
		err = -errno;
		free(file);
		return err;
	}
	err = vpager_store_create(out, &ops, file);
	if (err)
		file_close(file);
	return err;
}
