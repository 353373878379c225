/* SPDX-License-Identifier: MIT
 *
 * Many of everything: objects in the index, regions, pages, threads.  The index is tested by its own functions, so
 * link with the library's objects. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include "mappings.h"
#include "paging.h"
#include "../lib/core/index.h"
#include "../lib/core/region.h"

/* ---- the index ---- */

#define OBJECTS 100000
/* Addresses that nothing is mapped at in this test; only looked up, never touched. */
#define FIRST_ADDRESS (sizeof(uintptr_t) > 4 ? (uintptr_t)1 << 45 : (uintptr_t)1 << 28)
#define UNIT 4096u /* the index's own, whatever the system's page size */

struct subject {
	struct object object;
	_Atomic(bool) alive;
};

/* Objects of 1 to 4 units, with a hole of 1 to 3 behind each. */
static size_t units_of(size_t i)
{
	return 1 + mixed(i) % 4;
}

static uintptr_t place(struct subject *subject, size_t i, uintptr_t at)
{
	subject->object.base = at;
	subject->object.span = units_of(i) * UNIT;
	return at + subject->object.span + (1 + mixed(i) / 7 % 3) * UNIT;
}

static const struct object *found_at(uintptr_t address)
{
	struct object *object = index_acquire(address);

	if (object)
		object_release(object);
	return object;
}

static double time_of_lookups(const struct subject *subject, size_t n)
{
	struct dice dice = {1};
	double start = seconds();

	for (int i = 0; i < 300000; i++) {
		const struct object *object = &subject[roll(&dice, n)].object;

		SURE(found_at(object->base + object->span / 2) == object, "look-up %d", i);
	}
	return (seconds() - start) / 300000;
}

START_TEST(a_hundred_thousand_objects_are_found_and_nothing_else)
{
	struct subject *subject = calloc(OBJECTS, sizeof *subject);
	uintptr_t at = FIRST_ADDRESS, end;
	double few = 0, many;

	for (size_t i = 0; i < OBJECTS; i++) {
		uintptr_t next = place(&subject[i], i, at);

		if (i == 100)
			few = time_of_lookups(subject, 100);
		SURE(index_insert(&subject[i].object) == 0, "object %zu", i);
		at = next;
	}
	end = at;
	many = time_of_lookups(subject, OBJECTS);
	printf("a look-up takes %.0f ns among 100 objects, %.0f ns among %d\n", few * 1e9, many * 1e9, OBJECTS);
	ck_assert_double_lt(many, 30 * few + 2e-6); /* caches, but no list */
	for (size_t i = 0; i < OBJECTS; i++) {
		const struct object *o = &subject[i].object;
		uintptr_t hole = o->base + o->span, next = i + 1 < OBJECTS ? subject[i + 1].object.base : end;

		SURE(found_at(o->base) == o && found_at(hole - 1) == o, "object %zu", i);
		SURE(!found_at(hole) && !found_at(next - 1), "the hole behind object %zu", i);
	}
	ck_assert_ptr_null(found_at(FIRST_ADDRESS - 1));
	ck_assert_ptr_null(found_at(0));
	ck_assert_ptr_null(found_at(UINTPTR_MAX));
	for (size_t i = 0; i < OBJECTS; i += 2)
		index_remove(&subject[i].object);
	for (size_t i = 0; i < OBJECTS; i++)
		SURE(found_at(subject[i].object.base) == (i % 2 ? &subject[i].object : NULL), "object %zu", i);
}
END_TEST

