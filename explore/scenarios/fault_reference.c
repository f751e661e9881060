/* SPDX-License-Identifier: MIT */
/*
 * fault_reference.c - the fault that pulls a page over stands in its own way (FACTS E9).
 *
 * History. Who faults on a page of a cache finds it with a reference; a migration that accounts for
 * the cache's and its own only sees one too many, and gives up, each time (Lee Schermerhorn's mode
 * FAULT expects one more; what was merged later drops the fault's reference first).
 */
#include "explore/scenarios/scenarios.h"

static void
check(void *state)
{
	const struct gw_two_nodes *t = state;

	gw_explore_check(t->err[1] == 0);
	gw_explore_check(t->value[1] == GW_TWO_NODES_VALUE);
	gw_explore_check(gw_small_pfn(t->mm[1], t->addr[1]) >= GW_SMALL_FRAMES / 2);
}

const struct gw_explore_scenario gw_scenario_fault_extra_reference = {
	.name = "fault-extra-reference",
	.row = "E9",
	.without = GW_WITHOUT(GW_FIX_FAULT_EXTRA_REFERENCE),
	.story = "a fault holds a reference to the page that it pulls over to its node, and the "
		 "migration fails",
	.state_size = sizeof(struct gw_two_nodes),
	.setup = gw_two_nodes_setup,
	.tasks = {{.name = "far reader", .run = gw_two_nodes_read_far, .cpu = 1}},
	.check = check,
	.teardown = gw_two_nodes_teardown,
	.describe = gw_two_nodes_describe,
};
