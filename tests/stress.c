/* SPDX-License-Identifier: MIT
 *
 * stress [SECONDS [SEED]]: everything at once.  Threads write pages that they own and know, look at those of others, and ask for
 * whatever a program may ask for; signal handlers touch pages; regions come and go; stores fail, are slow, and touch other
 * regions; and now and then a child is forked and looks at its copy.  It ends with "no failure", or by abort(3) with a word. */
#include <limits.h>
#include <stdarg.h>
#include "crowd.h"

#define THREADS 6
#define PAGES 120 /* of each region; page p belongs to thread p % THREADS */
#define STUCK_SECONDS 30

/* From any thread, handler or child; Check is not running here. */
__attribute__((noreturn, format(printf, 2, 3))) static void give_up(int line, const char *format, ...)
{
	char text[512];
	va_list args;
	int n = snprintf(text, sizeof text, "stress: process %d, thread %d, line %d: ", (int)getpid(), (int)thread_id(), line);

	va_start(args, format);
	n += vsnprintf(text + n, sizeof text - (size_t)n - 2, format, args);
	va_end(args);
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(1);
	abort();
}

#define MUST(condition, ...)                                                                                                 \
	do {                                                                                                                  \
		if (!(condition))                                                                                             \
			give_up(__LINE__, "not so: " #condition ": " __VA_ARGS__);                                            \
	} while (0)

/* ---- what is under stress ---- */

/* Words of a page: its tag in the upper half, how often it was written in the lower.  Its owner writes them in order. */
struct owned {
	const char *name;
	struct vpager_region *region;
	_Atomic(uint64_t) *words;
	uint64_t *stored; /* NULL: no store */
	_Atomic(uint32_t) written[PAGES];
	bool forks, shared;
};

static struct owned owned[] = {
    {.name = "handler", .shared = true},
    {.name = "worker", .shared = true},
    {.name = "swap", .forks = true},
    {.name = "private", .forks = true},
};
#define OWNED (sizeof owned / sizeof *owned)

/* Read-only bytes of the pattern: plain, failing now and then, and over a store that reads the plain one. */
static struct vpager_region *plain, *flaky, *over;

#define SNAPSHOTS 32

/* Whoever has the slot may use what is in it. */
static struct kept {
	pthread_mutex_t lock;
	struct vpager_snapshot *snapshot;
	const struct owned *of;
	uint64_t first[PAGES], last[PAGES]; /* words of each page, as they were found first; 0: not yet */
} kept[SNAPSHOTS];

static _Atomic(bool) stop;
static _Atomic(uint64_t) snapshots_taken, steps[THREADS], signals_handled, children, came_and_went, flaky_failures;
static size_t words_per_page;

static uint64_t seal(const struct owned *o, size_t page, uint32_t seq)
{
	return (uint64_t)((size_t)(o - owned) * PAGES + page + 1) << 32 | seq;
}

static _Atomic(uint64_t) *page_words(const struct owned *o, size_t page)
{
	return o->words + page * words_per_page;
}

/* ---- stores ---- */

static void dawdle(uint64_t salt)
{
	static _Atomic(uint64_t) calls;
	uint64_t dice = mixed(calls++ ^ salt);

	if (dice % 16 == 0)
		sched_yield();
	else if (dice % 64 == 1)
		nap(200);
}

static int owned_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct owned *o = ctx;

	memcpy(buf, (char *)o->stored + offset, len / 2);
	dawdle(offset);
	memcpy((char *)buf + len / 2, (char *)o->stored + offset + len / 2, len - len / 2);
	return 0;
}

static int owned_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	const struct owned *o = ctx;

	memcpy((char *)o->stored + offset, buf, len / 2);
	dawdle(offset);
	memcpy((char *)o->stored + offset + len / 2, (const char *)buf + len / 2, len - len / 2);
	return 0;
}

static int pattern_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	pattern_fill(buf, offset, len);
	return 0;
}

static int flaky_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	static _Atomic(uint64_t) calls;

	(void)ctx;
	dawdle(offset);
	if (mixed(calls++) % 3 == 0) {
		memset(buf, 0xee, len);
		flaky_failures++;
		return -EIO;
	}
	pattern_fill(buf, offset, len);
	return 0;
}

static int over_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	memcpy(buf, (char *)vpager_region_base(plain) + offset, len);
	return 0;
}

static struct vpager_store *make_store(int (*read)(void *, uint64_t, void *, size_t),
                                       int (*write)(void *, uint64_t, const void *, size_t), void *ctx,
                                       enum vpager_call_context context)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read, .write = write, .read_in = context, .write_in = context};
	struct vpager_store *store = NULL;

	MUST(vpager_store_create(&store, &ops, ctx) == 0, "no store");
	return store;
}

