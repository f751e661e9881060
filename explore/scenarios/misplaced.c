/* SPDX-License-Identifier: MIT */
/*
 * misplaced.c - a page is pulled over from under somebody who has it mapped (FACTS E2).
 *
 * History. Lee Schermerhorn's migrate on fault (2012) asks what is cheap to know before it asks the
 * policy: a page that somebody maps has entries, which a move on a fault does not take away.
 * Two tasks of different nodes read one page of a file; to the second it is misplaced, but mapped.
 */
#include "explore/scenarios/scenarios.h"

static void
check(void *state)
{
	const struct gw_two_nodes *t = state;

	for (unsigned i = 0; i < 2; i++) {
		gw_explore_check(t->err[i] == 0);
		gw_explore_check(t->value[i] == GW_TWO_NODES_VALUE);
	}
	gw_explore_check(gw_small_pfn(t->mm[0], t->addr[0]) == gw_small_pfn(t->mm[1], t->addr[1]));
}

const struct gw_explore_scenario gw_scenario_misplaced_preconditions = {
	.name = "misplaced-preconditions",
	.row = "E2",
	.without = GW_WITHOUT(GW_FIX_MISPLACED_PRECONDITIONS),
	.story = "a fault pulls a page over to its node while another address space maps it",
	.state_size = sizeof(struct gw_two_nodes),
	.setup = gw_two_nodes_setup,
	.tasks = {{.name = "near reader", .run = gw_two_nodes_read_near},
		{.name = "far reader", .run = gw_two_nodes_read_far, .cpu = 1}},
	.check = check,
	.teardown = gw_two_nodes_teardown,
	.describe = gw_two_nodes_describe,
};