START_TEST(an_object_costs_the_same_whatever_its_size)
{
	const uintptr_t tib = (uintptr_t)(UINT64_C(1) << 40);
	struct subject huge = {.object = {.base = FIRST_ADDRESS, .span = 16 * tib}},
		       next = {.object = {.base = FIRST_ADDRESS + 16 * tib, .span = UNIT}};
	struct subject odd = {.object = {.base = FIRST_ADDRESS + 17 * tib + 3 * UNIT, .span = tib + 5 * UNIT}};
	double start = seconds();

	if (sizeof(uintptr_t) == 4)
		return;
	OK(index_insert(&huge.object));
	OK(index_insert(&next.object));
	OK(index_insert(&odd.object));
	ck_assert_double_lt(seconds() - start, 0.1);
	ck_assert_ptr_eq(found_at(FIRST_ADDRESS), &huge.object);
	ck_assert_ptr_eq(found_at(FIRST_ADDRESS + 16 * tib - 1), &huge.object);
	ck_assert_ptr_eq(found_at(FIRST_ADDRESS + 16 * tib), &next.object);
	ck_assert_ptr_null(found_at(FIRST_ADDRESS + 16 * tib + UNIT));
	ck_assert_ptr_null(found_at(odd.object.base - 1));
	ck_assert_ptr_eq(found_at(odd.object.base), &odd.object);
	ck_assert_ptr_eq(found_at(odd.object.base + tib), &odd.object);
	ck_assert_ptr_eq(found_at(odd.object.base + odd.object.span - 1), &odd.object);
	ck_assert_ptr_null(found_at(odd.object.base + odd.object.span));
	index_remove(&huge.object);
	ck_assert_ptr_null(found_at(FIRST_ADDRESS + 8 * tib));
	ck_assert_ptr_eq(found_at(FIRST_ADDRESS + 16 * tib), &next.object);
}
END_TEST

#define RACING 400
#define READERS 3

static struct subject racing[RACING];
static _Atomic(bool) race_over;

/* Whoever found an object has it until it lets go: nobody says it is dead meanwhile. */
static void *reader(void *arg)
{
	struct dice dice = {(uint64_t)thread_id()};
	size_t found = 0;

	while (!race_over) {
		size_t i = roll(&dice, RACING);
		uintptr_t address = FIRST_ADDRESS + i * 8 * UNIT + roll(&dice, 8 * UNIT);
		struct object *object = index_acquire(address);
		struct subject *subject = (struct subject *)object;

		if (!object)
			continue;
		found++;
		for (int look = 0; look < 4; look++)
			SURE(subject->alive && address - object->base < object->span, "object %zu is dead, and held", i);
		object_release(object);
	}
	*(size_t *)arg = found;
	return NULL;
}

START_TEST(a_found_object_is_alive_while_others_come_and_go)
{
	double end = seconds() + 0.7;
	size_t found[READERS], rounds = 0;
	struct dice dice = {5};
	pthread_t thread[READERS];

	for (size_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, reader, &found[i]), 0);
	for (; seconds() < end; rounds++) {
		size_t i = roll(&dice, RACING);
		struct subject *subject = &racing[i];

		if (subject->alive) {
			index_remove(&subject->object);
			index_drain(&subject->object);
			subject->alive = false;
			subject->object.span = 0;
			continue;
		}
		subject->object.base = FIRST_ADDRESS + i * 8 * UNIT + roll(&dice, 4) * UNIT;
		subject->object.span = (1 + roll(&dice, 4)) * UNIT;
		subject->alive = true;
		SURE(index_insert(&subject->object) == 0, "object %zu", i);
	}
	race_over = true;
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(thread[i], NULL);
		ck_assert_uint_gt(found[i], 1000);
	}
	ck_assert_uint_gt(rounds, 1000);
}
END_TEST

/* ---- regions ---- */

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#define REGIONS 2000

static struct vpager_region *nth_region(size_t i, struct watched *w)
{
	size_t page = nth_page_size((int)(i % 5)), length = (1 + i % 9) * page + i % 100;

	if (i % 4 == 0)
		return REGION(.length = length, .page_bytes = page);
	*w = (struct watched){.length = length, .context = i % 8 == 1 ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER};
	return REGION_OVER(w, .page_bytes = page,
	                   .flags = i % 4 == 2   ? VPAGER_REGION_PRIVATE
	                            : i % 4 == 3 ? VPAGER_REGION_READ_ONLY
	                                         : 0,
	                   .resident_limit_bytes = i % 3 ? 0 : 8 * page);
}

static void fault_nth(struct vpager_region *region, size_t i)
{
	size_t at = mixed(i) % vpager_region_length(region);

	SURE(base_of(region)[at] == (i % 4 ? pattern(at) : 0), "region %zu", i);
	if (i % 4 != 3)
		base_of(region)[at] = (unsigned char)(i | 1);
}