static struct vpager_region *make_region(struct vpager_store *store, uint32_t flags, size_t limit_pages)
{
	struct vpager_region_options options = {
	    .size = sizeof options,
	    .length = PAGES * page_size(),
	    .store = store,
	    .flags = flags,
	    .resident_limit_bytes = limit_pages * page_size(),
	};
	struct vpager_region *region = NULL;
	int err = vpager_region_create(&region, &options);

	MUST(err == 0, "no region: %d", err);
	vpager_store_unref(store);
	return region;
}

static void set_up(void)
{
	const size_t limit = 8 * (THREADS + 2);

	words_per_page = page_size() / sizeof(uint64_t);
	for (int i = 0; i < SNAPSHOTS; i++)
		pthread_mutex_init(&kept[i].lock, NULL);
	for (size_t i = 0; i < OWNED; i++) {
		struct owned *o = &owned[i];
		struct vpager_store *store = NULL;

		if (strcmp(o->name, "swap") != 0) {
			o->stored = malloc(PAGES * page_size());
			for (size_t word = 0; word < PAGES * words_per_page; word++)
				o->stored[word] = seal(o, word / words_per_page, 0);
			store = make_store(owned_read, owned_write, o, i == 0 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER);
		}
		o->region = make_region(store, (o->forks ? VPAGER_REGION_FORK : 0) | (o->shared ? 0 : VPAGER_REGION_PRIVATE),
		                        i == 3 ? 0 : limit);
		o->words = vpager_region_base(o->region);
		for (size_t word = 0; !store && word < PAGES * words_per_page; word++)
			o->words[word] = seal(o, word / words_per_page, 0);
	}
	plain = make_region(make_store(pattern_read, NULL, NULL, VPAGER_CALL_WORKER), 0, limit);
	flaky = make_region(make_store(flaky_read, NULL, NULL, VPAGER_CALL_WORKER), 0, limit);
	over = make_region(make_store(over_read, NULL, NULL, VPAGER_CALL_WORKER), 0, limit);
}

/* ---- what a thread does ---- */

static void sure_page(const struct owned *o, size_t page, uint32_t seq)
{
	_Atomic(uint64_t) *word = page_words(o, page);

	for (size_t i = 0; i < words_per_page; i++) {
		uint64_t seen = word[i];

		MUST(seen == seal(o, page, seq), "%s, page %zu, word %zu: %#llx, not %#llx", o->name, page, i,
		     (unsigned long long)seen, (unsigned long long)seal(o, page, seq));
	}
}

static void write_page(struct owned *o, size_t page)
{
	_Atomic(uint64_t) *word = page_words(o, page);
	uint32_t seq = o->written[page];

	sure_page(o, page, seq);
	o->written[page] = seq + 1; /* before, so that who looks never finds more */
	for (size_t i = 0; i < words_per_page; i++)
		word[i] = seal(o, page, seq + 1);
}

/* Of another thread: the front words may be newer than the rest, by what was written while we look. */
static void look_at(const struct owned *o, size_t page)
{
	_Atomic(uint64_t) *word = page_words(o, page);
	uint32_t least = o->written[page] ? o->written[page] - 1 : 0;

	for (size_t i = 0; i < words_per_page; i++) {
		uint64_t seen = word[i];

		MUST(seen >> 32 == seal(o, page, 0) >> 32, "%s, page %zu, word %zu: %#llx", o->name, page, i, (unsigned long long)seen);
		MUST((uint32_t)seen >= least && (uint32_t)seen <= o->written[page], "%s, page %zu, word %zu: %u, between %u and %u", o->name,
		     page, i, (uint32_t)seen, least, o->written[page]);
	}
}

static void pin_and_call(struct owned *o, size_t page)
{
	size_t off = page * page_size();
	int fds[2], err = vpager_region_pin(o->region, off, page_size(), false);

	if (err == -ENOMEM)
		return; /* others have pinned what may be */
	MUST(err == 0, "pin: %d", err);
	MUST(pipe(fds) == 0, "pipe");
	MUST(write(fds[1], (char *)o->words + off, 512) == 512, "a system call met a hidden page: %d", errno);
	close(fds[0]);
	close(fds[1]);
	MUST(vpager_region_unpin(o->region, off, page_size()) == 0, "unpin");
}

