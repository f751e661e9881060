/* SPDX-License-Identifier: MIT */
/*
 * split_pin.c - somebody takes a reference to a large page while it is split (FACTS B3, B8).
 *
 * History. Kirill Shutemov's split (2015) counts a page's references before it touches an entry, to
 * save work, and again when migration entries have made its counts stable: who has got the page in
 * between is seen then, and the split is undone.
 */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario gw_scenario_split_recheck = {
	.name = "split-recheck",
	.row = "B3, B8",
	.without = GW_WITHOUT(GW_FIX_SPLIT_RECHECK),
	.story = "a large page is split whose references were counted before somebody pinned it",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "pinner", .run = gw_large_pin, .cpu = 1}},
	.check = gw_large_check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
