/* SPDX-License-Identifier: MIT */
/*
 * split_soft_dirty.c - what a program has written is forgotten when its page is split (FACTS B13).
 *
 * History. Soft-dirty marks tell checkpointing programs what was written since their last look.
 * Kirill Shutemov's split of 2015 made new entries for the pieces without these marks, so their
 * bytes would have been missing from the next copy; what was merged keeps the marks.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static void
write_page(void *arg)
{
	struct gw_large *l = arg;

	l->err = gw_cpu_store(l->mm, l->addr, 1);
}

static void
check(void *arg)
{
	struct gw_large *l = arg;

	gw_explore_check(l->err == 0);
	for (unsigned i = 0; i < GW_LARGE_PARTS; i++)
		gw_explore_check(gw_small_entry(l->mm, gw_large_part(l, i)) & GW_PTE_SOFT_DIRTY);
	gw_large_check(arg);
}

const struct gw_explore_scenario gw_scenario_split_soft_dirty = {
	.name = "split-soft-dirty",
	.row = "B13",
	.without = GW_WITHOUT(GW_FIX_SPLIT_SOFT_DIRTY),
	.story = "a large page that was written is split, and its frames look as if they were not",
	.state_size = sizeof(struct gw_large),
	.setup = gw_large_setup,
	.tasks = {{.name = "splitter", .run = gw_large_split},
		{.name = "writer", .run = write_page, .cpu = 1}},
	.check = check,
	.teardown = gw_large_teardown,
	.describe = gw_large_describe,
};