static void forbid(struct owned *o, size_t page)
{
	size_t off = page * page_size();
	int err = vpager_region_protect(o->region, off, page_size(), PROT_READ), got;

	if (err == -EBUSY)
		return; /* pinned by one that looks */
	MUST(err == 0, "protect: %d", err);
	got = try_store((char *)o->words + off, 1, NULL);
	MUST(got == -EACCES, "a forbidden write: %d", got);
	sure_page(o, page, o->written[page]);
	do
		err = vpager_region_protect(o->region, off, page_size(), PROT_READ | PROT_WRITE);
	while (err == -EBUSY);
	MUST(err == 0, "protect: %d", err);
}

static void ask_for(struct owned *o, struct dice *dice)
{
	size_t off = roll(dice, PAGES) * page_size(), len = (1 + roll(dice, 12)) * page_size(), page = off / page_size();
	int err = 0;

	if (len > PAGES * page_size() - off)
		len = PAGES * page_size() - off;
	switch (roll(dice, 6)) {
	case 0:
		err = vpager_region_flush(o->region, off, len);
		break;
	case 1:
		err = vpager_region_arm(o->region, off, len);
		break;
	case 2:
		err = vpager_region_advise(o->region, off, len, VPAGER_ADVICE_WILLNEED);
		break;
	case 3:
		err = vpager_region_prefault(o->region, &page, 1);
		break;
	default:
		err = vpager_region_evict(o->region, off, len);
		if (err == -EBUSY)
			err = 0;
	}
	MUST(err == 0, "%s, %zu pages from %zu on: %d", o->name, len / page_size(), page, err);
}

static void come_and_go(struct dice *dice)
{
	struct vpager_region *region = make_region(make_store(pattern_read, NULL, NULL, roll(dice, 2)),
	                                           roll(dice, 2) ? VPAGER_REGION_FORK : 0, roll(dice, 2) ? 16 : 0);
	unsigned char *base = vpager_region_base(region);

	for (uint64_t i = roll(dice, 40); i-- > 0;) {
		size_t at = roll(dice, PAGES * page_size());

		MUST(base[at] == pattern(at), "byte %zu of a new region is %#x", at, base[at]);
		if (i % 4 == 0)
			base[at] = pattern(at);
	}
	MUST(vpager_region_destroy(region, roll(dice, 2) ? VPAGER_DESTROY_DISCARD : 0) == 0, "destroy");
	came_and_went++;
}

static void look_at_patterns(struct dice *dice)
{
	size_t at = roll(dice, PAGES * page_size());
	int got = try_load((char *)vpager_region_base(flaky) + at, NULL);

	MUST(got == -EIO || got == pattern(at), "flaky: %d", got);
	got = try_load((char *)vpager_region_base(over) + at, NULL);
	MUST(got == -EDEADLK || got == pattern(at), "over another region: %d", got);
	if (at % 8 == 0) {
		MUST(vpager_region_evict(over, at, 1) == 0, "evict");
		MUST(vpager_region_evict(flaky, at, 1) == 0, "evict");
	}
}

/* ---- snapshots ---- */

static void take(struct kept *slot, struct dice *dice)
{
	struct vpager_snapshot_options options = {.size = sizeof options, .arm = (enum vpager_arm)roll(dice, 4)};

	slot->of = &owned[roll(dice, OWNED)];
	if (roll(dice, 8) == 0)
		options.preserved_limit_bytes = page_size() * (1 + roll(dice, 2 * PAGES));
	memset(slot->first, 0, sizeof slot->first);
	MUST(vpager_snapshot_take(&slot->snapshot, slot->of->region, &options) == 0, "take");
	snapshots_taken++;
}

/* As in a fork child: a page that was being written is new in front and old behind; and it stays as it was. */
static void look_at_kept(struct kept *slot, size_t page, uint64_t *words)
{
	size_t n = words_per_page;
	int err = vpager_snapshot_read(slot->snapshot, page * page_size(), words, page_size());

	if (err == -EDQUOT)
		return;
	MUST(err == 0, "read: %d", err);
	MUST(words[0] >> 32 == seal(slot->of, page, 0) >> 32, "%s, page %zu: %#llx", slot->of->name, page,
	     (unsigned long long)words[0]);
	for (size_t i = 1; i < n; i++)
		MUST(words[i] <= words[i - 1] && words[i] + 1 >= words[0], "%s, page %zu: %#llx, then %#llx", slot->of->name, page,
		     (unsigned long long)words[0], (unsigned long long)words[i]);
	MUST(!slot->first[page] || (slot->first[page] == words[0] && slot->last[page] == words[n - 1]),
	     "%s, page %zu of a snapshot changed: %#llx was %#llx", slot->of->name, page, (unsigned long long)words[0],
	     (unsigned long long)slot->first[page]);
	slot->first[page] = words[0];
	slot->last[page] = words[n - 1];
}

