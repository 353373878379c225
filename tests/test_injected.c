/* SPDX-License-Identifier: MIT
 *
 * Every call of the library to the system fails once, at each place where it can: the n-th of a kind, for n = 1 until there is no
 * n-th (where the suite runs once more, not for every n); and once more with all that follow failing too.  A scene goes through
 * what a program does with a region, noting in a shadow what it was told.  What fails says so, what was said to have worked has,
 * and with the failures over, all of it is there and nothing is left behind. */
#include <dirent.h>
#include <fcntl.h>
#include "crowd.h"
#include "injected.h"

#define PAGES 48u
#define LIMIT_PAGES 16u
#define PAGE_COPIES 4096u /* n beyond this: a call that repeats itself for ever */

static struct subject {
	struct vpager_region *region;
	struct vpager_store *store;
	int file; /* under the store, or -1 */
	unsigned char shadow[PAGES];
	unsigned char *base;
} it;

/* In what follows none of Check's macros before it ends: they allocate, which may be what fails. */
#undef SURE
#define SURE(condition, format, ...)                                                                                        \
	do {                                                                                                                \
		if (!(condition)) {                                                                                         \
			inject_disarm();                                                                                    \
			ck_abort_msg("not so: %s: " format, #condition, ##__VA_ARGS__);                                     \
		}                                                                                                           \
	} while (0)
#define SURE_OK(call) SURE((call) == 0, "%s", "")

/* What a call returned while calls may fail: success, or an error that some call has had. */
static bool went(int result)
{
	SURE(result >= 0 || inject_hit(), "%d, and nothing failed", result);
	return result >= 0;
}

static unsigned char first_byte(size_t page)
{
	return it.store ? pattern(page * page_size()) : 0;
}

static int file_of_pattern;

static void write_pattern(int fd)
{
	static unsigned char bytes[4096];

	for (size_t at = 0; at < PAGES * page_size(); at += sizeof bytes) {
		pattern_fill(bytes, at, sizeof bytes);
		SURE(pwrite(fd, bytes, sizeof bytes, (off_t)at) == sizeof bytes, "the file");
	}
}

static void build(const struct vpager_region_options *options, bool over_file)
{
	struct vpager_region_options o = *options;

	it = (struct subject){.file = over_file ? dup(file_of_pattern) : -1};
	if (over_file)
		write_pattern(it.file);
	if (over_file && !went(vpager_store_file(&it.store, it.file, 0, 0, 0)))
		it.store = NULL;
	o.size = sizeof o;
	o.length = PAGES * page_size();
	o.store = it.store;
	if (over_file && !it.store)
		return;
	if (!went(vpager_region_create(&it.region, &o))) {
		it.region = NULL;
		return;
	}
	it.base = base_of(it.region);
	for (size_t page = 0; page < PAGES; page++)
		it.shadow[page] = first_byte(page);
}

static void load(size_t page)
{
	int byte = try_load(it.base + page * page_size(), NULL);

	if (went(byte))
		SURE(byte == it.shadow[page], "page %zu: %#x, not %#x", page, (unsigned int)byte, it.shadow[page]);
}

static void store(size_t page, unsigned char byte)
{
	if (went(try_store(it.base + page * page_size(), byte, NULL)))
		it.shadow[page] = byte;
}

/* ---- the scenes ---- */

static void load_and_store(void)
{
	for (size_t page = 0; page < PAGES; page += 5)
		load(page);
	for (size_t page = 0; page < PAGES; page += 3)
		store(page, (unsigned char)(page + 1));
	for (size_t page = 0; page < PAGES; page++)
		load(page);
}

static void a_region_over_a_file(void)
{
	build(&(struct vpager_region_options){0}, true);
	if (!it.region)
		return;
	load_and_store();
	if (went(vpager_region_flush(it.region, 0, PAGES * page_size())))
		for (size_t page = 0; page < PAGES; page++) {
			unsigned char byte = 0;

			SURE(pread(it.file, &byte, 1, (off_t)(page * page_size())) == 1 && byte == it.shadow[page],
			     "flushed, and page %zu is %#x", page, byte);
		}
	went(evict_all(it.region));
	load_and_store();
}

static void a_region_under_a_limit(void)
{
	build(&(struct vpager_region_options){.resident_limit_bytes = LIMIT_PAGES * page_size()}, false);
	if (!it.region)
		return;
	for (int round = 0; round < 3; round++)
		for (size_t page = 0; page < PAGES; page++)
			store(page, (unsigned char)(page + 7 * (size_t)round + 1));
	load_and_store();
	went(evict_all(it.region));
	load_and_store();
}

static void a_region_that_is_watched(void)
{
	size_t page = page_size();

	build(&(struct vpager_region_options){.flags = VPAGER_REGION_PRIVATE}, true);
	if (!it.region)
		return;
	load_and_store();
	if (went(vpager_region_pin(it.region, 2 * page, 9 * page, true))) {
		for (size_t p = 2; p < 11; p++)
			it.base[p * page] = it.shadow[p] = (unsigned char)(p + 100); /* pinned: it cannot fault */
		SURE(vpager_region_unpin(it.region, 2 * page, 9 * page) == 0, "unpin");
	}
	went(vpager_region_arm(it.region, 0, PAGES * page));
	store(20, 99);
	went(vpager_region_protect(it.region, 12 * page, 8 * page, PROT_NONE));
	load(30);
	store(31, 98);
	/* Until it can be said again that all is allowed, whoever got an error knows nothing of these pages. */
	if (!went(vpager_region_protect(it.region, 12 * page, 8 * page, PROT_READ | PROT_WRITE))) {
		inject_disarm();
		SURE_OK(vpager_region_protect(it.region, 12 * page, 8 * page, PROT_READ | PROT_WRITE));
	}
	load_and_store();
}

static void asked_for(void)
{
	size_t page[PAGES / 2];

	build(&(struct vpager_region_options){.readahead_bytes = 4 * page_size()}, true);
	if (!it.region)
		return;
	for (size_t i = 0; i < PAGES / 2; i++)
		page[i] = (i * 7) % PAGES;
	went(vpager_region_prefault(it.region, page, PAGES / 2));
	went(vpager_region_advise(it.region, 0, PAGES * page_size(), VPAGER_ADVICE_WILLNEED));
	load_and_store();
	went(vpager_region_advise(it.region, 0, PAGES * page_size(), VPAGER_ADVICE_DONTNEED));
	load_and_store();
}

/* The child has a copy, or a clear error at every access. */
static void forked(void)
{
	int status;
	pid_t pid;

	build(&(struct vpager_region_options){.flags = VPAGER_REGION_FORK}, true);
	if (!it.region)
		return;
	load_and_store();
	pid = fork();
	SURE(pid >= 0, "fork");
	if (pid == 0) {
		for (size_t page = 0; page < PAGES; page++) {
			int byte = try_load(it.base + page * page_size(), NULL);

			if (byte != it.shadow[page] && !(byte < 0 && inject_hit()))
				_exit(1);
		}
		_exit(0);
	}
	SURE(waitpid(pid, &status, 0) == pid, "waitpid");
	SURE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: %#x", status);
	load_and_store();
}

/* A snapshot for whose copies there was no memory says so for ever; any other holds what it held. */
static void look(struct vpager_snapshot *snapshot, const unsigned char *was)
{
	for (size_t page = 0; page < PAGES; page++) {
		unsigned char byte = 0;

		if (went(vpager_snapshot_read(snapshot, page * page_size(), &byte, 1)))
			SURE(byte == was[page], "page %zu: %#x, not %#x", page, (unsigned int)byte, was[page]);
	}
}

/* An error leaves some pages as they are and some as they were, until it can be done. */
static void roll_back(struct vpager_snapshot *snapshot, const unsigned char *was)
{
	if (went(vpager_snapshot_restore(snapshot))) {
		memcpy(it.shadow, was, PAGES);
		return;
	}
	inject_disarm();
	for (size_t page = 0; page < PAGES; page++) {
		int byte = try_load(it.base + page * page_size(), NULL);

		SURE(byte == it.shadow[page] || byte == was[page], "page %zu: %d", page, byte);
		it.shadow[page] = (unsigned char)byte;
	}
}

static void snapshotted(void)
{
	static const enum vpager_arm arms[] = {VPAGER_ARM_SWING, VPAGER_ARM_OPENED, VPAGER_ARM_PASS};
	struct vpager_snapshot *snapshot[3] = {NULL};
	unsigned char was[3][PAGES];

	build(&(struct vpager_region_options){0}, true);
	if (!it.region)
		return;
	for (size_t page = 0; page < PAGES; page++)
		store(page, (unsigned char)page); /* open, so that all of it is one mapping */
	for (size_t i = 0; i < 3; i++) {
		struct vpager_snapshot_options o = {.size = sizeof o, .arm = arms[i]};

		if (went(vpager_snapshot_take(&snapshot[i], it.region, &o)))
			memcpy(was[i], it.shadow, PAGES);
		for (size_t page = i; page < PAGES; page += 4)
			store(page, (unsigned char)(page + 50 * i));
		if (i == 1)
			went(evict_all(it.region));
	}
	for (size_t i = 0; i < 3; i++)
		if (snapshot[i])
			look(snapshot[i], was[i]);
	if (snapshot[0])
		roll_back(snapshot[0], was[0]);
	for (size_t i = 0; i < 3; i++)
		if (snapshot[i])
			look(snapshot[i], was[i]);
	for (size_t i = 0; i < 3; i++)
		vpager_snapshot_free(snapshot[(i + 1) % 3]);
	SURE(stats_of(it.region).snapshot_bytes == 0, "something was kept");
	load_and_store();
}

static void sure_not_inherited(const unsigned char *base)
{
	int status;
	pid_t pid = fork();

	SURE(pid >= 0, "fork");
	if (pid == 0) {
		for (size_t page = 0; page < PAGES; page++)
			if (try_load(base + page * page_size(), NULL) >= 0)
				_exit(1);
		_exit(0);
	}
	SURE(waitpid(pid, &status, 0) == pid, "waitpid");
	SURE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: %#x", status);
}

/* A view and a clone: what they show is the snapshot, whatever fails there and in the region. */
static void viewed(void)
{
	struct vpager_region_options o = {.size = sizeof o};
	struct vpager_snapshot *snapshot = NULL;
	struct vpager_region *over[2] = {NULL};
	unsigned char was[2][PAGES];

	build(&(struct vpager_region_options){0}, false);
	if (!it.region)
		return;
	for (size_t page = 0; page < PAGES; page += 2)
		store(page, (unsigned char)(page + 1));
	if (!went(vpager_snapshot_take(&snapshot, it.region, NULL)))
		return;
	memcpy(was[0], it.shadow, PAGES);
	memcpy(was[1], it.shadow, PAGES);
	for (int i = 0; i < 2; i++) {
		o.flags = i ? 0 : VPAGER_REGION_READ_ONLY;
		if (went(vpager_store_snapshot(&o.store, snapshot)) && !went(vpager_region_create(&over[i], &o)))
			over[i] = NULL;
		vpager_store_unref(o.store);
		o.store = NULL;
	}
	for (size_t step = 0; step < PAGES; step++) {
		size_t page = step * 7 % PAGES;

		for (int i = 0; i < 2; i++) {
			unsigned char *at = over[i] ? base_of(over[i]) + page * page_size() : NULL, expected = was[i][page];
			int byte = at ? try_load(at, NULL) : -1;

			if (!at)
				continue;
			if (went(byte))
				SURE(byte == expected, "page %zu of %d: %#x, not %#x", page, i, (unsigned int)byte, expected);
			if (i && step % 5 == 0 && went(try_store(at, (unsigned char)step, NULL)))
				was[i][page] = (unsigned char)step;
			if (step % 30 == 29)
				went(evict_all(over[i]));
		}
		if (step % 3 == 0)
			store(step * 11 % PAGES, (unsigned char)(step + 100));
		if (step == PAGES / 2)
			went(evict_all(it.region));
	}
	if (over[0])
		sure_not_inherited(base_of(over[0]));
	for (int i = 0; i < 2; i++)
		SURE(vpager_region_destroy(over[i], VPAGER_DESTROY_DISCARD) == 0, "destroy");
	vpager_snapshot_free(snapshot);
}

static void (*const scenes[])(void) = {a_region_over_a_file, a_region_under_a_limit, a_region_that_is_watched, asked_for,
                                       forked,               snapshotted,            viewed};
#define SCENES (int)(sizeof scenes / sizeof *scenes)

/* ---- one run ---- */

/* With no failures any more, everything is there, and goes. */
static void sure_all_is_well(void)
{
	if (it.region) {
		for (size_t page = 0; page < PAGES; page++)
			load(page);
		for (size_t page = 0; page < PAGES; page++)
			store(page, (unsigned char)(page ^ 0x55));
		for (size_t page = 0; page < PAGES; page++)
			load(page);
		SURE_OK(flush_all(it.region));
		SURE_OK(vpager_region_destroy(it.region, 0));
	}
	vpager_store_unref(it.store);
	if (it.file >= 0)
		close(it.file);
	SURE_OK(vpager_shutdown());
}

static bool play(int scene, enum injected kind, unsigned int n, bool on)
{
	bool was_hit;

	inject_arm(kind, n, on);
	scenes[scene]();
	was_hit = inject_disarm();
	sure_all_is_well();
	return was_hit;
}

struct left_behind {
	size_t descriptors;
	long allocations;
};

static struct left_behind look_around(void)
{
	struct left_behind seen = {0};
	DIR *directory = opendir("/proc/self/fd");

	SURE(directory, "/proc/self/fd");
	while (readdir(directory))
		seen.descriptors++;
	closedir(directory);
	seen.allocations = inject_allocations();
	return seen;
}

struct run {
	int scene;
	enum injected kind;
	unsigned int n;
	bool on;
};

#define EXIT_NO_SUCH_CALL 3

/* In a process of its own, where it has been played through once, so that what is kept for good is there. */
static void run_one(void *arg)
{
	const struct run *run = arg;
	struct left_behind before, after;
	bool was_hit;

	alarm(60);
	play(run->scene, INJECT_KINDS, 1, false);
	before = look_around();
	was_hit = play(run->scene, run->kind, run->n, run->on);
	after = look_around();
	SURE(after.descriptors <= before.descriptors, "%zu descriptors more", after.descriptors - before.descriptors);
	SURE(after.allocations <= before.allocations, "%ld allocations more", after.allocations - before.allocations);
	fflush(NULL);
	_exit(was_hit ? 0 : EXIT_NO_SUCH_CALL);
}

/* What follows a call that failed is the same code on every CPU: less of it where that is slow. */
static unsigned int step_from(unsigned int n)
{
	if (skip_emulated())
		return 3 * n;
	return often(5) == 5 ? 1 : 1 + n / 4;
}

START_TEST(a_call_that_fails_loses_nothing)
{
	const int scene = _i / INJECT_KINDS % SCENES;
	struct run run = {.scene = scene, .kind = (enum injected)(_i % INJECT_KINDS), .n = 1, .on = _i >= SCENES * INJECT_KINDS};

	file_of_pattern = file_with(PAGES * page_size());
	for (;; run.n += step_from(run.n)) {
		int status = end_of(run_one, &run);

		SURE(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_NO_SUCH_CALL),
		     "scene %d, %s number %u%s: status %#x", scene, inject_name(run.kind), run.n, run.on ? " and all after it" : "",
		     status);
		if (WEXITSTATUS(status) == EXIT_NO_SUCH_CALL)
			break;
		SURE(run.n < PAGE_COPIES, "%s never ends", inject_name(run.kind));
	}
}
END_TEST

