/* SPDX-License-Identifier: MIT
 *
 * vpager.h: paging inside one process.  Link with -lvpager.  The whole public API; C99 and C++11.
 *
 * Rules.  Functions that return int return 0 (or a count) or a negative errno value; what is created comes back through the
 * first argument.  Option and ops structs start with `size`, set by the caller to sizeof the struct; they grow at the end
 * only, zero means the default, and a non-zero byte beyond what this library knows is -E2BIG.  Records that the library fills
 * (`struct vpager_fault`, the counters) have `size` set by the caller too; only what fits it is written.
 * Every function may be called from any thread at any time, also on the same object, except where it says [X]: that call must
 * be the last or the only one on its object.  [S]: may also be called inside a signal handler.  Nothing here is a
 * cancellation point.  vpager(7) says more. */
#ifndef VPAGER_H
#define VPAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VPAGER_VERSION_MAJOR 0
#define VPAGER_VERSION_MINOR 1
#define VPAGER_VERSION_PATCH 0

struct vpager_region;
struct vpager_store;
struct vpager_snapshot;
struct vpager_stack_pool;
struct vpager_stack;

/* ---- process ---- */

#define VPAGER_INIT_NO_HANDLER (1u << 0) /* install nothing: the host calls vpager_handle_signal from its own handler */

struct vpager_options {
	size_t size;
	uint32_t flags;
	uint32_t worker_threads;     /* standing worker threads; 0: 2.  More are made while all of them wait. */
	size_t resident_limit_bytes; /* for all regions together; 0: none */
	size_t altstack_bytes;       /* of vpager_thread_attach, usable: at least AT_MINSIGSTKSZ and 16 KiB; 0: 64 KiB, or
	                              * AT_MINSIGSTKSZ and 32 KiB if that is more */
};

/* Optional: the first create call does it with the defaults.  NULL: defaults.  Repeated with the same meaning: 0.
 * -EBUSY: already running with other options.  -ENOTSUP: something intercepts sigaction and our handler did not reach the
 * kernel (use VPAGER_INIT_NO_HANDLER).  -EINVAL, -E2BIG, -ENOMEM. */
int vpager_init(const struct vpager_options *options);

/* Gives SIGSEGV and SIGBUS back.  -EBUSY while regions or pools of stacks live, or when another handler was installed after
 * ours. */
int vpager_shutdown(void);

/* [S] For hosts that own SIGSEGV and SIGBUS.  true: resolved, return from the handler and the instruction runs again.
 * false: not ours, or not to be satisfied.  siginfo and ucontext are what the kernel passed to the host's handler. */
bool vpager_handle_signal(int signo, void *siginfo, void *ucontext);

/* After somebody else called sigaction for SIGSEGV or SIGBUS: put our handler in front again, chaining to theirs. */
int vpager_ensure_last(void);

/* Gives the calling thread an alternate signal stack with a guard, on which the handler can run when the thread's stack is
 * full, and unblocks SIGSEGV and SIGBUS.  An alternate stack that the thread has already stays in use, whatever its size.
 * Done automatically where the library runs code on a stack of its own; undone when the thread ends.  Repeated: 0.  -ENOMEM,
 * and those of vpager_init. */
int vpager_thread_attach(void);

/* Takes the alternate stack away again.  0 also if there is none of ours.  -EBUSY: the thread runs on it, or on a stack of a
 * pool, at this moment. */
int vpager_thread_detach(void);

/* ---- features: what this kernel, CPU, container and build can do.  Nothing below depends on them for being right. ---- */

