/* SPDX-License-Identifier: MIT */
/*
 * test_explore_scenarios.c - the scenarios of the library: clean with all fixes, and the race is
 * found without.
 */
#include "test.h"

#include <string.h>

#include "explore/scenarios/scenarios.h"
#include "explore_fixture.h"

/* Whatever scenario, with all fixes nothing is found. */
static void
test_all_are_clean(void **state)
{
	(void)state;
	for (size_t i = 0; gw_explore_scenarios[i]; i++) {
		struct gw_explore_options options = {.max_seconds = 20};
		struct gw_explore_result result;

		assert_int_equal(gw_explore_run(gw_explore_scenarios[i], &options, &result), 0);
		gw_explore_report(gw_explore_scenarios[i], &result, 100, print_line, NULL);
		assert_int_equal(result.kind, GW_EXPLORE_NOTHING);
		gw_explore_result_free(&result);
	}
}

/* C1: who waits with a reference makes the migration fail in all its passes, with one preemption.
 * The migration entry keeps the reader from the page, so the page is not lost either way. */
static void
test_put_and_wait(void **state)
{
	struct gw_explore_options options = {.without = GW_WITHOUT_PUT_AND_WAIT};
	struct gw_explore_result result;

	(void)state;
	assert_int_equal(gw_explore_run(&gw_scenario_put_and_wait, &options, &result), 0);
	assert_int_equal(result.kind, GW_EXPLORE_CHECK);
	assert_non_null(strstr(result.message, "left == 0"));
	assert_int_equal(result.preemptions, 1);
	print_message("# found in run %llu, after %.2f s, schedule %s\n",
		(unsigned long long)result.runs_to_find, result.seconds_to_find, result.schedule);
	gw_explore_result_free(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_clean),
		cmocka_unit_test(test_put_and_wait),
	};

	return cmocka_run_group_tests_name("explore_scenarios", tests, NULL, NULL);
}
