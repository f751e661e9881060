/* SPDX-License-Identifier: MIT */
/*
 * split_freeze.c - an entry goes while its page is split (FACTS B6).
 *
 * History. How many references and maps each frame of a large page will have is known only as long
 * as nobody maps or unmaps one. Once a lock of all who might kept them away; Kirill Shutemov's
 * split (2015) makes their entries migration entries, on which they wait, or which count nothing.
 */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario gw_scenario_split_freeze = {
	.name = "split-freeze",
	.row = "B6",
	.without = GW_WITHOUT(GW_FIX_SPLIT_FREEZE),
	.story = "a frame is unmapped while its page is split, and counts as mapped or loses a "
		 "reference that it never had",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "unmapper", .run = gw_large_unmap, .cpu = 1}},
	.check = gw_large_check_unmap,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