#define VPAGER_FEATURE_ENGINE_MPROTECT (UINT64_C(1) << 0)    /* regions by mprotect(2) */
#define VPAGER_FEATURE_ENGINE_UFFD (UINT64_C(1) << 1)        /* regions by userfaultfd(2), faults answered in their own thread */
#define VPAGER_FEATURE_ENGINE_UFFD_THREAD (UINT64_C(1) << 2) /* regions by userfaultfd(2) that system calls may touch */
#define VPAGER_FEATURE_MEMORY_FILE (UINT64_C(1) << 3)        /* memfd_create(2); without it a file in a file system */
#define VPAGER_FEATURE_GUARD_MARKERS (UINT64_C(1) << 4)      /* MADV_GUARD_INSTALL: guards that take no mapping each */
#define VPAGER_FEATURE_SNAPSHOT_SWING (UINT64_C(1) << 5)     /* MREMAP_DONTUNMAP of shared memory: a cut in microseconds */
#define VPAGER_FEATURE_ACCESS_HARDWARE (UINT64_C(1) << 6)    /* this CPU's fault status tells writes from reads */
#define VPAGER_FEATURE_ACCESS_DECODED (UINT64_C(1) << 7)     /* writes are told from reads, by that or by the instruction */
#define VPAGER_FEATURE_BACKTRACE (UINT64_C(1) << 8)          /* vpager_backtrace */
#define VPAGER_FEATURE_MEMBARRIER (UINT64_C(1) << 9)         /* membarrier(2), private and expedited */

/* The features that work here, each found by trying it, once (again only after a want of memory or
 * descriptors). */
uint64_t vpager_features(void);

/* Why a feature does not work here and what would change that, or that it does: one line, cut off to len bytes with its
 * terminating 0.  -EINVAL: not one feature that this library knows; text NULL with len not 0. */
int vpager_feature_reason(uint64_t feature, char *text, size_t len);

/* "engine-uffd", ...; NULL: not one feature that this library knows. */
const char *vpager_feature_name(uint64_t feature);

/* ---- faults ---- */

enum vpager_fault_reason {
	VPAGER_FAULT_NOT_PRESENT,
	VPAGER_FAULT_PROTECTION_VIOLATION,
	VPAGER_FAULT_WRITE_TO_READ_ONLY,
	VPAGER_FAULT_EXECUTE_NO_EXECUTE,
	VPAGER_FAULT_USER_MODE_KERNEL_ACCESS
};
#define VPAGER_FAULT_REASONS 5

enum vpager_access { VPAGER_ACCESS_UNKNOWN, VPAGER_ACCESS_READ, VPAGER_ACCESS_WRITE, VPAGER_ACCESS_EXEC };

/* How the access is known. */
enum vpager_evidence {
	VPAGER_EVIDENCE_HARDWARE,    /* the CPU's own fault status, delivered by the kernel */
	VPAGER_EVIDENCE_INSTRUCTION, /* the instruction at the instruction pointer was decoded */
	VPAGER_EVIDENCE_PAGE_STATE,  /* it follows from the state of the page */
	VPAGER_EVIDENCE_NONE
};

/* What the fault belongs to. */
enum vpager_origin {
	VPAGER_ORIGIN_FOREIGN,
	VPAGER_ORIGIN_REGION,
	VPAGER_ORIGIN_STACK_GROWTH,
	VPAGER_ORIGIN_STACK_OVERFLOW
};

struct vpager_fault {
	size_t size;
	uintptr_t faulting_address; /* in the faulting page; the exact byte only if address_exact */
	enum vpager_fault_reason reason;
	bool was_write; /* access == VPAGER_ACCESS_WRITE */
	bool was_user_mode;
	uintptr_t instruction_pointer;
	bool address_exact;
	enum vpager_access access;
	enum vpager_evidence evidence;
	enum vpager_origin origin;
	uintptr_t stack_pointer;
	uintptr_t stack_limit; /* lowest usable address where a stack of ours is meant, else 0 */
	int signo;
	int si_code;
	int error;        /* negative errno of an access that could not be satisfied, else 0 */
	uint64_t hw_code; /* the CPU's fault status where the kernel delivers it (x86 error code, ESR, ...), else 0 */
	void *object;     /* the struct vpager_region *, else NULL */
};

/* [S] Pure decoders, on every host.  The caller sets out->size. */
void vpager_fault_from_x86_64(uint64_t error_code, uint64_t cr2, uint64_t rip, struct vpager_fault *out);
void vpager_fault_from_aarch64(uint64_t esr, uint64_t far_address, uint64_t elr, struct vpager_fault *out);
void vpager_fault_from_riscv(uint64_t cause, uint64_t stval, uint64_t sepc, struct vpager_fault *out);

/* [S] A signal frame of this CPU.  -EINVAL: signo is neither SIGSEGV nor SIGBUS, or the signal was sent (kill, raise,
 * sigqueue: si_code <= 0) and is no memory fault.  Knows nothing of regions: what the kernel said, no more. */
