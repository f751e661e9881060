/* SPDX-License-Identifier: MIT */
/* explore_fixture.c - see explore_fixture.h. */
#include "test.h"

#include <limits.h>
#include <string.h>

#include "explore_fixture.h"

void
add_state(void *ctx, const void *state)
{
	struct states *s = ctx;
	uint64_t value;

	memcpy(&value, state, sizeof(value));
	for (size_t i = 0; i < s->n; i++)
		if (s->seen[i] == value)
			return;
	assert_true(s->n < MOST_STATES);
	s->seen[s->n++] = value;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void
sort_states(struct states *states)
{
	qsort(states->seen, states->n, sizeof(states->seen[0]), compare);
}

void
print_line(void *ctx, const char *line)
{
	(void)ctx;
	print_message("# %s\n", line);
}

struct gw_explore_result
search(const struct gw_explore_scenario *scenario, enum gw_explore_search how,
	struct states *states)
{
	struct gw_explore_options options = {
		.search = how,
		.max_preemptions = UINT_MAX,
		.keep_going = true,
		.no_minimise = true,
		.outcome = states ? add_state : NULL,
		.ctx = states,
	};
	struct gw_explore_result result;

	if (states)
		states->n = 0;
	assert_int_equal(gw_explore_run(scenario, &options, &result), 0);
	if (states)
		sort_states(states);
	return result;
}

void
assert_reduction_is_sound(const struct gw_explore_scenario *scenario, size_t n_states)
{
	static struct states brute, reduced, preempted;
	struct gw_explore_result b = search(scenario, GW_EXPLORE_BRUTE, &brute);
	struct gw_explore_result r = search(scenario, GW_EXPLORE_DPOR, &reduced);
	struct gw_explore_result p = search(scenario, GW_EXPLORE_PREEMPT, &preempted);

	print_message("# %s: %zu final states; runs: %llu brute force, %llu reduced (%llu cut), "
		      "%llu by preemptions\n",
		scenario->name, brute.n, (unsigned long long)b.runs, (unsigned long long)r.runs,
		(unsigned long long)r.cut, (unsigned long long)p.runs);
	assert_int_equal(b.extent, GW_EXPLORE_EXHAUSTED);
	assert_int_equal(r.extent, GW_EXPLORE_EXHAUSTED);
	assert_int_equal(p.extent, GW_EXPLORE_EXHAUSTED);
	assert_int_equal(brute.n, n_states);
	assert_int_equal(reduced.n, brute.n);
	assert_memory_equal(reduced.seen, brute.seen, brute.n * sizeof(brute.seen[0]));
	assert_int_equal(preempted.n, brute.n);
	assert_memory_equal(preempted.seen, brute.seen, brute.n * sizeof(brute.seen[0]));
	assert_true(r.runs <= b.runs);
	assert_int_equal(b.findings > 0, r.findings > 0);
	assert_int_equal(b.kind, r.kind);
	gw_explore_result_free(&b);
	gw_explore_result_free(&r);
	gw_explore_result_free(&p);
}

void
assert_finds(const struct gw_explore_scenario *scenario, enum gw_explore_kind kind)
{
	const enum gw_explore_search searches[] = {
		GW_EXPLORE_DPOR, GW_EXPLORE_PREEMPT, GW_EXPLORE_PCT};

	for (unsigned i = 0; i < 3; i++) {
		struct gw_explore_options options = {.search = searches[i], .max_runs = 100000};
		struct gw_explore_result found, again;

		assert_int_equal(gw_explore_run(scenario, &options, &found), 0);
		if (found.kind != kind)
			gw_explore_report(scenario, &found, 100, print_line, NULL);
		assert_int_equal(found.kind, kind);
		assert_non_null(found.schedule);
		options.schedule = found.schedule;
		assert_int_equal(gw_explore_run(scenario, &options, &again), 0);
		assert_int_equal(again.kind, kind);
		assert_string_equal(again.message, found.message);
		assert_int_equal(again.n_trace, found.n_trace);
		gw_explore_result_free(&again);
		if (i == 0)
			gw_explore_report(scenario, &found, 100, print_line, NULL);
		gw_explore_result_free(&found);
	}
}

void
assert_clean(const struct gw_explore_scenario *scenario)
{
	struct gw_explore_result result;

	assert_int_equal(gw_explore_run(scenario, NULL, &result), 0);
	if (result.kind)
		gw_explore_report(scenario, &result, 100, print_line, NULL);
	assert_int_equal(result.kind, GW_EXPLORE_NOTHING);
	assert_int_equal(result.extent, GW_EXPLORE_EXHAUSTED);
	gw_explore_result_free(&result);
}
