/* SPDX-License-Identifier: MIT */
/*
 * test_defer.c - exponential deferral of compaction, per zone (FACTS 1.4 rows D19, D20).
 *
 * The off-by-one: the document skips 2^shift tries; today's kernel, and these tests, skip
 * 2^shift - 1 and run the next.
 */
#include "compact_fixture.h"

static struct world *
empty_world(void)
{
	struct world *w = world_create(64, 3, 4, 1, NULL);

	world_fill(w, 0, 64, '.');
	world_ready(w);
	return w;
}

static unsigned
tries_skipped(struct world *w, unsigned order)
{
	unsigned n = 0;

	while (gw_compact_deferred(w->m, 0, order)) {
		n++;
		assert_in_range(n, 1, 1000);
	}
	return n;
}

/* D19: 1, 3, 7, 15, 31, then always 63 tries are turned away after the n-th failure. */
static void
failures_defer_exponentially(void **state)
{
	static const unsigned skipped[] = {1, 3, 7, 15, 31, 63, 63, 63};
	struct world *w = empty_world();

	(void)state;
	assert_int_equal(tries_skipped(w, 4), 0); /* nothing failed yet */
	for (unsigned i = 0; i < 8; i++) {
		gw_compact_defer(w->m, 0, 4);
		assert_int_equal(tries_skipped(w, 4), skipped[i]);
	}
	world_destroy(w);
}

/* D19: once the limit is reached every further try runs, and the count does not run over it. */
static void
considered_saturates(void **state)
{
	struct world *w = empty_world();
	struct gw_zone_info info;

	(void)state;
	gw_compact_defer(w->m, 0, 4);
	assert_int_equal(tries_skipped(w, 4), 1);
	for (unsigned i = 0; i < 100; i++)
		assert_false(gw_compact_deferred(w->m, 0, 4));
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_considered, 2);
	world_destroy(w);
}

/* D20: success resets count and shift; without it only the failed order moves up. */
static void
success_resets(void **state)
{
	struct world *w = empty_world();
	struct gw_zone_info info;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		gw_compact_defer(w->m, 0, 4);
	gw_compact_defer_reset(w->m, 0, 4, false);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_shift, 3);
	assert_int_equal(info.order_failed, 5);
	gw_compact_defer_reset(w->m, 0, 4, true);
	assert_int_equal(gw_zone_info(w->m, 0, &info), 0);
	assert_int_equal(info.defer_shift, 0);
	assert_int_equal(info.defer_considered, 0);
	gw_compact_defer(w->m, 0, 4);
	assert_int_equal(tries_skipped(w, 4), 1);
	world_destroy(w);
}

/* D19 today: only orders at or above one that failed are put off. */
static void
smaller_orders_are_not_deferred(void **state)
{
	struct world *w = empty_world();

	(void)state;
	gw_compact_defer_reset(w->m, 0, 4, true); /* order 4 works: order_failed 5 */
	gw_compact_defer(w->m, 0, 3);
	gw_compact_defer(w->m, 0, 3);
	assert_false(gw_compact_deferred(w->m, 0, 2));
	assert_true(gw_compact_deferred(w->m, 0, 3));
	assert_true(gw_compact_deferred(w->m, 0, 4));
	world_destroy(w);
}

/* D19: "restarting" holds only at the longest deferral once all of it is over. */
static void
restarting_after_longest_deferral(void **state)
{
	struct world *w = empty_world();

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		gw_compact_defer(w->m, 0, 4);
	tries_skipped(w, 4);
	assert_false(gw_compact_restarting(w->m, 0, 4)); /* shift 5 */
	gw_compact_defer(w->m, 0, 4);
	assert_false(gw_compact_restarting(w->m, 0, 4)); /* shift 6, none considered */
	assert_int_equal(tries_skipped(w, 4), 63);
	assert_true(gw_compact_restarting(w->m, 0, 4));
	gw_compact_defer_reset(w->m, 0, 4, false);
	assert_false(gw_compact_restarting(w->m, 0, 4)); /* order 4 did not fail */
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_defer_exponentially),
		cmocka_unit_test(considered_saturates),
		cmocka_unit_test(success_resets),
		cmocka_unit_test(smaller_orders_are_not_deferred),
		cmocka_unit_test(restarting_after_longest_deferral),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
