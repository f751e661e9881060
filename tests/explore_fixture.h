/* SPDX-License-Identifier: MIT */
/* explore_fixture.h - what tests of the explorer ask of a search. */
#ifndef GODWIT_EXPLORE_FIXTURE_H
#define GODWIT_EXPLORE_FIXTURE_H

#include "godwit/explore.h"

#define MOST_STATES 8192

struct states {
	uint64_t seen[MOST_STATES];
	size_t n;
};

/* options.outcome, with a struct states: the scenario's state begins with the number that tells
 * final states apart. */
void add_state(void *ctx, const void *state);
/* A report's lines, as comments. */
void print_line(void *ctx, const char *line);
/* Search to the end, whatever is found; the final states in order. states may be NULL. */
struct gw_explore_result search(const struct gw_explore_scenario *scenario,
	enum gw_explore_search how, struct states *states);
void sort_states(struct states *states);
/* Reduction, and preemptions without a bound, reach what brute force does, in fewer runs. */
void assert_reduction_is_sound(const struct gw_explore_scenario *scenario, size_t n_states);
/* All searches find it, and the schedule replays it. */
void assert_finds(const struct gw_explore_scenario *scenario, enum gw_explore_kind kind);
/* Nothing is found, in every interleaving. */
void assert_clean(const struct gw_explore_scenario *scenario);

#endif
