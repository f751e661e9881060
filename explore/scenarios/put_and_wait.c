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

static int
setup(void *state)
{
	struct gw_single *s = state;
	int err = gw_single_make(s, 2);

	return err ? err : gw_small_isolate(s->m, s->pfn, &s->list);
}

/* In as many passes as there are. */
static void
migrate(void *state)
{
	struct gw_single *s = state;

	s->left = gw_small_migrate(s->m, &s->list, GW_MIGRATE_SYNC);
}

static void
check(void *state)
{
	const struct gw_single *s = state;

	gw_explore_check(s->err == 0);
	gw_explore_check(s->value == 42);
	gw_explore_check(s->left == 0);
	gw_explore_check(gw_small_pfn(s->mm, s->addr) != s->pfn);
}

const struct gw_explore_scenario gw_scenario_put_and_wait = {
	.name = "put-and-wait",
	.row = "C1",
	.without = GW_WITHOUT(GW_FIX_PUT_AND_WAIT),
	.story = "a task that waits for a page under migration holds a reference to it, and the "
		 "migration fails",
	.state_size = sizeof(struct gw_single),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
