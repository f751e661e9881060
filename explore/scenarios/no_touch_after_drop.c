/* SPDX-License-Identifier: MIT */
/*
 * no_touch_after_drop.c - a waiter looks at a page that is somebody else's by now (FACTS C5, C6).
 *
 * History. Who waits for a migration drops its reference before it sleeps; then the page may be
 * freed, used again, and stay locked for as long as its new user likes. So one wake-up ends the
 * wait, and the waiter looks at nothing (Hugh Dickins, 2018).
 */
#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_single single; /* first: its functions know nothing of the rest */
	gw_pfn_t again;		 /* the new user's page, or GW_PFN_NONE */
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_single_setup(&s->single);

	s->again = GW_PFN_NONE;
	if (!err)
		gw_machine_set_wait_era(s->single.m, GW_ERA_DROP);
	return err;
}

/* The frame that the page has left is used again, and stays locked. (A reader with a reference at
 * the wrong time keeps the page where it is.) */
static void
migrate_and_reuse(void *arg)
{
	struct state *s = arg;

	gw_single_migrate(&s->single);
	if (s->single.left == 0 && !gw_alloc_pages(s->single.m, GW_GFP_MOVABLE, 0, 0, &s->again))
		gw_page_lock(s->single.m, s->again);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->single.err == 0);
	gw_explore_check(s->single.value == 42);
	if (s->again == GW_PFN_NONE)
		return;
	gw_page_unlock(s->single.m, s->again);
	gw_put_page(s->single.m, s->again);
}

const struct gw_explore_scenario gw_scenario_no_touch_after_drop = {
	.name = "no-touch-after-drop",
	.row = "C5, C6",
	.without = GW_WITHOUT(GW_FIX_NO_TOUCH_AFTER_DROP),
	.story =
		"a waiter without a reference looks at the lock again; it is another user's of the "
		"frame, who keeps it",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate_and_reuse},
		{.name = "reader", .run = gw_single_read, .cpu = 1}},
	.check = check,
	.teardown = gw_single_teardown,
	.describe = gw_single_describe,
};
