/* SPDX-License-Identifier: MIT */
/*
 * refault.c - a fault goes on, after its wait, with the entry that it read before (FACTS R10).
 *
 * History. The fault that meets a migration entry waits for the page, and locks a page only long
 * after. Minchan Kim asked what it knows by then (2010). Nothing: the wait ends the fault, and
 * the access faults again, from scratch (Kamezawa Hiroyuki).
 */
#include "explore/scenarios/scenarios.h"

static void
check(void *state)
{
	const struct gw_single *s = state;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->value == 42);
	gw_explore_check(s->left == 0);
}

const struct gw_explore_scenario gw_scenario_refault = {
	.name = "refault",
	.row = "R10",
	.without = GW_WITHOUT(GW_FIX_REFAULT_FROM_SCRATCH),
	.story =
		"a fault has waited for a migration, and maps the page that the entry named before",
	.state_size = sizeof(struct gw_single),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
