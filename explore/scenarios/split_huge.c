/* SPDX-License-Identifier: MIT */
/*
 * split_huge.c - a huge page that one entry maps is split while others do what they do with it
 * (FACTS 1.2, B6, B7).
 *
 * None of these is about a fix. As in split_against.c, but here the entry of the second level
 * becomes a table under the feet of those who have just read it.
 */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario gw_scenario_split_huge_twice = {
	.name = "split-huge-twice",
	.row = "B3, B4",
	.story = "two tasks split one huge page, and both make a table of its entry",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "other splitter", .run = gw_large_split_too, .cpu = 1}},
	.check = gw_large_check_twice,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_pin = {
	.name = "split-huge-pin",
	.row = "B3, B8",
	.story = "a huge page is split whose references were counted before somebody pinned it",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "pinner", .run = gw_large_pin, .cpu = 1}},
	.check = gw_large_check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_fork = {
	.name = "split-huge-fork",
	.row = "B6, B13",
	.story = "a fork copies a huge entry that becomes a table, or a table that was one",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "parent", .run = gw_large_fork, .cpu = 1}},
	.check = gw_large_check_fork,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_exit = {
	.name = "split-huge-exit",
	.row = "B6, B15",
	.story = "an address space goes while its huge entry becomes a table, and a table is left",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "exiter", .run = gw_large_exit, .cpu = 1}},
	.check = gw_large_check_exit,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_fault = {
	.name = "split-huge-fault",
	.row = "B6, B13",
	.story = "a program writes to a huge page while it is split, and the write is lost",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "writer", .run = gw_large_write, .cpu = 1}},
	.check = gw_large_check_write,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_unmap = {
	.name = "split-huge-unmap",
	.row = "B6",
	.story = "a frame of a huge page is unmapped while the page is split",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "unmapper", .run = gw_large_unmap, .cpu = 1}},
	.check = gw_large_check_unmap,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_migrate = {
	.name = "split-huge-migrate",
	.row = "B3, B6",
	.story = "a huge page is split while it moves, or moves while it is split",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "migrator", .run = gw_large_migrate, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_collapse = {
	.name = "split-huge-collapse",
	.row = "B4",
	.story = "a huge page is split while its range is collapsed",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "collapser", .run = gw_large_collapse, .cpu = 1}},
	.check = gw_large_check_moved,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_mremap = {
	.name = "split-huge-mremap",
	.row = "R9, B6",
	.story = "a huge entry moves while its page is split, as an entry or as a table, and some "
		 "piece is not found",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "mover", .run = gw_large_move, .cpu = 1}},
	.check = gw_large_check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};

const struct gw_explore_scenario gw_scenario_split_huge_reclaim = {
	.name = "split-huge-reclaim",
	.row = "B3, B6",
	.story = "a huge page is split while reclaim, which wants its frames, splits it, too",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup_huge_swap,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "reclaimer", .run = gw_large_reclaim, .cpu = 1}},
	.check = gw_large_check_moved,
	.describe = gw_large_describe,
	.grows = true,
};