START_TEST(two_thousand_regions_leave_nothing_behind)
{
	static struct watched w[REGIONS];
	static struct vpager_region *region[REGIONS];
	size_t maps = 0;
	int fds = 0;

	for (int round = 0; round < 3; round++) {
		struct vpager_stats all = {.size = sizeof all};

		for (size_t i = 0; i < REGIONS; i++)
			region[i] = nth_region(i, &w[i]);
		for (size_t i = 0; i < REGIONS; i++)
			fault_nth(region[i], i);
		ck_assert_int_lt(descriptors(), 60); /* memory and swap files are shared */
		for (size_t i = 0; i < REGIONS; i++) {
			size_t at = mixed(i) % vpager_region_length(region[i]);

			SURE(i % 4 == 3 || base_of(region[i])[at] == (unsigned char)(i | 1), "region %zu", i);
		}
		for (size_t k = 0; k < REGIONS; k++) {
			size_t i = k * 7 % REGIONS; /* not in the order of creation */

			SURE(vpager_region_destroy(region[i], 0) == 0, "region %zu", i);
			SURE(i % 4 == 0 || w[i].closes == 1, "store %zu", i);
			free(w[i].bytes);
		}
		OK(vpager_stats_get(&all));
		ck_assert_uint_eq(all.regions.resident_bytes, 0);
		ck_assert_uint_le(all.vmas_used, 16);
		if (round == 0) {
			maps = own_mappings();
			fds = descriptors();
		}
	}
	ck_assert_uint_le(own_mappings(), maps + 20);
	ck_assert_int_le(descriptors(), fds);
}
END_TEST

static void *come_and_go(void *arg)
{
	size_t first = (size_t)(uintptr_t)arg;
	struct watched w;

	for (size_t i = first; i < first + 300; i++) {
		struct vpager_region *region = nth_region(i, &w);

		fault_nth(region, i);
		SURE(evict_all(region) == 0, "region %zu", i);
		SURE(vpager_region_destroy(region, 0) == 0, "region %zu", i);
		if (i % 4) {
			SURE(w.closes == 1, "store %zu", i);
			free(w.bytes);
		}
	}
	return NULL;
}

struct lasting {
	struct vpager_region *region;
	_Atomic(bool) over;
};

static void *fault_all_the_time(void *arg)
{
	struct lasting *l = arg;
	struct dice dice = {(uint64_t)thread_id()};

	while (!l->over) {
		size_t at = roll(&dice, vpager_region_length(l->region));

		SURE(base_of(l->region)[at] == pattern(at), "byte %zu", at);
	}
	return NULL;
}

START_TEST(regions_come_and_go_in_many_threads_while_others_fault)
{
	struct watched w = {.length = 100 * page_size()};
	struct lasting l = {.region = REGION_OVER(&w, .resident_limit_bytes = 32 * page_size())};
	pthread_t creator[3], fault[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&fault[i], NULL, fault_all_the_time, &l), 0);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&creator[i], NULL, come_and_go, (void *)(i * 1000)), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(creator[i], NULL);
	l.over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(fault[i], NULL);
	OK(vpager_region_destroy(l.region, 0));
}
END_TEST

/* ---- very many, very large ---- */

static const enum vpager_engine engines[] = {VPAGER_ENGINE_AUTO, VPAGER_ENGINE_MPROTECT};

/* A field of /proc/self/status, in KiB. */
static size_t status_kib(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	size_t kib = 0, len = strlen(field);

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, field, len) == 0 && line[len] == ':')
			kib = strtoull(line + len + 1, NULL, 10);
	fclose(file);
	return kib;
}

/* Memory, and the tables by which the CPU finds it. */
static size_t used_kib(void)
{
	return skip_emulated() ? 0 : status_kib("VmRSS") + status_kib("VmPTE"); /* what the emulator takes is its matter */
}

#define MOST_DESCRIPTORS 1024 /* what a process usually has */
#define TEN_THOUSAND (sizeof(uintptr_t) > 4 ? 10000 : 2000) /* regions; fewer where addresses are scarce */

