/* SPDX-License-Identifier: MIT */
/*
 * test_storm.c - the storm, which looks for lost bytes, finds none.
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "machine/soft/storm.h"

#define NS_PER_MS UINT64_C(1000000)

struct watcher {
	unsigned calls;
	uint64_t ns; /* to go on for, and until every operation was done */
};

static const char *
missing_op(const struct gw_storm_report *report)
{
	for (unsigned i = 0; i < GW_STORM_OPS; i++)
		if (report->ops[i] == 0)
			return gw_storm_op_name((enum gw_storm_op)i);
	return NULL;
}

static bool
watch(void *ctx, const struct gw_storm_report *so_far)
{
	struct watcher *w = ctx;

	assert_string_equal(so_far->lost.text, "");
	w->calls++;
	return so_far->ns < w->ns || (w->ns && missing_op(so_far));
}

static void
storm(unsigned threads, uint64_t ms, gw_pfn_t n_frames)
{
	struct watcher w = {.ns = ms * NS_PER_MS};
	const struct gw_storm_config config = {
		.threads = threads,
		.ns = 20 * w.ns,
		.seed = test_seed(),
		.n_frames = n_frames,
		.progress = watch,
		.ctx = &w,
	};
	struct gw_storm_report report;
	struct gw_error err = {""};

	assert_int_equal(gw_storm_run(&config, &report, &err), 0);
	assert_string_equal(report.lost.text, "");
	assert_int_equal(report.tlb_findings, 0);
	assert_int_equal(report.machine_findings, 0);
	assert_int_equal(report.frames, report.frames_free);
	assert_true(w.calls > 0);
	assert_true(report.words > 0);
	if (missing_op(&report))
		fail_msg("no %s in this storm", missing_op(&report));
}

/* I5: programs lose no byte while their pages move; DESIGN 4: nothing is left. One thread: what
 * is wrong without any race. */
static void
one_thread(void **state)
{
	(void)state;
	storm(1, 2000, 0);
}

static void
three_threads(void **state)
{
	(void)state;
	storm(3, 6000, 0);
}

/* Little memory: the paths that end in -ENOMEM. */
static void
short_of_memory(void **state)
{
	(void)state;
	storm(3, 4000, 4096);
}

/* The caller may end it early. */
static void
ends_when_told(void **state)
{
	struct watcher w = {0};
	const struct gw_storm_config config = {
		.threads = 1, .ns = 3600000 * NS_PER_MS, .progress = watch, .ctx = &w};
	struct gw_storm_report report;

	(void)state;
	assert_int_equal(gw_storm_run(&config, &report, NULL), 0);
	assert_int_equal(w.calls, 1);
	assert_string_equal(report.lost.text, "");
}

/* Nonsense is one clear line. */
static void
bad_configs_are_refused(void **state)
{
	struct gw_storm_config config = {.threads = 0, .ns = NS_PER_MS};
	struct gw_storm_report report;
	struct gw_error err = {""};

	(void)state;
	assert_int_equal(gw_storm_run(&config, &report, &err), -EINVAL);
	assert_true(err.text[0]);
	config.threads = 1;
	config.n_frames = 100;
	err.text[0] = '\0';
	assert_int_equal(gw_storm_run(&config, &report, &err), -EINVAL);
	assert_non_null(strstr(err.text, "100 frames"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread),
		cmocka_unit_test(three_threads),
		cmocka_unit_test(short_of_memory),
		cmocka_unit_test(ends_when_told),
		cmocka_unit_test(bad_configs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
