/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_orphan.c - migration of file pages with private data, of orphans, and of pages that
 * are truncated meanwhile (FACTS 1.1 rows A1 and A11, 1.6, 2.3).
 */
#include "test.h"

#include <errno.h>

#include "cached_fixture.h"

struct data {
	struct gw_private private;
	gw_pfn_t page;
	bool lets_go;
	unsigned asked;
};

static bool
release(struct gw_private *private, struct gw_machine *m, gw_pfn_t page)
{
	struct data *data = (struct data *)private;

	assert_true(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED);
	assert_int_equal(data->page, page);
	data->asked++;
	if (data->lets_go)
		data->page = GW_PFN_NONE;
	return data->lets_go;
}

static void
moved(struct gw_private *private, struct gw_machine *m, gw_pfn_t dst)
{
	struct data *data = (struct data *)private;

	assert_true(gw_page_flags(gw_page(m, dst)) & GW_PG_LOCKED);
	data->page = dst;
}

static void
hang_on(struct mover *mv, struct data *data, gw_pfn_t page)
{
	gw_get_page(mv->m, page);
	gw_page_lock(mv->m, page);
	data->page = page;
	assert_int_equal(gw_page_set_private(mv->m, page, &data->private), 0);
	gw_page_unlock(mv->m, page);
	gw_put_page(mv->m, page);
}

/* FACTS 1.6, 2.3: private data goes along with its reference, and is told. */
static void
private_data_goes_along(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct data data = {.private = {release, moved}};
	gw_pfn_t old = cached_page(mv), new;

	hang_on(mv, &data, old);
	assert_int_equal(refs(mv, old), 2);
	new = move(mv, old);
	assert_int_equal(data.page, new);
	assert_int_equal(data.asked, 0);
	assert_int_equal(refs(mv, new), 2);
	assert_true(flags(mv, new) & GW_PG_PRIVATE);
	assert_in_cache(mv, new);
	data.lets_go = true;
	close_file(file);
}

/* Data that cannot be told, and data of a store that cannot migrate, is released; if it does not
 * let go, the page stays. */
static void
private_data_is_released(void **state)
{
	struct mover *mv = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct file *file = file_of(mv, i ? without_migrate() : store_ops, 0);
		struct data data = {.private = {release, i ? moved : NULL}};
		gw_pfn_t page = cached_page(mv);

		hang_on(mv, &data, page);
		assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
		assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 1);
		assert_int_equal(mv->why, -EAGAIN);
		assert_int_equal(data.asked, 10);
		assert_true(mv->clean_at_put);
		put_back(mv);
		assert_int_equal(refs(mv, page), 2);
		data.lets_go = true;
		page = move(mv, page);
		assert_int_equal(data.page, GW_PFN_NONE);
		assert_int_equal(refs(mv, page), 1);
		assert_in_cache(mv, page);
		close_file(file);
	}
}

/* A11: a page that truncation left to its private data is isolated; the data is asked to go, the
 * round ends with -EAGAIN, the next one finds a page that nobody has: freed, with no new page. */
static void
orphan_is_freed(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);
	struct data data = {.private = {release, moved}};
	gw_pfn_t page = cached_page(mv);

	hang_on(mv, &data, page);
	assert_int_equal(gw_mapping_truncate(mv->file, SEVEN), 0);
	assert_false(is_free(mv, page));
	assert_null(gw_ptr_load_relaxed(&gw_page(mv->m, page)->owner));
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 1);
	assert_int_equal(mv->why, -EAGAIN);
	assert_int_equal(data.asked, 1 + 10);
	assert_int_equal(mv->gets, 0);
	put_back(mv);
	assert_int_equal(refs(mv, page), 1);
	data.lets_go = true;
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
	assert_int_equal(mv->stats.passes, 2);
	assert_int_equal(mv->stats.succeeded, 1);
	assert_int_equal(mv->gets, 0);
	assert_true(is_free(mv, page));
	close_file(file);
}

/* A1: a page that is truncated while it is isolated has been given up: a success, without a copy;
 * and so it is when put back. */
static void
truncated_page_is_given_up(void **state)
{
	struct mover *mv = *state;
	struct file *file = file_of(mv, store_ops, 0);

	for (unsigned i = 0; i < 2; i++) {
		gw_pfn_t page = cached_page(mv);

		assert_int_equal(try_isolate(mv, page, GW_MIGRATE_ASYNC), 0);
		assert_int_equal(gw_mapping_truncate(mv->file, SEVEN), 0);
		assert_int_equal(refs(mv, page), 1);
		if (i == 0) {
			assert_int_equal(migrate(mv, GW_MIGRATE_ASYNC), 0);
			assert_int_equal(mv->stats.succeeded, 1);
			assert_int_equal(mv->gets, 0);
		} else {
			put_back(mv);
		}
		assert_true(is_free(mv, page));
		assert_int_equal(gw_mapping_truncate(mv->file, STORE_PAGES), 0);
	}
	close_file(file);
}

#define T(f) cmocka_unit_test_setup_teardown(f, mover_setup, mover_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(private_data_goes_along),
		T(private_data_is_released),
		T(orphan_is_freed),
		T(truncated_page_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
