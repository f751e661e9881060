/* SPDX-License-Identifier: MIT */
/*
 * test_explore_scenarios.c - the scenarios of the library: clean with all fixes, and each fix that
 * one names is missed when it is left out.
 */
#include "test.h"

#include "explore_fixture.h"
#include "godwit/explore.h"

/* Whatever scenario, with all fixes nothing is found; how far it was looked is printed. */
static void
test_all_are_clean(void **state)
{
	(void)state;
	for (size_t i = 0; gw_explore_scenarios[i]; i++) {
		struct gw_explore_options options = {.max_seconds = 3};
		struct gw_explore_result result;

		assert_int_equal(gw_explore_run(gw_explore_scenarios[i], &options, &result), 0);
		gw_explore_report(gw_explore_scenarios[i], &result, 100, print_line, NULL);
		assert_int_equal(result.kind, GW_EXPLORE_NOTHING);
		gw_explore_result_free(&result);
	}
}

/* What godwit check does: one search, then the other. */
static void
look_without(const struct gw_explore_scenario *scenario, enum gw_fix fix,
	struct gw_explore_result *result)
{
	struct gw_explore_options options = {.without = GW_WITHOUT(fix), .max_seconds = 5};

	assert_int_equal(gw_explore_run(scenario, &options, result), 0);
	if (result->kind != GW_EXPLORE_NOTHING)
		return;
	gw_explore_result_free(result);
	options.search = GW_EXPLORE_PREEMPT;
	options.max_seconds = 30; /* other tests want the CPUs as well */
	assert_int_equal(gw_explore_run(scenario, &options, result), 0);
}

static void
found_without(const struct gw_explore_scenario *scenario, enum gw_fix fix)
{
	struct gw_explore_result result;

	look_without(scenario, fix, &result);
	print_message("# %s without %s: %s: run %llu, %.2f s, %zu steps, %s\n", scenario->name,
		gw_fixes[fix].name, gw_explore_kind_name(result.kind),
		(unsigned long long)result.runs_to_find, result.seconds_to_find, result.n_trace,
		result.schedule ? result.schedule : "-");
	assert_int_not_equal(result.kind, GW_EXPLORE_NOTHING);
	gw_explore_result_free(&result);
}

/* Without a fix its race is found within ten seconds, in a build without sanitizers: these end the
 * program where the engine computes with freed memory. */
static void
test_fixes_are_missed(void **state)
{
	(void)state;
#ifdef GW_SANITIZED
	skip();
#endif
	for (size_t i = 0; gw_explore_scenarios[i]; i++)
		for (unsigned fix = 0; fix < GW_FIX_NR; fix++)
			if (gw_explore_scenarios[i]->without & GW_WITHOUT(fix))
				found_without(gw_explore_scenarios[i], (enum gw_fix)fix);
}

/* A finding's schedule, run again, finds the same. */
static void
test_schedules_replay(void **state)
{
	const struct gw_explore_scenario *scenario = gw_explore_scenarios[0];
	struct gw_explore_options options = {.without = scenario->without};
	struct gw_explore_result found, again;

	(void)state;
	assert_int_equal(gw_explore_run(scenario, &options, &found), 0);
	options.schedule = found.schedule;
	assert_int_equal(gw_explore_run(scenario, &options, &again), 0);
	assert_int_equal(again.kind, found.kind);
	assert_string_equal(again.message, found.message);
	assert_int_equal(again.extent, GW_EXPLORE_REPLAYED);
	gw_explore_result_free(&found);
	gw_explore_result_free(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_clean),
		cmocka_unit_test(test_fixes_are_missed),
		cmocka_unit_test(test_schedules_replay),
	};

	return cmocka_run_group_tests_name("explore_scenarios", tests, NULL, NULL);
}