START_TEST(ten_thousand_regions_take_no_more_than_the_usual_descriptors)
{
	struct rlimit limit = {MOST_DESCRIPTORS, MOST_DESCRIPTORS};
	struct vpager_region **region = calloc(TEN_THOUSAND, sizeof(struct vpager_region *));
	size_t page = page_size();
	unsigned char *bytes = malloc(3 * page);
	struct vpager_store *store;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	pattern_fill(bytes, 0, 3 * page);
	OK(vpager_store_memory(&store, bytes, 3 * page));
	for (size_t i = 0; i < TEN_THOUSAND; i++)
		region[i] = REGION(.store = store, .length = 3 * page, .engine = engines[_i]);
	for (size_t i = 0; i < TEN_THOUSAND; i++) {
		SURE(base_of(region[i])[page + i % page] == pattern(page + i % page), "region %zu", i);
		base_of(region[i])[2 * page] = (unsigned char)i;
	}
	ck_assert_int_lt(descriptors(), 60);
	for (size_t i = 0; i < TEN_THOUSAND; i++)
		SURE(base_of(region[i])[2 * page] == (unsigned char)i && base_of(region[i])[0] == pattern(0), "region %zu", i);
	for (size_t i = 0; i < TEN_THOUSAND; i++)
		SURE(vpager_region_destroy(region[i], 0) == 0, "region %zu", i);
	vpager_store_unref(store);
	free(bytes);
	free(region);
}
END_TEST

/* 16 TiB; on a 32-bit CPU, and where an emulator keeps a record of each page, 1 GiB.  Where the CPU has no such addresses it is
 * what there are. */
static struct vpager_region *huge_region(enum vpager_engine engine, size_t page_bytes)
{
	size_t length = sizeof(size_t) > 4 && !skip_emulated() ? (size_t)(UINT64_C(1) << 44) : (size_t)1 << 30;
	struct vpager_region *region = NULL;
	int err;

	while ((err = TRY_REGION(&region, .length = length, .engine = engine, .page_bytes = page_bytes)) == -ENOMEM) {
		printf("no addresses for a region of %zu GiB here\n", length >> 30);
		length /= 2;
	}
	OK(err);
	return region;
}

#define TOUCHED 2000

static void write_scattered(struct vpager_region *region, struct dice dice)
{
	for (int i = 0; i < TOUCHED; i++) {
		size_t at = roll(&dice, vpager_region_length(region));

		base_of(region)[at] = (unsigned char)(at | 1);
	}
}

static void check_scattered(struct vpager_region *region, struct dice dice)
{
	for (int i = 0; i < TOUCHED; i++) {
		size_t at = roll(&dice, vpager_region_length(region));

		SURE(base_of(region)[at] == (unsigned char)(at | 1), "byte %zu", at);
	}
}

static int count_runs(void *ctx, size_t off, size_t len)
{
	(void)off;
	(void)len;
	++*(size_t *)ctx;
	return 0;
}

static size_t written_runs(struct vpager_region *region, bool rearm)
{
	size_t runs = 0;

	OK(vpager_region_dirty(region, 0, vpager_region_length(region), rearm, count_runs, &runs));
	return runs;
}

START_TEST(a_region_of_sixteen_tebibytes_costs_what_is_touched)
{
	size_t page = page_size(), before = used_kib(), runs;
	struct dice dice = {16};
	double start = seconds();
	struct vpager_region *region = huge_region(engines[_i], 0);

	printf("%zu GiB took %.3f ms and %zu KiB\n", vpager_region_length(region) >> 30, (seconds() - start) * 1e3,
	       used_kib() - before);
	ck_assert_uint_le(used_kib() - before, 1024);
	write_scattered(region, dice);
	/* Each alone: its bytes, its word, and the tables that lead to it, to the word, and to its frame. */
	ck_assert_uint_le(used_kib() - before, 1024 + TOUCHED * 12 * (page >> 10));
	ck_assert_uint_le(stats_of(region).fill_pages, TOUCHED);
	check_scattered(region, dice);
	runs = written_runs(region, true);
	ck_assert_uint_ge(runs, TOUCHED - TOUCHED / 8); /* some are neighbours, or the same, where there are fewer pages */
	ck_assert_uint_eq(written_runs(region, false), 0);
	OK(vpager_region_arm(region, 0, vpager_region_length(region)));
	OK(flush_all(region));
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	check_scattered(region, dice);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_le(used_kib() - before, 4096);
}
END_TEST