int vpager_fault_decode(int signo, const void *siginfo, const void *ucontext, struct vpager_fault *out);

/* [S] "not present", ...; "unknown reason" for other values. */
const char *vpager_fault_reason_name(enum vpager_fault_reason reason);

/* [S] The record as text, one "name: value" a line.  0, or the error of write(2). */
int vpager_fault_write(int fd, const struct vpager_fault *fault);

/* The calls that led here, innermost first: at most n addresses into pc; how many.  ucontext: begin at a signal's frame, else
 * at the caller.  For a last report of a process that is dying anyway, also inside a handler: the unwinder takes the dynamic
 * linker's lock.  -ENOTSUP: built without libunwind, or it cannot begin at a signal's frame on this CPU.  -EINVAL. */
int vpager_backtrace(void **pc, int n, const void *ucontext);

typedef void (*vpager_fault_fn)(void *ctx, const struct vpager_fault *fault); /* runs in the handler */

/* fn sees each fault that we do not resolve, before the next handler (or the default action) gets it.  NULL: none. */
int vpager_on_fatal(vpager_fault_fn fn, void *ctx);

/* Runs fn(arg).  0, or the negative errno of an access to managed memory in it that could not be satisfied, with the record
 * in *out (may be NULL).  Foreign faults (a NULL pointer) pass on as ever.  fn's frames are abandoned as by longjmp: their
 * locks and memory are fn's problem.  fn must not longjmp past this call.  -EOVERFLOW: fn overflowed the stack that it runs
 * on, one of a pool or one that vpager_stack_guard_thread knows. */
int vpager_try(void (*fn)(void *), void *arg, struct vpager_fault *out);

/* ---- stores: where page contents come from and go to.  Reference-counted; a region takes its own reference. ---- */

enum vpager_call_context {
	VPAGER_CALL_WORKER, /* an ordinary thread, nothing of ours held: malloc, locks, network are fine */
	/* the faulting thread, inside the signal handler: async-signal-safe code only.  VPAGER_ENGINE_UFFD_THREAD: or one of ours */
	VPAGER_CALL_HANDLER
};

