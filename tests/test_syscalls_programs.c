/* SPDX-License-Identifier: MIT
 *
 * Libraries that make the system calls for their callers, with managed memory: stdio, zlib, SQLite. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <fcntl.h>
#include "managed.h"
#ifdef HAVE_SQLITE3
#include <sqlite3.h>
#endif
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

size_t __fread_chk(void *at, size_t room, size_t size, size_t n, FILE *stream);

/* A path of its own, in $TMPDIR; *made: the pattern up to length is in it. */
static char *path_with(size_t length)
{
	const char *directory = getenv("TMPDIR");
	static char path[4096];
	unsigned char *bytes = malloc(length + 1);
	int fd;

	snprintf(path, sizeof path, "%s/vpager-test-XXXXXX", directory && *directory ? directory : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	pattern_fill(bytes, 0, length);
	ck_assert_int_eq(write(fd, bytes, length), length);
	free(bytes);
	close(fd);
	return path;
}

/* ---- stdio ---- */

START_TEST(fread_and_fwrite_move_blocks_of_hidden_pages)
{
	struct managed *m = managed_with(0);
	char *path = path_with(m->length);
	unsigned char *own = malloc(m->length);
	size_t len = 40 * m->page + 11;
	FILE *file = fopen(path, "r+");

	ck_assert_uint_eq(fread(hidden(m) + 5, 1, len, file), len);
	sure_pattern(m->at + 5, 0, len);
	rewind(file);
	ck_assert_uint_eq(__fread_chk(hidden(m), m->length, m->page, 20, file), 20);
	sure_pattern(m->at, 0, 20 * m->page);
	rewind(file);
	setvbuf(file, NULL, _IONBF, 0);
	ck_assert_uint_eq(fread_unlocked(hidden(m) + m->page - 50, 10, 10, file), 10);
	sure_pattern(m->at + m->page - 50, 0, 100);
	fclose(file);

	pattern_fill(m->at, 99, m->length);
	file = fopen(path, "w+");
	ck_assert_uint_eq(fwrite(hidden(m) + 7, 1, len, file), len);
	ck_assert_int_eq(fflush(file), 0);
	rewind(file);
	ck_assert_uint_eq(fread(own, 1, len, file), len);
	sure_pattern(own, 99 + 7, len);
	fclose(file);
	unlink(path);
	free(own);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(fread_and_fwrite_through_a_small_limit_move_all)
{
	struct managed *m = managed_with(16);
	char *path = path_with(m->length);
	FILE *file = fopen(path, "r"), *copy = tmpfile();
	size_t items = m->length / 48 - 1;
	unsigned char *own = malloc(m->length);

	ck_assert_uint_eq(fread(hidden(m), 48, items, file), items);
	sure_pattern(m->at, 0, items * 48);
	ck_assert_uint_eq(fwrite(hidden(m), 48, items, copy), items);
	rewind(copy);
	ck_assert_uint_eq(fread(own, 48, items, copy), items);
	sure_pattern(own, 0, items * 48);
	ck_assert_uint_eq(fread(hidden(m), 48, items, file), (m->length - items * 48) / 48); /* to its end */
	ck_assert(feof(file) && !ferror(file));
	fclose(file);
	fclose(copy);
	unlink(path);
	free(own);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(fread_into_what_cannot_be_brought_in_is_an_error_of_the_stream)
{
	struct managed *m = managed_with(0);
	char *path = path_with(m->length);
	FILE *file = fopen(path, "r");

	m->w.read_result = -EIO;
	ck_assert_uint_eq(fread(hidden(m), 1, m->length, file), 0);
	ck_assert_int_eq(errno, EIO);
	ck_assert(ferror(file) && !feof(file));
	m->w.read_result = 0;
	clearerr(file);
	ck_assert_uint_eq(fread(hidden(m), 1, m->length, file), m->length); /* nothing was lost */
	sure_pattern(m->at, 0, m->length);
	fclose(file);
	unlink(path);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(lines_go_in_and_out_of_hidden_pages)
{
	struct managed *m = managed_with(0);
	FILE *file = tmpfile();
	char *line = (char *)m->at + 3 * m->page - 7, *own = NULL;
	size_t size = 0, len = 9 * m->page;

	memset(line, 'x', len);
	line[len - 1] = '\n';
	line[len] = '\0';
	hidden(m);
	ck_assert_int_ge(fputs(line, file), 0);
	hidden(m);
	ck_assert_int_ge(fputs_unlocked(line, file), 0);
	rewind(file);
	ck_assert_int_eq(getline(&own, &size, file), len);
	ck_assert_mem_eq(own, line, len);
	memset(line, 0, len);
	hidden(m);
	ck_assert_ptr_eq(fgets(line, (int)(len + 1), file), line);
	ck_assert_mem_eq(own, line, len);
	rewind(file);
	char *managed_line = line;
	size_t room = len + 1;

	memset(line, 0, len);
	hidden(m);
	ck_assert_int_eq(getline(&managed_line, &room, file), len); /* large enough as it is */
	ck_assert_ptr_eq(managed_line, line);
	ck_assert_mem_eq(own, line, len);
	free(own);
	fclose(file);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(a_streams_buffer_does_not_stay_in_managed_memory)
{
	struct managed *m = managed_with(0);
	char *path = path_with(m->length);
	FILE *file = fopen(path, "r");
	unsigned char own[100];

	ck_assert_int_eq(setvbuf(file, (char *)m->at, _IOFBF, m->page), 0);
	for (size_t i = 0; i < 3 * m->page / sizeof own; i++) {
		hidden(m);
		ck_assert_uint_eq(fread(own, 1, sizeof own, file), sizeof own);
		sure_pattern(own, i * sizeof own, sizeof own);
	}
	fclose(file);
	file = fopen(path, "r");
	setbuf(file, (char *)hidden(m));
	ck_assert_int_eq(fgetc(file), pattern(0));
	fclose(file);
	unlink(path);
	hidden(m);
	managed_end(m);
}
END_TEST

/* ---- zlib ---- */

#ifdef HAVE_ZLIB
START_TEST(zlib_reads_and_writes_hidden_pages)
{
	struct managed *m = managed_with(0);
	char *path = path_with(m->length); /* not compressed: gzread then reads straight into the caller's memory */
	gzFile file = gzopen(path, "rb");

	gzbuffer(file, 128); /* so that it does */
	ck_assert_int_eq(gzread(file, hidden(m), (unsigned)m->length), m->length);
	sure_pattern(m->at, 0, m->length);
	gzclose(file);

	file = gzopen(path, "wb0"); /* stored */
	ck_assert_int_eq(gzwrite(file, hidden(m), (unsigned)m->length), m->length);
	ck_assert_int_eq(gzclose(file), Z_OK);
	file = gzopen(path, "wbT"); /* plain: gzwrite hands the caller's memory on */
	gzbuffer(file, 128);
	ck_assert_int_eq(gzwrite(file, hidden(m), (unsigned)m->length), m->length);
	ck_assert_int_eq(gzclose(file), Z_OK);
	memset(m->at, 0, m->length);
	file = gzopen(path, "rb");
	ck_assert_int_eq(gzread(file, hidden(m), (unsigned)m->length), m->length);
	sure_pattern(m->at, 0, m->length);
	gzclose(file);
	unlink(path);
	hidden(m);
	managed_end(m);
}
END_TEST
#endif

/* ---- SQLite, whose page cache is in a region ---- */

#ifdef HAVE_SQLITE3
#define CACHED 64 /* pages */

static int evict_in_a_query(void *region, int n, char **value, char **name)
{
	(void)n;
	(void)value;
	(void)name;
	(void)vpager_region_evict(region, 0, vpager_region_length(region));
	return 0;
}

static void query(sqlite3 *db, const char *sql, struct vpager_region *region)
{
	char *message = NULL;
	int result = sqlite3_exec(db, sql, region ? evict_in_a_query : NULL, region, &message);

	SURE(result == SQLITE_OK, "%s: %s", sql, message ? message : "?");
}

static int sum_of(sqlite3 *db, struct vpager_region *region)
{
	sqlite3_stmt *statement;
	int sum;

	if (region)
		(void)evict_all(region);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "select sum(length(body)) from t where id % 3 = 1", -1, &statement, NULL),
			 SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
	sum = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return sum;
}

START_TEST(sqlite_reads_a_database_into_managed_pages)
{
	struct vpager_region *region;
	char *path = path_with(0);
	int header, page, used, most, reads;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_PCACHE_HDRSZ, &header), SQLITE_OK);
	page = 4096 + ((header + 7) & ~7);
	region = REGION(.length = (size_t)CACHED * (size_t)page);
	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_PAGECACHE, vpager_region_base(region), page, CACHED), SQLITE_OK);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	query(db, "pragma page_size = 4096; pragma cache_size = 40; create table t(id integer primary key, body text)",
	      NULL);
	query(db,
	      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)"
	      " insert into t select i, hex(randomblob(i % 400)) from n",
	      region);
	reads = sum_of(db, NULL);
	ck_assert_int_gt(reads, 0);
	sqlite3_close(db);

	/* again from the file, with the pages hidden while it is at work */
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	query(db, "pragma cache_size = 40", NULL);
	for (int round = 0; round < 3; round++)
		ck_assert_int_eq(sum_of(db, region), reads);
	query(db, "select id, body from t where id % 50 = 0", region); /* hides all after each row */
	query(db, "update t set body = body || 'x' where id % 7 = 0", region);
	query(db, "pragma integrity_check", region);
	ck_assert_int_gt(sum_of(db, region), reads);
	sqlite3_status(SQLITE_STATUS_PAGECACHE_USED, &used, &most, 0);
	ck_assert_int_gt(most, 30); /* the pages were in the region */
	sqlite3_close(db);
	sqlite3_shutdown();
	ck_assert_uint_gt(stats_of(region).evictions, 100);
	OK(vpager_region_destroy(region, 0));
	unlink(path);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("syscalls_programs");
	TCase *tests = tcase_create("syscalls_programs");

	tcase_add_test(tests, fread_and_fwrite_move_blocks_of_hidden_pages);
	tcase_add_test(tests, fread_and_fwrite_through_a_small_limit_move_all);
	tcase_add_test(tests, fread_into_what_cannot_be_brought_in_is_an_error_of_the_stream);
	tcase_add_test(tests, lines_go_in_and_out_of_hidden_pages);
	tcase_add_test(tests, a_streams_buffer_does_not_stay_in_managed_memory);
#ifdef HAVE_ZLIB
	tcase_add_test(tests, zlib_reads_and_writes_hidden_pages);
#endif
#ifdef HAVE_SQLITE3
	tcase_add_test(tests, sqlite_reads_a_database_into_managed_pages);
#endif
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
