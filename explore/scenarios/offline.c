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
#include "godwit/soft.h"

#define ROUNDS 2

struct state {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_pfn_t pfn; /* before it moves */
	gw_atomic_u32 over;
	uint64_t value;
	int err;
};

static gw_pfn_t
block_start(const struct state *s)
{
	return s->pfn & ~(((gw_pfn_t)1 << s->m->config.pageblock_order) - 1);
}

static gw_pfn_t
block_end(const struct state *s)
{
	return block_start(s) + ((gw_pfn_t)1 << s->m->config.pageblock_order);
}

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_small_page(s->mm, 42, &s->addr, &s->pfn);
	gw_explore_name(&s->over, sizeof(s->over), "the end");
	return err;
}

static void
take_offline(void *arg)
{
	struct state *s = arg;

	s->err = gw_offline_pages(s->m, block_start(s), block_end(s), NULL);
	gw_u32_store_release(&s->over, 1);
}

static void
touch(void *arg)
{
	struct state *s = arg;

	while (!gw_u32_load_acquire(&s->over)) {
		gw_explore_check(gw_cpu_load(s->mm, s->addr, &s->value) == 0);
		gw_explore_check(s->value == 42);
		gw_relax();
	}
}

static void
invariant(const void *arg)
{
	const struct state *s = arg;

	gw_explore_check(gw_machine_count(s->m, GW_VM_PGMIGRATE_FAIL) < ROUNDS);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err == 0);
	gw_explore_check(gw_small_pfn(s->mm, s->addr) != s->pfn);
	gw_explore_check(gw_online_pages(s->m, block_start(s), block_end(s)) == 0);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mm_put(s->mm);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_small_describe(s->mm, s->addr, s->pfn, line, size);
}

const struct gw_explore_scenario gw_scenario_offline_drop_waiters = {
	.name = "offline-drop-waiters",
	.row = "C2",
	.without = GW_WITHOUT(GW_FIX_OFFLINE_DROP_WAITERS),
	.story = "a task that waits for a page holds a reference to it, and its memory never goes "
		 "offline",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "offliner", .run = take_offline},
		{.name = "faulter", .run = touch, .cpu = 1}},
	.check = check,
	.invariant = invariant,
	.teardown = teardown,
	.describe = describe,
};
