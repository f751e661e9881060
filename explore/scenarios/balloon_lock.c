/* SPDX-License-Identifier: MIT */
/*
 * balloon_lock.c - a page leaves its balloon while a migration has it (FACTS A12).
 *
 * A migration asks the balloon for a page, moves it by the balloon's callback and says then whose
 * the new page is, all under the page locks. A deflation takes pages off the balloon's list. If it
 * ended their ownership without the page lock, a callback would be called of an owner that is gone,
 * or a page that was moved to a moment ago would be freed and owned.
 */
#include <stdio.h>

#include "explore/scenarios/scenarios.h"

struct state {
	struct gw_machine *m;
	struct gw_balloon *balloon;
	gw_pfn_t pfn;
	int given, left;
};

static int
give(void *ctx, gw_pfn_t page, unsigned order)
{
	struct state *s = ctx;

	(void)order;
	s->given++;
	s->pfn = page;
	return 0;
}

static void
take_back(void *ctx, gw_pfn_t page, unsigned order)
{
	struct state *s = ctx;

	(void)page;
	(void)order;
	s->given--;
}

static int
setup(void *arg)
{
	struct state *s = arg;
	const struct gw_balloon_driver driver = {.give = give, .take_back = take_back, .ctx = s};
	int err = gw_small_machine(2, &s->m);

	if (!err)
		err = gw_balloon_create(s->m, &driver, &s->balloon);
	if (!err && gw_balloon_inflate(s->balloon, 1) != 1)
		err = -1;
	return err;
}

static void
migrate(void *arg)
{
	struct state *s = arg;
	struct gw_page_list list;

	if (!gw_small_isolate(s->m, s->pfn, &list))
		s->left = gw_small_migrate(s->m, &list, GW_MIGRATE_SYNC);
}

static void
deflate(void *arg)
{
	struct state *s = arg;

	(void)gw_balloon_deflate(s->balloon, 1);
}

static void
check(void *arg)
{
	struct state *s = arg;

	gw_explore_check(s->left == 0);
	gw_explore_check((uint64_t)s->given == gw_balloon_frames(s->balloon));
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_balloon_destroy(s->balloon);
	gw_machine_destroy(s->m);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	snprintf(line, size, "the host has %d, the last one is frame %u", s->given, s->pfn);
}

const struct gw_explore_scenario gw_scenario_balloon_lock = {
	.name = "balloon-lock",
	.row = "A12",
	.without = GW_WITHOUT(GW_FIX_BALLOON_LOCK),
	.story = "a page is taken out of its balloon while a migration calls the balloon for it",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "migrator", .run = migrate},
		{.name = "deflater", .run = deflate, .cpu = 1}},
	.check = check,
	.teardown = teardown,
	.describe = describe,
};
