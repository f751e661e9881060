/* SPDX-License-Identifier: MIT */
/*
 * buddy_order_clamp.c - a scanner believes the order of a block that is being allocated (FACTS R11,
 * D11).
 *
 * History. To be quick, compaction's scanners read a free block's order without the zone lock. By
 * the time they used it the block could be in other hands, and they jumped to, or took, what was no
 * part of it (review of Mel Gorman's memory compaction v8, 2010: it is read again under the lock,
 * or clamped).
 *
 * Here frames 8 and 9 are a free block. The compactor sees it, and before it has the lock an
 * allocator takes both and gives 8 back: what is free there now is half as large.
 */
#include "explore/scenarios/scenarios.h"

#define FRAMES 12

struct state {
	struct gw_machine *m;
	gw_pfn_t kept; /* by the allocator */
};

static int
setup(void *arg)
{
	struct state *s = arg;
	int err = gw_frames_machine(FRAMES, 2, 2, &s->m);

	s->kept = GW_PFN_NONE;
	if (!err)
		err = gw_frames_take_all(s->m);
	if (err)
		return err;
	gw_frames_own(s->m, 0); /* the one to be moved */
	gw_frames_free(s->m, 8, 2);
	return 0;
}

static void
compact(void *arg)
{
	struct state *s = arg;
	const struct gw_compact_request request = {
		.order = -1, .mode = GW_MIGRATE_SYNC, .whole_zone = true, .ignore_skip = true};

	(void)gw_compact_zone(s->m, 0, &request, NULL);
}

static void
allocate(void *arg)
{
	struct state *s = arg;
	gw_pfn_t first;

	if (gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &first))
		return;
	if (!gw_alloc_pages(s->m, GW_GFP_MOVABLE, 0, 0, &s->kept))
		gw_explore_note("keeps frame %u", s->kept);
	gw_put_page(s->m, first);
	gw_drain_pages(s->m);
}

static void
check(void *arg)
{
	struct state *s = arg;

	if (s->kept != GW_PFN_NONE)
		gw_explore_check(gw_ref_read(&gw_page(s->m, s->kept)->refcount) == 1);
}

static void
describe(const void *arg, char *line, size_t size)
{
	const struct state *s = arg;

	gw_frames_describe(s->m, line, size);
}

const struct gw_explore_scenario gw_scenario_buddy_order_clamp = {
	.name = "buddy-order-clamp",
	.row = "R11, D11",
	.without = GW_WITHOUT(GW_FIX_BUDDY_ORDER_CLAMP),
	.story =
		"compaction takes a free block by the order it had before, and with it a page that "
		"was allocated from it",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "compactor", .run = compact},
		{.name = "allocator", .run = allocate, .cpu = 1}},
	.check = check,
	.describe = describe,
};
