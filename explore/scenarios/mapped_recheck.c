/* SPDX-License-Identifier: MIT */
/*
 * mapped_recheck.c - a page names an anon_vma that is freed (FACTS R1, D3).
 *
 * History. Between the isolation of a page and the look at its anon_vma its owner may exit: the
 * page, held by its isolation, still names an anon_vma that is no more, and migration locked what
 * is there now (Mel Gorman, 2010: inside the RCU section, ask whether the page is still mapped).
 */
#include "explore/scenarios/scenarios.h"

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_single_setup(state);

	if (!err)
		gw_putback_movable_pages(s->m, &s->list); /* the task isolates it */
	return err;
}

static void
isolate_and_migrate(void *state)
{
	struct gw_single *s = state;

	if (gw_small_isolate(s->m, s->pfn, &s->list) == 0)
		gw_single_migrate(state);
}

static void
check(void *state)
{
	const struct gw_single *s = state;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_mm_pages(s->mm) == 0);
}

const struct gw_explore_scenario gw_scenario_mapped_recheck = {
	.name = "mapped-recheck",
	.row = "R1",
	.without = GW_WITHOUT(GW_FIX_MAPPED_RECHECK),
	.story = "the owner of an isolated page unmaps it, and the migration takes the anon_vma "
		 "that "
		 "the page still names",
	.state_size = sizeof(struct gw_single),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = isolate_and_migrate},
		{.name = "owner", .run = gw_single_unmap, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
