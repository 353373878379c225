/* SPDX-License-Identifier: MIT
 *
 * Random operations on every kind of region against a model: a copy of the bytes, and for each page what is allowed, how
 * often it is pinned and whether it was written.  In half of the runs another thread evicts, flushes and fetches meanwhile,
 * which may change nothing that the model knows.  VPAGER_TEST_SEED and VPAGER_TEST_STEPS choose other runs; a failure names
 * its step. */
#include <pthread.h>
#include "paging.h"

#define PAGES 48
#define LIMIT 32 /* pages, where there is a limit */
#define PINS 16  /* ranges that are pinned at a time */
#define ALL (PROT_READ | PROT_WRITE)

struct kind {
	const char *name;
	enum vpager_call_context context;
	uint32_t flags;
	enum { WATCHED, MEMORY, FILE_STORE, NOTHING } store;
	bool own_swap, limit, ends_early;
};

static const struct kind kinds[] = {
    {"shared, handler", VPAGER_CALL_HANDLER, 0, WATCHED, false, true, false},
    {"shared, worker", VPAGER_CALL_WORKER, 0, WATCHED, false, true, false},
    {"shared, no limit", VPAGER_CALL_HANDLER, 0, WATCHED, false, false, false},
    {"store that ends early", VPAGER_CALL_WORKER, 0, WATCHED, false, true, true},
    {"file", VPAGER_CALL_HANDLER, 0, FILE_STORE, false, true, false},
    {"private, worker", VPAGER_CALL_WORKER, VPAGER_REGION_PRIVATE, WATCHED, false, true, false},
    {"private, own swap", VPAGER_CALL_HANDLER, VPAGER_REGION_PRIVATE, WATCHED, true, true, false},
    {"private over memory", VPAGER_CALL_HANDLER, 0, MEMORY, false, true, true},
    {"zero-fill", VPAGER_CALL_HANDLER, 0, NOTHING, false, true, false},
    {"zero-fill, own swap in a worker", VPAGER_CALL_WORKER, 0, NOTHING, true, true, false},
    {"zero-fill, no swap", VPAGER_CALL_HANDLER, VPAGER_REGION_NO_SWAP, NOTHING, false, false, false},
    {"read-only", VPAGER_CALL_WORKER, VPAGER_REGION_READ_ONLY, WATCHED, false, true, true},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

struct model {
	const struct kind *kind;
	struct vpager_region *region;
	struct watched store, swap;
	int fd;
	size_t page, length, offset, stored; /* offset: of the region in its store; stored: bytes of it that the store has */
	unsigned char *base, *shadow, *scratch; /* the last two: whole pages */
	struct {
		int prot;
		unsigned int pins;
		bool pinned_for_write; /* by one of these pins */
		bool written, perhaps; /* perhaps: the pages does not say */
		bool dirtied, perhaps_dirtied; /* ever: in regions without swap it stays so */
	} p[PAGES];
	struct {
		size_t off, len;
	} pin[PINS];
	size_t pins;
	struct dice dice;
	uint64_t step;
	const char *doing;
	bool sequential, watched; /* was advised; has been armed */
	bool disturbed;
	_Atomic(bool) over;
};

#define HOLDS(condition, format, ...)                                                                                       \
	SURE(condition, "%s, step %llu, %s: " format, m->kind->name, (unsigned long long)m->step, m->doing, ##__VA_ARGS__)

/* ---- making ---- */

static void make_store(struct model *m, struct vpager_region_options *o)
{
	size_t stored = m->kind->ends_early ? m->length - 9 * m->page - m->page / 3 : m->length;

	m->offset = m->page / 2 + 17;
	m->stored = stored;
	m->store = (struct watched){.length = m->offset + stored + (m->kind->ends_early ? 0 : 2 * m->page),
	                            .context = m->kind->context};
	o->store_offset = m->offset;
	if (m->kind->store == FILE_STORE) {
		m->fd = file_with(m->store.length);
		OK(vpager_store_file(&o->store, m->fd, 0, 0, 0));
		return;
	}
	o->store = watched_store(&m->store); /* sets bytes */
	if (m->kind->store == MEMORY) {
		vpager_store_unref(o->store);
		OK(vpager_store_memory(&o->store, m->store.bytes, m->store.length));
	}
}

static void make(struct model *m)
{
	struct vpager_region_options o = {.size = sizeof o, .page_bytes = m->page, .flags = m->kind->flags};

	m->length = PAGES * m->page - 333;
	o.length = m->length;
	o.resident_limit_bytes = m->kind->limit ? LIMIT * m->page : 0;
	if (m->kind->store != NOTHING)
		make_store(m, &o);
	if (m->kind->own_swap) {
		m->swap = (struct watched){.length = m->length, .context = m->kind->context};
		o.swap = watched_store(&m->swap);
	}
	m->region = region_with(&o);
	vpager_store_unref(o.store);
	vpager_store_unref(o.swap);
	m->base = base_of(m->region);
	m->shadow = calloc(PAGES, m->page);
	m->scratch = calloc(PAGES, m->page);
	pattern_fill(m->shadow, m->offset, m->stored);
	for (int p = 0; p < PAGES; p++)
		m->p[p].prot = m->kind->flags & VPAGER_REGION_READ_ONLY ? PROT_READ : ALL;
}

static bool shared(const struct model *m)
{
	return m->kind->store != NOTHING && m->kind->store != MEMORY && !(m->kind->flags & VPAGER_REGION_PRIVATE);
}

/* ---- choosing ---- */

/* A range within the region: most are short, some long, some of no bytes. */
static void choose(struct model *m, size_t *off, size_t *len, size_t most_pages)
{
	size_t most = roll(&m->dice, 6) ? 3 : most_pages;

	*off = roll(&m->dice, m->length + 1);
	*len = roll(&m->dice, 8) ? roll(&m->dice, most * m->page) : 0;
	if (*len > m->length - *off)
		*len = m->length - *off;
}

static size_t first_of(const struct model *m, size_t off)
{
	return off / m->page;
}

static size_t end_of_range(const struct model *m, size_t off, size_t len)
{
	return len ? (off + len - 1) / m->page + 1 : off / m->page;
}

#define EACH_PAGE(p, off, len) for (size_t p = first_of(m, off), p##_end = end_of_range(m, off, len); p < p##_end; p++)

/* The first page of the range that lacks one of the rights, or the range's end. */
static size_t first_without(const struct model *m, size_t off, size_t len, int rights)
{
	EACH_PAGE (p, off, len)
		if ((rights & PROT_WRITE) ? !(m->p[p].prot & PROT_WRITE) : m->p[p].prot == PROT_NONE)
			return p;
	return end_of_range(m, off, len);
}

static bool any_pinned(const struct model *m, size_t off, size_t len)
{
	EACH_PAGE (p, off, len)
		if (m->p[p].pins)
			return true;
	return false;
}

/* ---- accesses ---- */

struct copy {
	void *to;
	const void *from;
	size_t len;
};

static void copy_run(void *arg)
{
	struct copy *copy = arg;

	memcpy(copy->to, copy->from, copy->len);
}

static int try_copy(void *to, const void *from, size_t len)
{
	struct copy copy = {to, from, len};

	return vpager_try(copy_run, &copy, NULL);
}

static void do_read(struct model *m)
{
	unsigned char *bytes = m->scratch;
	size_t off, len, bad;
	int err;

	choose(m, &off, &len, PAGES);
	if (roll(&m->dice, 16) == 0)
		len = PAGES * m->page - off; /* to the end of the last page, past the length */
	bad = first_without(m, off, len, PROT_READ);
	if (bad < end_of_range(m, off, len)) {
		err = try_load(m->base + bad * m->page + 5, NULL);
		HOLDS(err == -EACCES, "page %zu gives %d", bad, err);
		return;
	}
	err = try_copy(bytes, m->base + off, len);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	for (size_t i = 0; i < len; i++)
		HOLDS(bytes[i] == m->shadow[off + i], "byte %zu is %#x, not %#x", off + i, bytes[i], m->shadow[off + i]);
}

/* Of the page in which a shared store ends, bytes past the end may be written, and go nowhere. */
static bool in_the_gap(const struct model *m, size_t off, size_t len)
{
	return shared(m) && m->kind->ends_early && off < (m->stored / m->page + 1) * m->page && off + len > m->stored;
}

/* VPAGER_ADVICE_SEQUENTIAL: a write or a pin for one, forbidden or not, may open pages ahead of it, which count as written. */
static void others_opened(struct model *m)
{
	if (!m->sequential || m->watched || (m->kind->flags & VPAGER_REGION_NO_SWAP))
		return;
	for (size_t p = 0; p < PAGES; p++)
		if (!shared(m) || p * m->page >= m->stored) /* private */
			m->p[p].perhaps = !m->p[p].written;
}

static void page_written(struct model *m, size_t p)
{
	m->p[p].written = m->p[p].dirtied = true;
	m->p[p].perhaps = false;
}

static void do_write(struct model *m)
{
	size_t off, len, bad;
	int err;

	choose(m, &off, &len, 6);
	others_opened(m);
	bad = first_without(m, off, len, PROT_WRITE);
	if (bad < end_of_range(m, off, len)) {
		err = try_store(m->base + bad * m->page + 5, 1, NULL);
		HOLDS(err == -EACCES, "page %zu gives %d", bad, err);
		return;
	}
	if (in_the_gap(m, off, len))
		return;
	pattern_fill(m->shadow + off, m->step * 1000, len);
	err = try_copy(m->base + off, m->shadow + off, len);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	EACH_PAGE (p, off, len)
		page_written(m, p);
}

/* ---- calls ---- */

static bool any_dirtied(const struct model *m, size_t off, size_t len, bool certain)
{
	EACH_PAGE (p, off, len)
		if (m->p[p].dirtied || (m->p[p].perhaps_dirtied && !certain))
			return true;
	return false;
}

static void do_evict(struct model *m)
{
	bool no_swap = m->kind->flags & VPAGER_REGION_NO_SWAP;
	size_t off, len;
	int err;

	choose(m, &off, &len, PAGES);
	if (roll(&m->dice, 2))
		err = vpager_region_evict(m->region, off, len);
	else
		err = vpager_region_advise(m->region, off, len, VPAGER_ADVICE_DONTNEED);
	if (err == -ENOMEM)
		HOLDS(no_swap && any_dirtied(m, off, len, false), "%zu + %zu gives %d", off, len, err);
	else if (any_pinned(m, off, len))
		HOLDS(err == -EBUSY, "%zu + %zu gives %d", off, len, err);
	else
		HOLDS(err == 0 && !(no_swap && any_dirtied(m, off, len, true)), "%zu + %zu gives %d", off, len, err);
}

static void store_holds(const struct model *m, size_t off, size_t len)
{
	unsigned char *bytes = m->scratch;
	size_t end;

	end = off + len < m->stored ? off + len : m->stored;
	if (off >= end)
		return;
	if (m->kind->store == FILE_STORE)
		HOLDS(pread(m->fd, bytes + off, end - off, (off_t)(m->offset + off)) == (ssize_t)(end - off), "file");
	else
		memcpy(bytes + off, m->store.bytes + m->offset + off, end - off);
	for (size_t i = off; i < end; i++)
		HOLDS(bytes[i] == m->shadow[i], "byte %zu of the store is %#x, not %#x", i, bytes[i], m->shadow[i]);
}

static void do_flush(struct model *m)
{
	size_t off, len;
	int err;

	choose(m, &off, &len, PAGES);
	err = vpager_region_flush(m->region, off, len);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	if (shared(m) && len)
		store_holds(m, off / m->page * m->page, end_of_range(m, off, len) * m->page - off / m->page * m->page);
}

static void protect_page(struct model *m, size_t p)
{
	int prot = roll(&m->dice, 3) ? ALL : (int)roll(&m->dice, 4), err;

	if (m->kind->flags & VPAGER_REGION_READ_ONLY)
		prot &= PROT_READ;
	err = vpager_region_protect(m->region, p * m->page, 1, prot);
	HOLDS(err == (m->p[p].pins ? -EBUSY : 0), "page %zu to %d gives %d", p, prot, err);
	if (!err)
		m->p[p].prot = prot;
}

static void do_protect(struct model *m)
{
	int prot = roll(&m->dice, 3) ? ALL : (int)roll(&m->dice, 4), err;
	bool forbidden = (prot & PROT_WRITE) && (m->kind->flags & VPAGER_REGION_READ_ONLY);
	size_t off, len;

	choose(m, &off, &len, 12);
	off -= off % m->page;
	err = vpager_region_protect(m->region, off, len, prot);
	if (err == 0) {
		HOLDS(!forbidden && !any_pinned(m, off, len), "%zu + %zu to %d", off, len, prot);
		EACH_PAGE (p, off, len)
			m->p[p].prot = prot;
		return;
	}
	HOLDS((err == -EACCES && forbidden) || (err == -EBUSY && any_pinned(m, off, len)), "%zu + %zu to %d gives %d", off,
	      len, prot, err);
	EACH_PAGE (p, off, len)
		protect_page(m, p); /* some may have the new setting */
}

/* ---- which were written ---- */

/* A page that only a pin for reading holds open may go on counting as written. */
static void page_armed(struct model *m, size_t p)
{
	bool was = m->p[p].written || m->p[p].perhaps;

	m->p[p].written = m->p[p].pins && m->p[p].pinned_for_write;
	m->p[p].perhaps = m->p[p].pins && !m->p[p].pinned_for_write && was;
}

static void do_arm(struct model *m)
{
	size_t off, len;
	int err;

	choose(m, &off, &len, PAGES);
	m->watched = true;
	err = vpager_region_arm(m->region, off, len);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	EACH_PAGE (p, off, len)
		page_armed(m, p);
}

struct reported {
	const struct model *m;
	bool page[PAGES];
};

static int report(void *ctx, size_t off, size_t len)
{
	struct reported *r = ctx;
	const struct model *m = r->m;

	EACH_PAGE (p, off, len)
		r->page[p] = true;
	return 0;
}

static void do_dirty(struct model *m)
{
	struct reported r = {.m = m};
	bool rearm = roll(&m->dice, 2);
	size_t off, len;
	int err;

	m->watched |= rearm;
	choose(m, &off, &len, PAGES);
	err = vpager_region_dirty(m->region, off, len, rearm, report, &r);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	EACH_PAGE (p, off, len) {
		HOLDS(m->p[p].perhaps || r.page[p] == m->p[p].written, "page %zu reported: %d", p, r.page[p]);
		m->p[p].written = r.page[p];
		m->p[p].perhaps = false;
		if (rearm && r.page[p])
			page_armed(m, p);
		r.page[p] = false;
	}
	for (size_t p = 0; p < PAGES; p++)
		HOLDS(!r.page[p], "page %zu reported, which is outside of %zu + %zu", p, off, len);
}

/* ---- pins ---- */

static size_t pinned_with(const struct model *m, size_t off, size_t len)
{
	size_t n = 0;

	for (size_t p = 0; p < PAGES; p++)
		n += m->p[p].pins || (len && p >= first_of(m, off) && p < end_of_range(m, off, len));
	return n;
}

static void pin_failed(struct model *m, size_t off, size_t len, bool for_write)
{
	EACH_PAGE (p, off, len) {
		if (!for_write || !(m->p[p].prot & PROT_WRITE) || m->p[p].written)
			continue;
		m->p[p].perhaps = m->p[p].perhaps_dirtied = true; /* opened before another page failed */
	}
}

static void do_pin(struct model *m)
{
	bool for_write = roll(&m->dice, 2), forbidden, too_many;
	size_t off, len, pinned;
	int err;

	choose(m, &off, &len, PAGES);
	pinned = pinned_with(m, off, len);
	/* A limit has room for 8 pages of each thread beside the pins. */
	if (m->pins == PINS || (m->disturbed && m->kind->limit && pinned > LIMIT - 24 && pinned <= LIMIT - 8))
		return;
	forbidden = first_without(m, off, len, for_write ? PROT_WRITE : PROT_READ) < end_of_range(m, off, len);
	too_many = m->kind->limit && pinned > LIMIT - 8;
	if (for_write)
		others_opened(m);
	err = vpager_region_pin(m->region, off, len, for_write);
	if (err) {
		HOLDS((err == -EACCES && forbidden) || (err == -ENOMEM && too_many), "%zu + %zu gives %d", off, len, err);
		pin_failed(m, off, len, for_write);
		return;
	}
	HOLDS(!forbidden && !too_many, "%zu + %zu, with %zu pinned", off, len, pinned);
	m->pin[m->pins].off = off;
	m->pin[m->pins++].len = len;
	EACH_PAGE (p, off, len) {
		m->p[p].pins++;
		if (for_write) {
			m->p[p].pinned_for_write = true;
			page_written(m, p);
		}
	}
}

static void do_unpin(struct model *m)
{
	size_t which, off, len;
	int err;

	if (m->pins == 0)
		return;
	which = roll(&m->dice, m->pins);
	off = m->pin[which].off;
	len = m->pin[which].len;
	err = vpager_region_unpin(m->region, off, len);
	HOLDS(err == 0, "%zu + %zu gives %d", off, len, err);
	m->pin[which] = m->pin[--m->pins];
	EACH_PAGE (p, off, len)
		if (--m->p[p].pins == 0)
			m->p[p].pinned_for_write = false;
}

/* ---- hints, and counters ---- */

static void do_prefault(struct model *m)
{
	size_t list[LIMIT] = {0}, n = roll(&m->dice, 8) ? roll(&m->dice, 6) : roll(&m->dice, LIMIT);
	bool forbidden = false;
	int err;

	for (size_t i = 0; i < n; i++) {
		list[i] = roll(&m->dice, PAGES);
		forbidden |= m->p[list[i]].prot == PROT_NONE;
	}
	err = vpager_region_prefault(m->region, list, n);
	if (err == -EACCES)
		HOLDS(forbidden, "%d", err);
	else if (err == -ENOMEM)
		HOLDS(m->kind->limit && n > LIMIT - 8, "%zu pages", n);
	else
		HOLDS(err == 0 && !forbidden && !(m->kind->limit && n > LIMIT - 8), "%zu pages give %d", n, err);
}

static void do_advise(struct model *m)
{
	static const enum vpager_advice advice[] = {VPAGER_ADVICE_NORMAL, VPAGER_ADVICE_WILLNEED, VPAGER_ADVICE_SEQUENTIAL,
	                                            VPAGER_ADVICE_RANDOM};
	enum vpager_advice chosen;
	size_t off, len;
	int err;

	choose(m, &off, &len, PAGES);
	chosen = advice[roll(&m->dice, 4)];
	if (chosen != VPAGER_ADVICE_WILLNEED)
		m->sequential = chosen == VPAGER_ADVICE_SEQUENTIAL;
	err = vpager_region_advise(m->region, off, len, chosen);
	HOLDS(err == 0, "%d", err);
}

static void do_count(struct model *m)
{
	struct vpager_region_stats s = stats_of(m->region);

	HOLDS(!m->kind->limit || s.resident_bytes <= LIMIT * m->page, "%llu bytes are resident",
	      (unsigned long long)s.resident_bytes);
	HOLDS(m->disturbed || s.dirty_bytes <= s.resident_bytes, "%llu bytes are dirty of %llu",
	      (unsigned long long)s.dirty_bytes, (unsigned long long)s.resident_bytes);
	HOLDS(m->store.beyond + m->swap.beyond == 0, "a store was asked for bytes past its end");
}

/* ---- the runs ---- */

static const struct {
	const char *name;
	void (*run)(struct model *m);
	int weight;
} operations[] = {
    {"read", do_read, 30},      {"write", do_write, 30},      {"evict", do_evict, 8},   {"flush", do_flush, 6},
    {"protect", do_protect, 5}, {"arm", do_arm, 3},           {"dirty", do_dirty, 6},   {"pin", do_pin, 6},
    {"unpin", do_unpin, 8},     {"prefault", do_prefault, 5}, {"advise", do_advise, 4}, {"count", do_count, 4},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void one_step(struct model *m)
{
	int turn, sum = 0;

	for (size_t i = 0; i < OPERATIONS; i++)
		sum += operations[i].weight;
	turn = (int)roll(&m->dice, (uint64_t)sum);
	for (size_t i = 0; i < OPERATIONS; i++) {
		turn -= operations[i].weight;
		if (turn < 0) {
			m->doing = operations[i].name;
			operations[i].run(m);
			return;
		}
	}
}

static void *disturb(void *arg)
{
	struct model *m = arg;
	struct dice dice = {m->dice.state * 7 + 1};

	while (!m->over) {
		size_t off = roll(&dice, m->length), len = roll(&dice, m->length - off);
		int err = 0;

		switch (roll(&dice, 4)) {
		case 0:
			err = vpager_region_evict(m->region, off, len);
			break;
		case 1:
			err = vpager_region_flush(m->region, off, len);
			break;
		case 2:
			err = vpager_region_advise(m->region, off, len, VPAGER_ADVICE_WILLNEED);
			break;
		case 3:
			err = vpager_region_prefault(m->region, &(size_t){off / m->page}, 1);
			break;
		}
		SURE(err == 0 || err == -EBUSY || err == -EACCES ||
		         (err == -ENOMEM && (m->kind->flags & VPAGER_REGION_NO_SWAP)),
		     "%s: the other thread gets %d", m->kind->name, err);
		nap(50);
	}
	return NULL;
}

/* What is in the store when the region is gone, and what is around it. */
static void check_store(struct model *m)
{
	unsigned char *bytes = m->store.bytes;

	m->doing = "the end";
	if (m->kind->store == NOTHING)
		return;
	if (m->kind->store == FILE_STORE) {
		bytes = malloc(m->store.length);
		ck_assert_int_eq(pread(m->fd, bytes, m->store.length, 0), m->store.length);
		ck_assert_int_eq(lseek(m->fd, 0, SEEK_END), m->store.length);
	}
	for (size_t i = 0; i < m->store.length; i++) {
		bool inside = shared(m) && i >= m->offset && i - m->offset < m->stored;
		unsigned char byte = inside ? m->shadow[i - m->offset] : pattern(i);

		HOLDS(bytes[i] == byte, "byte %zu of the store is %#x, not %#x", i, bytes[i], byte);
	}
}

START_TEST(a_region_does_what_the_model_does)
{
	uint64_t seed = env_number("VPAGER_TEST_SEED", 577215664), steps = env_number("VPAGER_TEST_STEPS", 1500);
	static struct model m;
	pthread_t thread;

	m = (struct model){
	    .kind = &kinds[_i % KINDS], .page = nth_page_size(_i / KINDS % 2 * 2), .disturbed = _i / KINDS / 2, .fd = -1};
	m.dice.state = mixed(seed + (uint64_t)_i);
	printf("model %d, %s: VPAGER_TEST_SEED=%llu VPAGER_TEST_STEPS=%llu\n", _i, m.kind->name, (unsigned long long)seed,
	       (unsigned long long)steps);
	fflush(stdout);
	make(&m);
	if (m.disturbed)
		ck_assert_int_eq(pthread_create(&thread, NULL, disturb, &m), 0);
	for (m.step = 0; m.step < steps; m.step++)
		one_step(&m);
	m.over = true;
	if (m.disturbed)
		pthread_join(thread, NULL);
	m.doing = "the end";
	while (m.pins)
		do_unpin(&m);
	OK(vpager_region_protect(m.region, 0, m.length, PROT_READ));
	ck_assert_mem_eq(m.base, m.shadow, PAGES * m.page);
	OK(vpager_region_destroy(m.region, 0));
	check_store(&m);
}
END_TEST

static Suite *model_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *model = tcase_create("model");

	tcase_add_loop_test(model, a_region_does_what_the_model_does, 0, 4 * KINDS);
	tcase_set_timeout(model, 60);
	suite_add_tcase(suite, model);
	return suite;
}

int main(void)
{
	return run_suite(model_suite());
}