/* ---- what takes long ---- */

static struct {
	struct held held;
	unsigned char *base;
	_Atomic(int) turn;
} slow;

static void touch_in_turn(int nr, void *arg)
{
	size_t at = (size_t)nr * page_size();

	(void)arg;
	UNTIL(slow.turn > nr);
	SURE(slow.base[at] == pattern(at), "page %d", nr);
}

/* pthread_create calls malloc, whose lock somebody may have who waits for a worker, in a signal handler. */
START_TEST(a_worker_in_the_making_keeps_no_other_from_its_work)
{
	struct vpager_region_options options = {.size = sizeof options};
	struct vpager_region *region;
	struct crowd crowd;

	slow.held.context = VPAGER_CALL_WORKER;
	slow.held.stop = true;
	region = held_region(&slow.held, &options);
	slow.base = base_of(region);
	crowd_begin(&crowd, 3, touch_in_turn, NULL);
	inject_hold_threads(true);
	slow.turn = 1;
	UNTIL(slow.held.stopped == 1);
	slow.turn = 2; /* for the other worker that there is, which makes a third */
	UNTIL(inject_held_threads() == 1);
	slow.turn = 3;
	token_give(&slow.held.go, 1);
	UNTIL(slow.held.done[0] == 1 && slow.held.stopped == 1 && slow.held.reads[2] == 1);
	inject_hold_threads(false);
	slow.held.stop = false;
	token_give(&slow.held.go, 3);
	crowd_end(&crowd);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("injected failures");
	TCase *once = tcase_create("the n-th call fails"), *slowly = tcase_create("slow calls");

	tcase_add_loop_test(once, a_call_that_fails_loses_nothing, 0, 2 * SCENES * INJECT_KINDS);
	tcase_set_timeout(once, 120);
	suite_add_tcase(suite, once);
	tcase_add_test(slowly, a_worker_in_the_making_keeps_no_other_from_its_work);
	tcase_set_timeout(slowly, 20);
	suite_add_tcase(suite, slowly);
	return run_suite(suite);
}