static void use_snapshots(struct dice *dice)
{
	static __thread uint64_t words[1 << 13]; /* pages to 64 KiB */
	struct kept *slot = &kept[roll(dice, SNAPSHOTS)];

	if (pthread_mutex_trylock(&slot->lock))
		return;
	if (!slot->snapshot)
		take(slot, dice);
	for (int i = 0; i < 6; i++)
		look_at_kept(slot, roll(dice, PAGES), words);
	if (roll(dice, 12) == 0) {
		vpager_snapshot_free(slot->snapshot);
		slot->snapshot = NULL;
	}
	pthread_mutex_unlock(&slot->lock);
}

static void step(int nr, struct dice *dice)
{
	struct owned *o = &owned[roll(dice, OWNED)];
	size_t mine = roll(dice, PAGES / THREADS) * THREADS + (size_t)nr;

	switch (roll(dice, 18)) {
	case 16:
	case 17:
		use_snapshots(dice);
		break;
	case 0:
		ask_for(o, dice);
		break;
	case 1:
		pin_and_call(o, mine);
		break;
	case 2:
		forbid(o, mine);
		break;
	case 3:
		look_at_patterns(dice);
		break;
	case 4:
		if (roll(dice, 8) == 0)
			come_and_go(dice);
		break;
	case 5:
		sure_page(o, mine, o->written[mine]);
		break;
	case 6:
	case 7:
	case 8:
		look_at(o, roll(dice, PAGES));
		break;
	default:
		write_page(o, mine);
	}
}

static __thread struct dice handler_dice;
static __thread int handler_depth;

static void on_signal(int signo)
{
	int saved = errno;

	(void)signo;
	if (handler_depth++ < 2) {
		size_t at = roll(&handler_dice, PAGES * page_size());
		const volatile unsigned char *base = vpager_region_base(plain);

		MUST(base[at] == pattern(at), "in a signal handler: byte %zu is %#x", at, base[at]);
		look_at(&owned[roll(&handler_dice, OWNED)], roll(&handler_dice, PAGES));
		signals_handled++;
	}
	handler_depth--;
	errno = saved;
}

static uint64_t seed;

static void *thread_main(void *arg)
{
	int nr = (int)(intptr_t)arg;
	struct dice dice = {mixed(seed + (uint64_t)nr)};
	stack_t stack = {.ss_size = (size_t)256 << 10}, old;

	handler_dice.state = mixed(dice.state);
	if (nr % 2) {
		stack.ss_sp = malloc(stack.ss_size);
		MUST(stack.ss_sp && sigaltstack(&stack, &old) == 0, "sigaltstack");
	}
	while (!stop) {
		step(nr, &dice);
		steps[nr]++;
	}
	if (nr % 2)
		sigaltstack(&old, NULL);
	free(stack.ss_sp);
	return NULL;
}

/* ---- children ---- */

/* A page that was being written is new in front and old behind, and one step apart. */
static void sure_cut(const struct owned *o, size_t page)
{
	_Atomic(uint64_t) *word = page_words(o, page);
	uint64_t first = word[0], last = first;

	MUST(first >> 32 == seal(o, page, 0) >> 32, "in the child: %s, page %zu: %#llx", o->name, page, (unsigned long long)first);
	MUST((uint32_t)first <= o->written[page], "in the child: %s, page %zu is from later", o->name, page);
	for (size_t i = 1; i < words_per_page; i++) {
		MUST(word[i] <= last && word[i] + 1 >= first, "in the child: %s, page %zu: %#llx, then %#llx", o->name, page,
		     (unsigned long long)last, (unsigned long long)word[i]);
		last = word[i];
	}
}

static void fork_and_look(int generations);

static void child_main(int generations)
{
	for (size_t i = 0; i < OWNED; i++) {
		struct owned *o = &owned[i];

		/* some thread may just have forbidden a page */
		if (o->forks)
			MUST(vpager_region_protect(o->region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE) == 0, "in the child: protect");
		for (size_t page = 0; page < PAGES; page++) {
			if (!o->forks) {
				int got = try_load(page_words(o, page), NULL);

				MUST(got == -ESTALE, "in the child: %s, page %zu: %d", o->name, page, got);
				continue;
			}
			sure_cut(o, page);
			for (size_t word = 0; word < words_per_page; word++)
				page_words(o, page)[word] = seal(o, page, UINT32_MAX);
		}
		for (size_t page = 0; o->forks && page < PAGES; page++)
			sure_page(o, page, UINT32_MAX);
	}
	if (generations > 1) {
		for (size_t i = 0; i < OWNED; i++)
			for (size_t page = 0; page < PAGES; page++)
				owned[i].written[page] = UINT32_MAX;
		fork_and_look(generations - 1);
	}
	for (size_t i = 0; i < OWNED; i++)
		MUST(vpager_region_destroy(owned[i].region, 0) == 0, "in the child: destroy");
}

