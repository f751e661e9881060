/* SPDX-License-Identifier: MIT */
/*
 * offline.c - memory does not go offline, since tasks wait for its pages (FACTS C2).
 *
 * History. Offlining moves pages out of its range, round after round until none is left; only a
 * signal ends it. Tasks that waited for a page with a reference to it made its migration fail in
 * all passes, round after round (Baoquan He's report of 2018, which put_and_wait_on_page_locked()
 * answered).
 *
 * Idea. For ever begins with the second round that fails; with waiters that hold nothing none does.
 */
#include "explore/scenarios/scenarios.h"

#define ROUNDS 2

static gw_pfn_t
block_start(const struct gw_single *p)
{
	return p->pfn & ~(((gw_pfn_t)1 << p->m->config.pageblock_order) - 1);
}

static gw_pfn_t
block_end(const struct gw_single *p)
{
	return block_start(p) + ((gw_pfn_t)1 << p->m->config.pageblock_order);
}

static int
setup(void *state)
{
	return gw_faulters_make(state, 2);
}

static void
take_offline(void *state)
{
	struct gw_faulters *f = state;
	struct gw_single *p = &f->page;

	p->err = gw_offline_pages(p->m, block_start(p), block_end(p), NULL);
	gw_u32_store_release(&f->over, 1);
}

static void
invariant(const void *state)
{
	const struct gw_faulters *f = state;

	gw_explore_check(gw_machine_count(f->page.m, GW_VM_PGMIGRATE_FAIL) < ROUNDS);
}

static void
check(void *state)
{
	const struct gw_faulters *f = state;
	const struct gw_single *p = &f->page;

	gw_explore_check(p->err == 0);
	gw_explore_check(gw_small_pfn(p->mm, p->addr) != p->pfn);
	gw_explore_check(gw_online_pages(p->m, block_start(p), block_end(p)) == 0);
}

const struct gw_explore_scenario gw_scenario_offline_drop_waiters = {
	.name = "offline-drop-waiters",
	.row = "C2",
	.without = GW_WITHOUT(GW_FIX_OFFLINE_DROP_WAITERS),
	.story = "a task that waits for a page holds a reference to it, and its memory never goes "
		 "offline",
	.state_size = sizeof(struct gw_faulters),
	.setup = setup,
	.tasks = {{.name = "offliner", .run = take_offline},
		{.name = "faulter", .run = gw_faulters_touch, .cpu = 1}},
	.check = check,
	.invariant = invariant,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
