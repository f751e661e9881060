/* SPDX-License-Identifier: MIT */
/*
 * misplaced.c - a page is pulled over from under somebody who has it mapped (FACTS E2).
 *
 * History. Lee Schermerhorn's migrate on fault (2012) asks what is cheap to know before it asks the
 * policy: a page that somebody maps has entries, which a move on a fault does not take away.
 * Two tasks of different nodes read one page of a file; to the second it is misplaced, but mapped.
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_two_nodes nodes;
	uint64_t value[2];
	int err[2];
};

static int
setup(void *arg)
{
	struct state *s = arg;

	return gw_two_nodes_make(&s->nodes);
}

static void
read_near(void *arg)
{
	struct state *s = arg;

	s->err[0] = gw_cpu_load(s->nodes.mm[0], s->nodes.addr[0], &s->value[0]);
}

static void
read_far(void *arg)
{
	struct state *s = arg;

	s->err[1] = gw_cpu_load(s->nodes.mm[1], s->nodes.addr[1], &s->value[1]);
}

static void
check(void *arg)
{
	struct state *s = arg;

	for (unsigned i = 0; i < 2; i++) {
		gw_explore_check(s->err[i] == 0);
		gw_explore_check(s->value[i] == GW_TWO_NODES_VALUE);
	}
	gw_explore_check(gw_small_pfn(s->nodes.mm[0], s->nodes.addr[0]) ==
			 gw_small_pfn(s->nodes.mm[1], s->nodes.addr[1]));
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

	gw_small_describe(s->nodes.mm[0], s->nodes.addr[0], s->nodes.pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_misplaced_preconditions = {
	.name = "misplaced-preconditions",
	.row = "E2",
	.without = GW_WITHOUT(GW_FIX_MISPLACED_PRECONDITIONS),
	.story = "a fault pulls a page over to its node while another address space maps it",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "near reader", .run = read_near},
		{.name = "far reader", .run = read_far, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