static void fork_and_look(int generations)
{
	int status = 0;
	pid_t pid = fork();

	MUST(pid >= 0, "fork");
	if (pid == 0) {
		alarm(60);
		child_main(generations);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR, "waitpid");
	MUST(status == 0, "a child ended with %#x", status);
}

/* ---- all of it ---- */

static void sure_not_stuck(uint64_t last[THREADS], double since[THREADS])
{
	for (int nr = 0; nr < THREADS; nr++) {
		if (steps[nr] != last[nr]) {
			last[nr] = steps[nr];
			since[nr] = seconds();
		}
		MUST(seconds() - since[nr] < STUCK_SECONDS, "thread %d has not got on for %d seconds", nr, STUCK_SECONDS);
	}
}

static void run(double for_seconds)
{
	double end = seconds() + for_seconds, since[THREADS];
	struct dice dice = {mixed(seed ^ 0x5eed)};
	uint64_t last[THREADS] = {0};
	pthread_t thread[THREADS];

	for (int nr = 0; nr < THREADS; nr++) {
		since[nr] = seconds();
		MUST(pthread_create(&thread[nr], NULL, thread_main, (void *)(intptr_t)nr) == 0, "no thread");
	}
	while (seconds() < end) {
		nap((long)roll(&dice, 1000));
		pthread_kill(thread[roll(&dice, THREADS)], roll(&dice, 2) ? SIGUSR1 : SIGUSR2);
		if (roll(&dice, 64) == 0) {
			fork_and_look(1 + (roll(&dice, 4) == 0));
			children++;
		}
		sure_not_stuck(last, since);
	}
	stop = true;
	for (int nr = 0; nr < THREADS; nr++)
		pthread_join(thread[nr], NULL);
}

static void sure_at_the_end(void)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		vpager_snapshot_free(kept[i].snapshot);
	for (size_t i = 0; i < OWNED; i++) {
		struct owned *o = &owned[i];

		for (size_t page = 0; page < PAGES; page++)
			sure_page(o, page, o->written[page]);
		MUST(vpager_region_destroy(o->region, 0) == 0, "destroy");
		for (size_t word = 0; o->shared && word < PAGES * words_per_page; word++)
			MUST(o->stored[word] == seal(o, word / words_per_page, o->written[word / words_per_page]),
			     "%s: the store has not got word %zu", o->name, word);
		for (size_t word = 0; o->stored && !o->shared && word < PAGES * words_per_page; word++)
			MUST(o->stored[word] == seal(o, word / words_per_page, 0), "%s: the store was written to", o->name);
	}
	MUST(vpager_region_destroy(over, 0) == 0, "destroy");
	MUST(vpager_region_destroy(flaky, 0) == 0, "destroy");
	MUST(vpager_region_destroy(plain, 0) == 0, "destroy");
	MUST(vpager_shutdown() == 0, "shutdown");
}

static void tell(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	vpager_fault_write(STDERR_FILENO, fault);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
	double for_seconds = argc > 1 ? atof(argv[1]) : 10;
	uint64_t all = 0;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : mixed((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid());
	printf("stress: %g seconds, seed %#llx\n", for_seconds, (unsigned long long)seed);
	fflush(stdout);
	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags |= SA_NODEFER;
	sigaction(SIGUSR2, &action, NULL);
	alarm((unsigned int)for_seconds + 4 * STUCK_SECONDS); /* it may get stuck at the end, too */
	vpager_on_fatal(tell, NULL);
	set_up();
	run(for_seconds);
	sure_at_the_end();
	for (int nr = 0; nr < THREADS; nr++)
		all += steps[nr];
	printf("stress: no failure: %llu steps, %llu signals, %llu children, %llu regions came and went, %llu reads failed, "
	       "%llu snapshots\n",
	       (unsigned long long)all, (unsigned long long)signals_handled, (unsigned long long)children,
	       (unsigned long long)came_and_went, (unsigned long long)flaky_failures, (unsigned long long)snapshots_taken);
	return EXIT_SUCCESS;
}