START_TEST(a_huge_region_may_have_pages_of_any_size)
{
	size_t page = nth_page_size(_i);
	struct dice dice = {17};

	if (page == 0)
		return;
	for (int e = 0; e < 2; e++) {
		struct vpager_region *region = huge_region(engines[e], page);

		/* Where there are few pages, some of those that are touched are neighbours. */
		OK(vpager_region_advise(region, 0, vpager_region_length(region), VPAGER_ADVICE_RANDOM));
		for (int i = 0; i < 40; i++) {
			size_t at = roll(&dice, vpager_region_length(region) / page) * page;

			SURE((uintptr_t)(base_of(region) + at) % page == 0, "page %zu", at / page);
			base_of(region)[at + page - 1] = (unsigned char)i;
			SURE(base_of(region)[at] == 0 && base_of(region)[at + page - 1] == (unsigned char)i, "page %zu", at / page);
		}
		ck_assert_uint_le(stats_of(region).resident_bytes, 40 * page);
		OK(vpager_region_destroy(region, 0));
	}
}
END_TEST

START_TEST(a_region_beyond_the_address_space_is_an_error_that_leaves_nothing)
{
	struct vpager_region *region = NULL;
	size_t maps;
	int fds;

	OK(vpager_region_destroy(REGION(.length = 1, .engine = engines[_i]), 0));
	maps = own_mappings();
	fds = descriptors();
	for (unsigned int bit = 8 * sizeof(size_t) - 2; bit > 50; bit--)
		FAILS(TRY_REGION(&region, .length = (size_t)1 << bit, .engine = engines[_i]), ENOMEM);
	FAILS(TRY_REGION(&region, .length = SIZE_MAX, .engine = engines[_i]), sizeof(size_t) > 4 ? EOVERFLOW : EFBIG);
	ck_assert_uint_le(own_mappings(), maps);
	ck_assert_int_le(descriptors(), fds);
}
END_TEST

START_TEST(a_region_for_which_no_addresses_are_left_is_an_error_that_leaves_nothing)
{
	struct vpager_region *region[4];
	size_t maps = 0;
	int fds = 0, n = -1, err;

	if (sizeof(size_t) > 4) /* one alone is too large, in the test before */
		return;
	do {
		SURE(++n < 4, "4 GiB of regions");
		maps = mappings();
		fds = descriptors();
		err = TRY_REGION(&region[n], .length = (size_t)1 << 30, .engine = engines[_i]);
	} while (err == 0);
	FAILS(err, ENOMEM);
	ck_assert_int_ge(n, 1);
	ck_assert_uint_le(mappings(), maps);
	ck_assert_int_le(descriptors(), fds);
	while (n-- > 0)
		OK(vpager_region_destroy(region[n], 0));
}
END_TEST

/* As where memory may not be promised beyond what there is: the table, or what is private, is refused. */
static void huge_region_without_leave(void *arg)
{
	struct rlimit limit = {64 << 20, 64 << 20};
	struct vpager_region *region = NULL;
	int *resource = arg, err;

	if (*resource == RLIMIT_AS)
		limit.rlim_cur = limit.rlim_max = (rlim_t)1 << 30;
	if (setrlimit(*resource, &limit) != 0)
		_exit(2);
	err = TRY_REGION(&region, .length = (size_t)(UINT64_C(1) << 44), .engine = engines[0]);
	if (err != -ENOMEM)
		_exit(3);
	err = TRY_REGION(&region, .length = (size_t)(UINT64_C(1) << 44), .engine = VPAGER_ENGINE_MPROTECT);
	if (err != -ENOMEM)
		_exit(4);
	if (TRY_REGION(&region, .length = 100 * page_size()) != 0)
		_exit(5);
	base_of(region)[50 * page_size()] = 1;
	_exit(vpager_region_destroy(region, 0) == 0 ? 0 : 6);
}

