/* SPDX-License-Identifier: MIT */
/*
 * charge_before_put.c - the old page is freed while it is still charged (FACTS A9, E13).
 *
 * History. Migration dropped the old page's last reference, and moved its charge to the new page
 * afterwards, so pages were freed while they were charged ("bad page" reports of memcg, open in Lee
 * Schermerhorn's migrate on fault, 2012; Hugh Dickins, 2015: it moves while both pages are locked).
 */
#include <stdio.h>
#include <string.h>

#include "engine/phys/charge.h"
#include "engine/store/store.h"
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_single page; /* first: its functions know nothing of the rest */
	struct gw_memcg *group;
};

static int
setup(void *arg)
{
	struct state *s = arg;
	struct gw_single *p = &s->page;
	int err = gw_single_make(p, 2);

	if (!err)
		err = gw_memcg_create(p->m, 1, &s->group);
	if (err)
		return err;
	gw_explore_name(&s->group->usage, sizeof(s->group->usage), "the group's usage");
	err = gw_memcg_charge(s->group, p->pfn);
	return err ? err : gw_single_isolate(p);
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
	gw_pfn_t pfn = gw_small_pfn(s->page.mm, s->page.addr);

	gw_explore_check(s->page.err == 0 && s->page.value == 42);
	gw_explore_check(s->page.left == 0 && pfn != s->page.pfn);
	gw_explore_check(gw_page_memcg(s->page.m, pfn) == s->group);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_memcg_put(s->group);
	gw_single_teardown(&s->page);
}

static const char *
payer(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_page_memcg(m, pfn) ? "the group" : "nobody";
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;
	const struct gw_single *p = &s->page;
	size_t n;

	gw_single_describe(p, line, size);
	n = strlen(line);
	snprintf(line + n, size - n, "; charged to %s; usage %llu", payer(p->m, p->pfn),
		(unsigned long long)gw_memcg_usage(s->group));
}

const struct gw_explore_scenario gw_scenario_charge_before_put = {
	.name = "charge-before-put",
	.row = "A9, E13",
	.without = GW_WITHOUT(GW_FIX_CHARGE_BEFORE_PUT),
	.story = "a migrated page is freed while it is charged, and its new place is charged to "
		 "nobody",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.invariant = invariant,
	.teardown = teardown,
	.describe = describe,
};
