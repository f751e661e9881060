/* SPDX-License-Identifier: MIT */
/*
 * anon_vma_refcount.c - an anon_vma dies while a migration is on its way (FACTS R2, D2).
 *
 * History. A page under migration is mapped nowhere, so nothing keeps its anon_vma: the owner
 * unmaps, the last link goes, and the walk that would map the page again runs over freed memory
 * (Mel Gorman, 2010: migration holds a reference on the anon_vma from before the unmapping on).
 */
#include "explore/scenarios/scenarios.h"

static void
check(void *state)
{
	const struct gw_single *s = state;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_mm_pages(s->mm) == 0);
}

const struct gw_explore_scenario gw_scenario_anon_vma_refcount = {
	.name = "anon-vma-refcount",
	.row = "R2",
	.without = GW_WITHOUT(GW_FIX_ANON_VMA_REFCOUNT),
	.story = "the owner of a page under migration unmaps it, and its anon_vma is freed before "
		 "the migration walks it again",
	.state_size = sizeof(struct gw_single),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "owner", .run = gw_single_unmap, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