START_TEST(a_huge_region_where_that_is_forbidden_is_enomem)
{
	int resource = _i ? RLIMIT_AS : RLIMIT_DATA;

	if (sizeof(size_t) > 4 && !skip_emulated()) /* whose RLIMIT_AS limits nothing */
		ck_assert_int_eq(end_of(huge_region_without_leave, &resource), 0);
}
END_TEST

/* ---- sixty-four threads ---- */

#define THREADS 64

struct one_of_many {
	struct vpager_region *region;
	size_t first, n;
	uint64_t seed;
	pthread_t thread;
};

static void *scan_part(void *arg)
{
	const struct one_of_many *it = arg;
	struct dice dice = {it->seed};
	size_t page = page_size();

	for (size_t i = 0; i < it->n; i++) {
		size_t p = it->seed % 2 ? it->first + i : it->first + roll(&dice, it->n), at = p * page + i % page;

		SURE(base_of(it->region)[at] == pattern(at) || base_of(it->region)[at] == 0, "byte %zu", at);
		base_of(it->region)[at] = 0;
	}
	return NULL;
}

/* i: bit 0 the context, bit 1 a limit, bit 2 the engine. */
START_TEST(sixty_four_threads_page_in_one_region)
{
	enum { EACH = 64 };
	size_t page = page_size(), pages = (size_t)THREADS * EACH;
	struct watched w = {.length = pages * page, .context = _i & 1 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region =
	    REGION_OVER(&w, .engine = engines[_i / 4], .resident_limit_bytes = _i & 2 ? 16 * THREADS * page : 0);
	struct one_of_many *each = calloc(THREADS, sizeof *each);

	for (size_t i = 0; i < THREADS; i++) {
		each[i] = (struct one_of_many){region, i * EACH, EACH, i, 0};
		ck_assert_int_eq(pthread_create(&each[i].thread, NULL, scan_part, &each[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(each[i].thread, NULL);
	if (!(_i & 2))
		ck_assert_uint_le(stats_of(region).fill_pages, pages); /* no page twice */
	OK(vpager_region_destroy(region, 0));
	for (size_t i = 1; i < THREADS; i += 2) /* those that went in order: one byte of each page */
		for (size_t k = 0; k < EACH; k++)
			SURE(w.bytes[(i * EACH + k) * page + k % page] == 0, "page %zu of thread %zu", k, i);
	free(each);
}
END_TEST

static Suite *scale_suite(void)
{
	Suite *suite = suite_create("scale");
	TCase *objects = tcase_create("objects"), *regions = tcase_create("regions");

	tcase_add_test(objects, a_hundred_thousand_objects_are_found_and_nothing_else);
	tcase_add_test(objects, an_object_costs_the_same_whatever_its_size);
	tcase_add_test(objects, a_found_object_is_alive_while_others_come_and_go);
	tcase_set_timeout(objects, 60);
	suite_add_tcase(suite, objects);

	tcase_add_test(regions, two_thousand_regions_leave_nothing_behind);
	tcase_add_test(regions, regions_come_and_go_in_many_threads_while_others_fault);
	tcase_add_loop_test(regions, ten_thousand_regions_take_no_more_than_the_usual_descriptors, 0, 2);
	tcase_add_loop_test(regions, a_region_of_sixteen_tebibytes_costs_what_is_touched, 0, 2);
	tcase_add_loop_test(regions, a_huge_region_may_have_pages_of_any_size, 0, PAGE_SIZES);
	tcase_add_loop_test(regions, a_region_beyond_the_address_space_is_an_error_that_leaves_nothing, 0, 2);
	tcase_add_loop_test(regions, a_region_for_which_no_addresses_are_left_is_an_error_that_leaves_nothing, 0, 2);
	tcase_add_loop_test(regions, a_huge_region_where_that_is_forbidden_is_enomem, 0, 2);
	tcase_add_loop_test(regions, sixty_four_threads_page_in_one_region, 0, 8);
	tcase_set_timeout(regions, 60);
	suite_add_tcase(suite, regions);
	return suite;
}

int main(void)
{
	return run_suite(scale_suite());
}
