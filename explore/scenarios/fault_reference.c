/* SPDX-License-Identifier: MIT */
/*
 * fault_reference.c - the fault that pulls a page over stands in its own way (FACTS E9).
 *
 * History. Who faults on a page of a cache finds it with a reference; a migration that accounts for
 * the cache's and its own only sees one too many, and gives up, each time (Lee Schermerhorn's mode
 * FAULT expects one more; what was merged later drops the fault's reference first).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_two_nodes nodes;
	uint64_t value;
	int err;
};

static int
setup(void *arg)
{
	struct state *s = arg;

	return gw_two_nodes_make(&s->nodes);
}

static void
read_page(void *arg)
{
	struct state *s = arg;

	s->err = gw_cpu_load(s->nodes.mm[1], s->nodes.addr[1], &s->value);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->value == GW_TWO_NODES_VALUE);
	gw_explore_check(gw_small_pfn(s->nodes.mm[1], s->nodes.addr[1]) >= GW_SMALL_FRAMES / 2);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_two_nodes_unmake(&s->nodes);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_small_describe(s->nodes.mm[1], s->nodes.addr[1], s->nodes.pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_fault_extra_reference = {
	.name = "fault-extra-reference",
	.row = "E9",
	.without = GW_WITHOUT(GW_FIX_FAULT_EXTRA_REFERENCE),
	.story = "a fault holds a reference to the page that it pulls over to its node, and the "
		 "migration fails",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "far reader", .run = read_page, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
