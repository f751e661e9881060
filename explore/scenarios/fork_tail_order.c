/* SPDX-License-Identifier: MIT */
/*
 * fork_tail_order.c - a child's copy of a migration entry is left behind (FACTS R8).
 *
 * History. Fork copies migration entries like all others. If the walk that removes them has been to
 * the child's VMA, still empty, before it comes to the parent's, the child's copy dangles
 * (Andrea Arcangeli, 2010: a new VMA is linked behind those that its entries come from).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static void
check(void *state)
{
	struct gw_family *f = state;
	uint64_t value;

	gw_explore_check(f->err == 0);
	gw_explore_check(f->left == 0);
	gw_explore_check(gw_cpu_load(f->parent, f->addr, &value) == 0 && value == 42);
	gw_explore_check(gw_cpu_load(f->child, f->addr, &value) == 0 && value == 42);
}

const struct gw_explore_scenario gw_scenario_fork_tail_order = {
	.name = "fork-tail-order",
	.row = "R8",
	.without = GW_WITHOUT(GW_FIX_FORK_TAIL_ORDER),
	.story = "the walk that removes migration entries comes to the child's VMA first, before "
		 "fork has copied the parent's entry there",
	.state_size = sizeof(struct gw_family),
	.setup = gw_family_setup,
	.tasks = {{.name = "migrator", .run = gw_family_migrate},
		{.name = "forker", .run = gw_family_fork, .cpu = 1}},
	.check = check,
	.teardown = gw_family_teardown,
	.describe = gw_family_describe,
};
