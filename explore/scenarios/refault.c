/* SPDX-License-Identifier: MIT */
/*
 * refault.c - a fault goes on, after its wait, with the entry that it read before (FACTS R10).
 *
 * History. The fault that meets a migration entry waits for the page, and locks a page only long
 * after. Minchan Kim asked what it knows by then (2010). Nothing: the wait ends the fault, and
 * the access faults again, from scratch (Kamezawa Hiroyuki).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_single single; /* first: its functions know nothing of the rest */
	uint64_t value;
};

static void
read_page(void *arg)
{
	struct state *s = arg;

	s->single.err = gw_cpu_load(s->single.mm, s->single.addr, &s->value);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->single.err == 0);
	gw_explore_check(s->value == 42);
	gw_explore_check(s->single.left == 0);
}

const struct gw_explore_scenario gw_scenario_refault = {
	.name = "refault",
	.row = "R10",
	.without = GW_WITHOUT(GW_FIX_REFAULT_FROM_SCRATCH),
	.story =
		"a fault has waited for a migration, and maps the page that the entry named before",
	.state_size = sizeof(struct state),
	.setup = gw_single_setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
