/* SPDX-License-Identifier: MIT */
/*
 * put_and_wait.c - a task that waits for a migration keeps it from happening (FACTS C1).
 *
 * History. Who faulted on a migration entry took a reference to the page and slept with it; that
 * reference is one more than migration can account for. With many such tasks, migration of hot
 * pages failed in all its passes (Hugh Dickins, 2018: waiters drop the reference before they
 * sleep; since 2022 they take none).
 */
#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

struct state {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_pfn_t pfn;
	struct gw_page_list list;
	uint64_t value;
	int left, err;
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_small_space(s->m, "space", &s->mm);
	if (!err)
		err = gw_small_page(s->mm, 42, &s->addr, &s->pfn);
	if (!err)
		err = gw_small_isolate(s->m, s->pfn, &s->list);
	return err;
}

static void
migrate(void *arg)
{
	struct state *s = arg;

	s->left = gw_small_migrate(s->m, &s->list, GW_MIGRATE_SYNC);
}

static void
read_page(void *arg)
{
	struct state *s = arg;

	s->err = gw_cpu_load(s->mm, s->addr, &s->value);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->value == 42);
	gw_explore_check(s->left == 0);
	gw_explore_check(gw_small_pfn(s->mm, s->addr) != s->pfn);
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

const struct gw_explore_scenario gw_scenario_put_and_wait = {
	.name = "put-and-wait",
	.row = "C1",
	.without = GW_WITHOUT(GW_FIX_PUT_AND_WAIT),
	.story = "a task that waits for a page under migration holds a reference to it, and the "
		 "migration fails",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "reader", .run = read_page, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
