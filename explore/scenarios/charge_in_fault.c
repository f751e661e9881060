/* SPDX-License-Identifier: MIT */
/*
 * charge_in_fault.c - a page that a fault pulls over is freed while it is charged (FACTS E13).
 *
 * History. In Lee Schermerhorn's migrate on fault (2012) memcg reported bad pages, which stayed an
 * open problem: the old page's last reference, the fault's, went before its charge had moved.
 */
#include <stdio.h>
#include <string.h>

#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_two_nodes nodes; /* first: its functions know nothing of the rest */
	struct gw_memcg *group;
	gw_pfn_t found; /* by the look-up */
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_two_nodes_setup(&s->nodes);

	if (!err)
		err = gw_memcg_create(s->nodes.m, 1, &s->group);
	return err ? err : gw_memcg_charge(s->group, s->nodes.pfn);
}

/* Its reference keeps the page where it is. */
static void
look_up(void *arg)
{
	struct state *s = arg;

	s->found = gw_mapping_find(s->nodes.file, 0);
	if (s->found != GW_PFN_NONE)
		gw_put_page(s->nodes.m, s->found);
}

/* There is one page, and the group pays for it, wherever it is. */
static void
invariant(const void *arg)
{
	const struct state *s = arg;

	gw_explore_check(gw_memcg_usage(s->group) == 1);
}

static void
check(void *arg)
{
	struct state *s = arg;
	gw_pfn_t pfn = gw_small_pfn(s->nodes.mm[1], s->nodes.addr[1]);

	gw_explore_check(s->nodes.err[1] == 0 && s->nodes.value[1] == GW_TWO_NODES_VALUE);
	gw_explore_check(s->found == s->nodes.pfn || s->found == pfn);
	gw_explore_check(gw_page_memcg(s->nodes.m, pfn) == s->group);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_memcg_put(s->group);
	gw_two_nodes_teardown(&s->nodes);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;
	const struct gw_two_nodes *t = &s->nodes;
	size_t n;

	gw_two_nodes_describe(t, line, size);
	n = strlen(line);
	snprintf(line + n, size - n, "; charged to %s; usage %llu",
		gw_page_memcg(t->m, t->pfn) ? "the group" : "nobody",
		(unsigned long long)gw_memcg_usage(s->group));
}

const struct gw_explore_scenario gw_scenario_charge_in_fault = {
	.name = "charge-in-fault",
	.row = "E13",
	.without = GW_WITHOUT(GW_FIX_CHARGE_BEFORE_PUT),
	.story = "a page that a fault has pulled over is freed while it is charged, and its new "
		 "place is charged to nobody",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "far reader", .run = gw_two_nodes_read_far, .cpu = 1},
		{.name = "looker", .run = look_up}},
	.check = check,
	.invariant = invariant,
	.teardown = teardown,
	.describe = describe,
};