struct vpager_store_ops {
	size_t size;
	const char *name;                          /* for reports; must outlive the store */
	enum vpager_call_context read_in, write_in; /* flush, discard and close never run in the handler */
	/* Fill all of buf[0..len).  Past the end: zeros.  0 or a negative errno value.  May run concurrently. */
	int (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
	/* Take all of buf.  NULL: regions over it are private. */
	int (*write)(void *ctx, uint64_t offset, const void *buf, size_t len);
	int (*flush)(void *ctx);                                     /* what was written is durable on return; NULL: always is */
	int (*discard)(void *ctx, uint64_t offset, uint64_t len);     /* contents not needed any more; NULL: ignored */
	int (*length)(void *ctx, uint64_t *out);                      /* NULL: unbounded */
	void (*close)(void *ctx);                                     /* exactly once, after the last reference */
};

/* -EINVAL: no read callback, a context that is none of the two.  -E2BIG, -ENOMEM. */
int vpager_store_create(struct vpager_store **out, const struct vpager_store_ops *ops, void *ctx);

#define VPAGER_STORE_FILE_WORKER (1u << 0) /* read and write in worker threads: for files that may block for long (FUSE, NFS) */

/* Bytes [offset, offset + length) of a file; length 0: to its end as it is now.  fd is duplicated.  Opened read-only: the
 * store has no write.  Reads past the end of the file give zeros; the file never grows.
 * -EBADF, -EINVAL (not a regular file or block device, write-only, offset or length nonsense), -EMFILE, -ENOMEM. */
int vpager_store_file(struct vpager_store **out, int fd, uint64_t offset, uint64_t length, uint32_t flags);

/* Borrows bytes, which must stay as they are until the last reference is gone.  Read-only. */
int vpager_store_memory(struct vpager_store **out, const void *bytes, size_t length);

/* Straight access, without a region.  -EROFS: no write.  -EINVAL: beyond the range of offsets. */
int vpager_store_read(struct vpager_store *store, uint64_t offset, void *buf, size_t len);
int vpager_store_write(struct vpager_store *store, uint64_t offset, const void *buf, size_t len);
int vpager_store_length(struct vpager_store *store, uint64_t *out); /* -ENOTSUP: unbounded */
int vpager_store_copy(struct vpager_store *to, struct vpager_store *from); /* all of from, then flush */
struct vpager_store *vpager_store_ref(struct vpager_store *store);          /* returns store; NULL is a no-op */
void vpager_store_unref(struct vpager_store *store);                        /* NULL is a no-op */

/* ---- regions: addresses whose pages live in a store and come in on first touch ---- */

/* AUTO: the best that works here, or what the environment variable VPAGER_ENGINE says; never UFFD_THREAD unasked, over which system
 * calls bring pages in and a fault costs more: see vpager(7). */
enum vpager_engine { VPAGER_ENGINE_AUTO, VPAGER_ENGINE_MPROTECT, VPAGER_ENGINE_UFFD, VPAGER_ENGINE_UFFD_THREAD };

#define VPAGER_REGION_PRIVATE (1u << 0)   /* dirty pages go to swap, never to the store */
#define VPAGER_REGION_READ_ONLY (1u << 1) /* a write is -EACCES: SIGSEGV, as to a read-only mapping */
#define VPAGER_REGION_FORK (1u << 2)      /* a fork()ed child gets its own private working copy; default: a clear fault */
#define VPAGER_REGION_NO_SWAP (1u << 3)   /* private dirty pages may not leave memory: over the limit is -ENOMEM */

#define VPAGER_READAHEAD_NONE ((size_t)-1)

enum vpager_verdict {
	VPAGER_VERDICT_FAIL,  /* deliver the signal */
	VPAGER_VERDICT_RETRY, /* run the instruction again */
	VPAGER_VERDICT_OPEN   /* on_write: let the write happen.  on_error: the same as FAIL, nothing is made up */
};
typedef enum vpager_verdict (*vpager_verdict_fn)(void *ctx, const struct vpager_fault *fault); /* runs in the handler */

struct vpager_region_options {
	size_t size;
	size_t length;     /* bytes; 0: from store_offset to the store's end */
	size_t page_bytes; /* a power of two from the system's page size to 2 MiB; 0: the system's page size */
	enum vpager_engine engine;
	uint32_t flags;
	struct vpager_store *store; /* NULL: starts as zeros */
	uint64_t store_offset;      /* of the region's first byte; need not be a page multiple */
	size_t resident_limit_bytes; /* never exceeded; at least 8 pages for each thread that may fault here; 0: none */
	size_t readahead_bytes;      /* most to bring in at once for a sequential stream of faults; 0: 1 MiB */
	void *address;               /* exactly there (a multiple of page_bytes); NULL: anywhere */
	struct vpager_store *swap;   /* for dirty pages of private regions; NULL: an unlinked file in $TMPDIR or /var/tmp */
	vpager_verdict_fn on_error;  /* a fault that could not be satisfied, outside vpager_try */
	vpager_verdict_fn on_write;  /* first write to each page that vpager_region_arm armed: a write barrier (threads that
	                              * write there at the same time each ask) */
	void *ctx;
};

/* -EINVAL: length 0 without a store that has one; page_bytes, address or limit nonsense (a limit below 8 pages); unknown
 * flags; READ_ONLY without a store; FORK with a swap store of the caller's.  -EEXIST: address is taken.  -EFBIG: larger than
 * RLIMIT_FSIZE allows.  -EOVERFLOW: offsets beyond 2^63-1.  -ENOTSUP: the engine that was asked for does not
 * work here.
 * -E2BIG, -ENOMEM, -EMFILE, and those of vpager_init. */
int vpager_region_create(struct vpager_region **out, const struct vpager_region_options *options);
void *vpager_region_base(const struct vpager_region *region);
size_t vpager_region_length(const struct vpager_region *region); /* as asked for, not rounded */

/* The calls below take off and len in bytes; the pages that they touch are meant.  Beyond the region's length: -EINVAL.
 * In a fork child that did not inherit the region: -ESTALE. */

/* Bring pages in, without a fault: their numbers, in any order.  Neighbours come in together.  The first error in the list is
 * returned; pages before it are in, those after it may be.  -ENOMEM: more than the resident limit allows, or no memory for a sorted
 * copy of the list. */
int vpager_region_prefault(struct vpager_region *region, const size_t *page, size_t n);

/* Keep pages in and accessible until unpinned, for system calls that would get EFAULT from a hidden page.  Pins nest.
 * for_write: the pages count as written.  -EACCES: not allowed there.  -ENOMEM: beyond the resident limit less 8 pages.
 * -EAGAIN: a page has 65,535 pins.  Nothing stays pinned on error. */
int vpager_region_pin(struct vpager_region *region, size_t off, size_t len, bool for_write);
int vpager_region_unpin(struct vpager_region *region, size_t off, size_t len); /* -EINVAL: a page was not pinned */

/* [S] The same for any addresses: they may be in several regions, partly or wholly in none, and what is in none is left alone.
 * 0 also where nothing is ours.  Errors as vpager_region_pin, and -ESTALE; nothing stays pinned on error. */
int vpager_pin_address(const void *address, size_t len, bool for_write);
int vpager_unpin_address(const void *address, size_t len); /* -EINVAL: a page of ours was not pinned */
/* [S] Whether any byte of it is in a region: without a lock, and a few nanoseconds where the answer is no. */
bool vpager_address_managed(const void *address, size_t len);

enum vpager_advice {
	VPAGER_ADVICE_NORMAL,
	VPAGER_ADVICE_WILLNEED,   /* fetch in the worker threads, all of them, without waiting */
	VPAGER_ADVICE_DONTNEED,   /* evict now; no contents are lost */
	VPAGER_ADVICE_SEQUENTIAL, /* of the whole region: full readahead from the first fault; in private regions a write opens the
	                           * pages ahead for writing, and they count as written, until vpager_region_arm is used */
	VPAGER_ADVICE_RANDOM      /* of the whole region: no readahead */
};
int vpager_region_advise(struct vpager_region *region, size_t off, size_t len, enum vpager_advice advice);

/* prot: PROT_READ, PROT_WRITE, PROT_EXEC as for mprotect(2).  What is not allowed is -EACCES: SIGSEGV.  off must be a page
 * multiple.  -EBUSY: a page is pinned.  -EACCES: PROT_WRITE in a READ_ONLY region. */
int vpager_region_protect(struct vpager_region *region, size_t off, size_t len, int prot);

/* From now on the next write to each page is seen: by on_write, and by vpager_region_dirty. */
int vpager_region_arm(struct vpager_region *region, size_t off, size_t len);

/* Calls each(ctx, off, len) for every run of pages written since they were armed or the region was created (where
 * VPAGER_ADVICE_SEQUENTIAL was given before, also pages that a write opened ahead), in order of addresses, and arms them again if rearm is set.  A non-zero return of each ends it and is returned. */
int vpager_region_dirty(struct vpager_region *region, size_t off, size_t len, bool rearm,
                        int (*each)(void *ctx, size_t off, size_t len), void *ctx);

/* Write dirty pages to the store; durable when it returns 0, as msync(MS_SYNC).  Private regions: 0, nothing to do. */
int vpager_region_flush(struct vpager_region *region, size_t off, size_t len);

/* Write back what is dirty (to swap in private regions) and give the memory back.  -EBUSY: a page is pinned (the others
 * are evicted).  -ENOMEM: dirty pages of a NO_SWAP region (likewise). */
int vpager_region_evict(struct vpager_region *region, size_t off, size_t len);

#define VPAGER_DESTROY_DISCARD (1u << 0) /* do not write dirty pages back */
/* [X] Writes back and flushes; on error the region stays as it was, unless DISCARD.  -EBUSY while pages are pinned, or
 * snapshots of it or stores over those live.  NULL is a no-op. */
int vpager_region_destroy(struct vpager_region *region, uint32_t flags);

/* ---- snapshots: what a region holds at one instant.  Taken while other threads go on writing; costs what changes since. ---- */

/* How the region's pages are kept from being written to unseen.  What cannot be done at the moment is done by a pass. */
enum vpager_arm {
	VPAGER_ARM_AUTO,   /* by cost */
	VPAGER_ARM_PASS,   /* write-protect all pages that can be written to */
	VPAGER_ARM_OPENED, /* those that were opened since the last take: everything else is still armed */
	VPAGER_ARM_SWING   /* move the page tables away: a large region in microseconds; later reads fault too, once a page */
};

struct vpager_snapshot_options {
	size_t size;
	enum vpager_arm arm;
	size_t preserved_limit_bytes; /* most to keep for this snapshot; beyond, it is lost: see vpager_snapshot_read.  0: none */
	uint32_t flags;               /* 0 */
};

/* One instant: every byte as it is then, whatever other threads do; what they write next goes to the region alone.  Pages that
 * are pinned for write stay open and are copied last: what is being written to one at that moment may be in it in part.
 * options may be NULL.  -EINVAL: no region, unknown options.  -ENOMEM: no memory, or no mapping to be had.
 * -EOVERFLOW: after 2^32-1 takes of one region.  -EDEADLK: this thread's stack is in the region.  -ESTALE, -E2BIG. */
int vpager_snapshot_take(struct vpager_snapshot **out, struct vpager_region *region,
                         const struct vpager_snapshot_options *options);

/* The same instant for n regions; out has room for n, in the order of regions.  -EINVAL: also for a region that is there twice. */
int vpager_snapshot_take_many(struct vpager_snapshot **out, struct vpager_region *const *regions, size_t n,
                              const struct vpager_snapshot_options *options);

/* off and len in bytes of the region.  Brings nothing into memory that it can do without, and keeps no writer waiting for longer
 * than it takes to copy a page.  -EINVAL: beyond the region.  -EDQUOT: the snapshot was given up, since the limit on what is kept for it was
 * reached; -ENOMEM: or since there was no memory for that.  -ESTALE: the parent's, in a fork child.  Or what the store
 * says that an unchanged page has to be read from. */
int vpager_snapshot_read(struct vpager_snapshot *snapshot, size_t off, void *buf, size_t len);

/* A store with the snapshot's bytes, read-only; it keeps the snapshot alive.  A region over it is a view if
 * VPAGER_REGION_READ_ONLY, else a private clone.  Read in worker threads, but for pages that did not change, where both are of
 * VPAGER_ENGINE_MPROTECT: those are not copied.  Errors as of vpager_snapshot_read. */
int vpager_store_snapshot(struct vpager_store **out, struct vpager_snapshot *snapshot);

/* The region's bytes become the snapshot's again: pages that changed since are written to, as by any other write, so other
 * snapshots stay what they are.  Page by page: whoever needs it at one instant keeps his threads from writing meanwhile.
 * -EACCES: vpager_region_protect forbids writing to a page that changed.  -ENOMEM, and errors as of vpager_snapshot_read;
 * pages of lower addresses may be restored then. */
int vpager_snapshot_restore(struct vpager_snapshot *snapshot);

/* Calls each(ctx, off, len) for every run of pages that may differ between the two, or, newer NULL, between older and the
 * region as it is; in order of addresses.  A non-zero return of each ends it and is returned.
 * -EINVAL: of different regions, or newer is the older one.  -EDQUOT, -ENOMEM, -ESTALE as vpager_snapshot_read. */
int vpager_snapshot_changes(struct vpager_snapshot *older, struct vpager_snapshot *newer,
                            int (*each)(void *ctx, size_t off, size_t len), void *ctx);

/* [X] From any thread, in any order.  What only it needed is given back.  NULL is a no-op. */
void vpager_snapshot_free(struct vpager_snapshot *snapshot);

/* A pointer into the region at live_base, followed in a view of it at view_base. */
static inline const void *vpager_translate(const void *p, const void *live_base, const void *view_base)
{
	return (const char *)view_base + ((const char *)p - (const char *)live_base);
}

/* ---- stacks: guarded, grow by faults, overflow into an error ---- */

enum vpager_overflow {
	VPAGER_OVERFLOW_RECOVER, /* vpager_stack_call, or a vpager_try inside it, returns -EOVERFLOW */
	VPAGER_OVERFLOW_ABORT    /* the record goes to standard error, then abort(3) */
};

#define VPAGER_STACK_LAZY (1u << 0)      /* the kernel fills all of it, the guard is at the limit; default: grow by faults */
#define VPAGER_STACK_HIBERNATE (1u << 1) /* trim copies idle live stacks out; system calls must not write into them */
#define VPAGER_STACK_MPROTECT (1u << 2)  /* guards by mprotect, two mappings a stack, even where there are markers */
#define VPAGER_STACK_FREE (1u << 3)      /* memory goes back by MADV_FREE: cheaper, but resident until it is needed */

struct vpager_stack_pool_options {
	size_t size;
	size_t slot_bytes;    /* address space for each stack and its guard, a multiple of the page size; 0: what the others
	                       * need, rounded up to a power of two or a multiple of 2 MiB */
	size_t initial_bytes; /* usable at once; 0: 64 KiB, or what the slot has */
	size_t limit_bytes;   /* growth beyond that; 0: 8 MiB, or what the slot has */
	size_t guard_bytes;   /* below the limit; 0: 64 KiB, or an eighth of the slot if that is less */
	uint32_t max_stacks;  /* live and cached together; 0: 65,536, or as many as there is address space for */
	uint32_t flags;
	enum vpager_overflow on_overflow;
};

/* Sizes are rounded up to pages.  options may be NULL.  -EINVAL: unknown flags or policy, sizes that do not fit the slot.
 * -ENOTSUP: not on this CPU.  -E2BIG, -ENOMEM, and those of vpager_init. */
int vpager_stack_pool_create(struct vpager_stack_pool **out, const struct vpager_stack_pool_options *options);

/* [X] -EBUSY: stacks are live.  NULL is a no-op. */
int vpager_stack_pool_destroy(struct vpager_stack_pool *pool);

/* Gives back the memory of all cached stacks, but for those in the magazines of other threads, which are idle for moments
 * only.  With VPAGER_STACK_HIBERNATE also that of live stacks on which nothing runs: what is in them is copied out, and
 * comes back when they are used or touched.  How many stacks gave back memory, or a negative errno value. */
int vpager_stack_pool_trim(struct vpager_stack_pool *pool);

/* A guarded stack.  Its contents are undefined.  -EAGAIN: max_stacks are in use.  -ENOMEM: no memory, or no mappings left,
 * for its guard: there are no unguarded stacks. */
int vpager_stack_get(struct vpager_stack **out, struct vpager_stack_pool *pool);

/* [X] Back into the pool; limit and overflow function are forgotten.  Nothing may run on it, or use its memory.  NULL is a
 * no-op. */
void vpager_stack_put(struct vpager_stack *stack);

/* The usable range, grown to its limit: [base, base + size) = [base, top).  For pthread_attr_setstack and other coroutine
 * libraries; a thread that runs on it calls vpager_thread_attach first.  What is not committed yet can be used by the code
 * that runs on the stack, not by others and not by system calls. */
void *vpager_stack_base(const struct vpager_stack *stack);
size_t vpager_stack_size(const struct vpager_stack *stack);
void *vpager_stack_top(const struct vpager_stack *stack);

/* Another limit for this stack: growth in bytes beyond the pool's initial_bytes, rounded up to pages.  -EINVAL: does not
 * fit the slot.  -EBUSY: it has grown beyond that, or is of a LAZY pool, and something runs on it.  -ENOMEM. */
int vpager_stack_set_limit(struct vpager_stack *stack, size_t bytes);

/* Bytes from the top to the lowest page in use since it was got, or, for what lies in the initial part, last trimmed. */
size_t vpager_stack_high_water(const struct vpager_stack *stack);

/* [S] Bytes between the caller's stack pointer and the limit of the stack that it runs on; SIZE_MAX where that is neither
 * of a pool nor known by vpager_stack_guard_thread. */
size_t vpager_stack_remaining(void);

/* Makes that many bytes below the stack pointer usable by anyone, system calls too.  0 also on a stack that is not of a
 * pool.  -EOVERFLOW: beyond the limit.  -ENOMEM. */
int vpager_stack_reserve(size_t bytes);

/* The next time that stack overflows, fn(arg) is called on it, in place of what overflowed, with reserve_bytes more than
 * the limit: to longjmp or to throw the error of a language.  If it returns, the pool's policy applies.  Once: call it
 * again to have it again, from shallower than the limit.  fn NULL: take it back.  -EINVAL: reserve_bytes (and its guard) do
 * not fit the slot below the limit.  -ENOMEM. */
int vpager_stack_on_overflow(struct vpager_stack *stack, size_t reserve_bytes, void (*fn)(void *arg), void *arg);

/* [S] Between the two, on the calling thread, an overflow is never recovered from: code that holds locks.  They nest. */
void vpager_stack_norecover_begin(void);
void vpager_stack_norecover_end(void);

/* [S] How many signals have a handler without SA_ONSTACK, and the first n of them in signo, which may be NULL if n is 0.
 * Such a handler's frame may not fit above the guard of a growing stack, and then the kernel loses the signal.  -EINVAL. */
int vpager_stack_check_handlers(int *signo, int n);

/* Overflow of the calling thread's own stack is recognised from now on: under vpager_try it is -EOVERFLOW.  flags: 0.
 * -EINVAL, -EBUSY: the thread runs on a stack of a pool at this moment.  -ENOTSUP: not on this CPU, or the stack's bounds
 * are not to be had.  And those of vpager_thread_attach. */
int vpager_stack_guard_thread(uint32_t flags);

/* Runs fn(arg) on stack.  0, or -EOVERFLOW: fn was abandoned because it overflowed it, as by longjmp: its locks and memory
 * are fn's problem; the record is in *out (may be NULL).  The stack can be used again.  As for vpager_try, also the errors
 * of accesses to managed memory that could not be satisfied; -ENOMEM: the stack could not grow although its limit allows
 * it.  -EBUSY: something runs on it already, or the caller is on its alternate signal stack.  A C++ exception may leave fn;
 * if fn is left by longjmp, nothing runs on the stack afterwards. */
int vpager_stack_call(struct vpager_stack *stack, void (*fn)(void *arg), void *arg, struct vpager_fault *out);

/* ---- counters: since creation; read without stopping anything ---- */

struct vpager_region_stats {
	size_t size;
	uint64_t faults;      /* answered here, of any kind */
	uint64_t fills;       /* store reads that brought pages in, from swap too */
	uint64_t fill_pages;  /* pages brought in */
	uint64_t readahead_unused_pages; /* read ahead, and given back before anything showed that they were of use */
	uint64_t writebacks;  /* pages written to the store or to swap */
	uint64_t evictions;   /* pages given back */
	uint64_t soft_faults; /* pages shown again whose bytes were still here */
	uint64_t fill_errors; /* store reads that failed */
	uint64_t retries;     /* faults that found another thread at work on the page, or the page visible already */
	uint64_t cow_copies;  /* times that bytes were kept for a snapshot: runs of pages that are written in sequence are one */
	uint64_t cow_pages;   /* pages of these */
	uint64_t lent_pages;  /* of fill_pages, those of a view or clone that are the region's own, without a copy */
	uint64_t resident_bytes, dirty_bytes, swapped_bytes; /* now */
	uint64_t snapshot_bytes;                             /* now: kept for snapshots, besides resident_bytes */
	uint64_t reasons[VPAGER_FAULT_REASONS];              /* faults by reason, indexed by enum vpager_fault_reason */
};
struct vpager_stack_stats {
	size_t size;
	uint64_t live, cached;   /* stacks, now */
	uint64_t growths;        /* faults that made a stack grow */
	uint64_t overflows;
	uint64_t trims;          /* stacks whose memory was given back */
	uint64_t reserved_bytes; /* address space */
	uint64_t committed_bytes;    /* above the guards of live and cached stacks; not all of it need be resident */
	uint64_t high_water_log2[32]; /* stacks put back whose high-water mark was in [2^i, 2^(i+1)), the last one: or above.  LAZY
	                               * pools count when they trim */
	uint64_t lost_signals; /* signals that the kernel could not deliver for lack of SA_ONSTACK, as far as seen */
	uint64_t hibernated;   /* stacks copied out, now */
};
struct vpager_stats {
	size_t size;
	uint64_t passed_on; /* signals given to the next handler or the default action */
	uint64_t foreign;   /* of these, memory faults that belong to nothing of ours */
	uint64_t vmas_used; /* mappings that our regions and stacks make in the process, an estimate from above */
	uint64_t vma_limit; /* where we begin to hide pages again, from vm.max_map_count */
	uint64_t worker_threads;
	struct vpager_region_stats regions; /* sums over living regions */
	struct vpager_stack_stats stacks;   /* sums over pools */
};
int vpager_region_stats_get(const struct vpager_region *region, struct vpager_region_stats *out);
int vpager_stack_pool_stats_get(const struct vpager_stack_pool *pool, struct vpager_stack_stats *out);
int vpager_stats_get(struct vpager_stats *out);

#ifdef __cplusplus
}
#endif
#endif
