/* SPDX-License-Identifier: MIT
 *
 * Random operations on a region, its snapshots and clones against copies of the bytes: takes, frees, restores, writes, reads of
 * pieces, clones, evictions, flushes, pins, watching.  In half of the runs another thread evicts and flushes meanwhile.
 * VPAGER_TEST_SEED and VPAGER_TEST_STEPS choose other runs; a failure names its step. */
#include <pthread.h>
#include "snapshots.h"

#define PAGES 32
#define LIMIT 12 /* pages, in runs with a limit */
#define SNAPSHOTS 12
#define CLONES 2

struct clone {
	struct vpager_region *region;
	unsigned char *base, *shadow;
};

struct model {
	struct vpager_region *region;
	struct watched store;
	size_t page, length;
	unsigned char *base, *shadow;
	struct vpager_snapshot *snapshot[SNAPSHOTS]; /* in order of age */
	unsigned char *was[SNAPSHOTS];
	int n;
	struct clone clone[CLONES];
	struct dice dice;
	uint64_t step;
	const char *doing;
	_Atomic(bool) over;
};

#define HOLDS(condition, format, ...)                                                                                       \
	SURE(condition, "step %llu, %s: " format, (unsigned long long)m->step, m->doing, ##__VA_ARGS__)

static size_t any(struct model *m, size_t below)
{
	return (size_t)roll(&m->dice, below);
}

static void sure_same(struct model *m, const unsigned char *got, const unsigned char *want, size_t off, size_t len)
{
	if (memcmp(got, want + off, len) != 0)
		for (size_t i = 0; i < len; i++)
			HOLDS(got[i] == want[off + i], "at %zu (page %zu): %#x, not %#x", off + i, (off + i) / m->page, got[i],
			      want[off + i]);
}

/* A piece of the region: mostly small, now and then several pages. */
static size_t piece(struct model *m, size_t *len)
{
	size_t off = any(m, m->length);

	*len = any(m, 8) ? 1 + any(m, 200) : 1 + any(m, 5 * m->page);
	if (*len > m->length - off)
		*len = m->length - off;
	return off;
}

static void scribble(struct model *m, unsigned char *base, unsigned char *shadow)
{
	size_t len, off = piece(m, &len);
	unsigned char byte = (unsigned char)any(m, 256);

	memset(base + off, byte, len);
	memset(shadow + off, byte, len);
}

static void take(struct model *m)
{
	if (m->n == SNAPSHOTS)
		return;
	m->snapshot[m->n] = take_with(m->region, arms[any(m, ARMS)]);
	m->was[m->n] = malloc(m->length);
	memcpy(m->was[m->n++], m->shadow, m->length);
}

static void drop(struct model *m)
{
	size_t i = m->n ? any(m, (size_t)m->n) : 0;

	if (!m->n)
		return;
	vpager_snapshot_free(m->snapshot[i]);
	free(m->was[i]);
	m->n--;
	memmove(&m->snapshot[i], &m->snapshot[i + 1], ((size_t)m->n - i) * sizeof *m->snapshot);
	memmove(&m->was[i], &m->was[i + 1], ((size_t)m->n - i) * sizeof *m->was);
}

static void restore(struct model *m)
{
	size_t i = m->n ? any(m, (size_t)m->n) : 0;

	if (!m->n)
		return;
	HOLDS(vpager_snapshot_restore(m->snapshot[i]) == 0, "refused");
	memcpy(m->shadow, m->was[i], m->length);
}

static void look(struct model *m)
{
	unsigned char buf[1 << 16];
	size_t len, off = piece(m, &len), i = m->n ? any(m, (size_t)m->n) : 0;

	if (!m->n || len > sizeof buf)
		return;
	HOLDS(vpager_snapshot_read(m->snapshot[i], off, buf, len) == 0, "refused");
	sure_same(m, buf, m->was[i], off, len);
}

static void clone_change(struct model *m)
{
	struct clone *clone = &m->clone[any(m, CLONES)];

	if (clone->region && any(m, 6) == 0) {
		HOLDS(vpager_region_destroy(clone->region, 0) == 0, "refused");
		free(clone->shadow);
		clone->region = NULL;
	} else if (clone->region) {
		size_t len, off = piece(m, &len);

		sure_same(m, clone->base + off, clone->shadow, off, len);
		scribble(m, clone->base, clone->shadow);
	} else if (m->n) {
		size_t i = any(m, (size_t)m->n);

		clone->region = region_over_snapshot(m->snapshot[i], 0);
		clone->base = base_of(clone->region);
		clone->shadow = malloc(m->length);
		memcpy(clone->shadow, m->was[i], m->length);
	}
}

/* Every page that changed is told of. */
struct told {
	struct model *m;
	bool page[PAGES];
};

static int tell(void *ctx, size_t off, size_t len)
{
	struct told *told = ctx;

	for (size_t at = off; at < off + len; at += told->m->page)
		told->page[at / told->m->page] = true;
	return 0;
}

static void compare(struct model *m)
{
	struct told told = {.m = m};
	size_t i = m->n ? any(m, (size_t)m->n) : 0, j;
	const unsigned char *then;

	if (!m->n)
		return;
	j = i + any(m, (size_t)m->n - i + 1);
	then = j == (size_t)m->n ? m->shadow : m->was[j];
	HOLDS(vpager_snapshot_changes(m->snapshot[i], j == (size_t)m->n ? NULL : m->snapshot[j], tell, &told) == 0, "refused");
	for (size_t p = 0; p < PAGES; p++)
		HOLDS(told.page[p] || memcmp(m->was[i] + p * m->page, then + p * m->page, m->page) == 0, "page %zu of %zu and %zu",
		      p, i, j);
}

static void other(struct model *m)
{
	size_t len, off = piece(m, &len);

	switch (any(m, 5)) {
	case 0:
		HOLDS(vpager_region_evict(m->region, off, len) == 0, "evict");
		break;
	case 1:
		HOLDS(vpager_region_flush(m->region, off, len) == 0, "flush");
		break;
	case 2:
		HOLDS(vpager_region_arm(m->region, off, len) == 0, "arm");
		break;
	case 3: { /* a system call's write */
		size_t n = len < 2 * m->page ? len : 2 * m->page;

		HOLDS(vpager_region_pin(m->region, off, n, true) == 0, "pin");
		if (any(m, 2))
			take(m);
		memset(m->base + off, 0x3c, n);
		memset(m->shadow + off, 0x3c, n);
		HOLDS(vpager_region_unpin(m->region, off, n) == 0, "unpin");
		break;
	}
	default:
		sure_same(m, m->base + off, m->shadow, off, len);
	}
}

static void step(struct model *m)
{
	static const struct {
		const char *name;
		void (*run)(struct model *m);
		unsigned int weight;
	} ops[] = {{"take", take, 3},           {"free", drop, 2},       {"restore", restore, 1}, {"read", look, 8},
	           {"clone", clone_change, 3}, {"compare", compare, 2}, {"other", other, 5},     {"write", NULL, 8}};
	unsigned int at = (unsigned int)any(m, 32);
	size_t i = 0;

	for (; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	m->doing = ops[i].name;
	if (ops[i].run)
		ops[i].run(m);
	else
		scribble(m, m->base, m->shadow);
}

static void *disturb(void *arg)
{
	struct model *m = arg;
	struct dice dice = {77};

	while (!m->over) {
		size_t off = roll(&dice, m->length);

		if (roll(&dice, 2))
			vpager_region_evict(m->region, off, 1); /* -EBUSY: pinned */
		else
			vpager_region_flush(m->region, 0, m->length);
	}
	return NULL;
}

static void make(struct model *m, enum kind kind, bool limited)
{
	struct vpager_region_options o = {.size = sizeof o, .length = PAGES * page_size()};

	m->page = page_size();
	m->length = o.length;
	m->shadow = calloc(1, m->length);
	if (limited)
		o.resident_limit_bytes = LIMIT * m->page;
	o.flags = kind == KIND_PRIVATE ? VPAGER_REGION_PRIVATE : 0;
	if (kind == KIND_ZERO) {
		m->region = region_with(&o);
	} else {
		m->store = (struct watched){.length = m->length};
		m->store.context = kind == KIND_WORKER ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER;
		m->region = region_over(&m->store, &o);
		pattern_fill(m->shadow, 0, m->length);
	}
	m->base = base_of(m->region);
}

START_TEST(every_snapshot_stays_what_it_was_whatever_is_done)
{
	static struct model model;
	struct model *m = &model;
	uint64_t steps = env_number("VPAGER_TEST_STEPS", 2500);
	bool disturbed = _i / KINDS % 2;
	pthread_t thread;

	make(m, (enum kind)(_i % KINDS), _i / KINDS / 2);
	m->dice.state = env_number("VPAGER_TEST_SEED", 1) * 1000 + (uint64_t)_i;
	if (disturbed)
		OK(pthread_create(&thread, NULL, disturb, m));
	for (m->step = 0; m->step < steps; m->step++)
		step(m);
	m->doing = "the end";
	sure_same(m, m->base, m->shadow, 0, m->length);
	m->over = true;
	if (disturbed)
		OK(pthread_join(thread, NULL));
	for (int i = 0; i < CLONES; i++)
		if (m->clone[i].region)
			OK(vpager_region_destroy(m->clone[i].region, 0));
	while (m->n)
		drop(m);
	ck_assert_uint_eq(stats_of(m->region).snapshot_bytes, 0);
	OK(vpager_region_destroy(m->region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_snapshot_stays_what_it_was_whatever_is_done, 0, 4 * KINDS);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
