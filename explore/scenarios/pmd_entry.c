/* SPDX-License-Identifier: MIT */
/*
 * pmd_entry.c - a task waits at a huge migration entry whose page is past the point of no return
 * (FACTS C8).
 *
 * History. Huge pages have moved whole since 2017, by migration entries of the second level; who
 * meets one waits as at any other, and so may take a reference only if there still are some: the
 * page's are frozen while its copy takes its place (Hugh Dickins' put_and_wait of 2018 has both).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_huge_machine(&s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_mmap(s->mm, GW_HUGE_AT, GW_HUGE_BYTES, GW_PROT_READ | GW_PROT_WRITE,
			GW_MAP_FIXED, &s->addr);
	if (!err)
		err = gw_cpu_store(s->mm, s->addr, 42);
	if (!err)
		err = gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, GW_PMD_ORDER, &s->dst);
	if (err)
		return err;
	gw_machine_set_wait_era(s->m, GW_ERA_DROP);
	gw_lru_add_drain_all(s->m);
	s->pfn = gw_small_pfn(s->mm, s->addr);
	return gw_small_isolate(s->m, s->pfn, &s->list);
}

/* A reader with a reference at the wrong time keeps the page where it is. */
static void
check(void *state)
{
	const struct gw_single *s = state;

	gw_explore_check(s->err == 0 && s->value == 42);
	gw_explore_check((gw_small_pfn(s->mm, s->addr) == s->pfn) == (s->left != 0));
}

const struct gw_explore_scenario gw_scenario_pmd_entry_wait = {
	.name = "pmd-entry-wait",
	.row = "C8",
	.without = GW_WITHOUT(GW_FIX_PMD_ENTRY_WAIT),
	.story =
		"a task that waits for a huge page gets a reference to it while its copy takes its "
		"place",
	.state_size = sizeof(struct gw_single),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = gw_single_migrate},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
