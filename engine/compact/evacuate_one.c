/* SPDX-License-Identifier: MIT */
/*
 * evacuate_one.c - the second planner for an allocation that waits: one region, and at once.
 *
 * Idea. To look at all of a zone takes longer than to empty one region, and while it lasts others
 * use up the room for the copies. So a run looks at a window of the zone and empties its cheapest
 * region, the next cheapest if that one does not let itself be emptied, and goes on to the next
 * window if none does. Every run begins where the last one, whosever it was, took its last window:
 * tasks that compact at the same time do it in different places.
 *
 * What is cheap to empty is what has most free frames, which is where others allocate from. Steps:
 *   O1 choose the region of the window with the fewest frames to move
 *   O2 isolate its pageblocks
 *   O3 move all of it out, to free frames wherever they are
 *   O4 un-isolate, and in the same step give the block to the allocation that waits (FACTS 2.1)
 *
 * Invariants
 *   N1  after O2 comes O4, whatever happened between: no pageblock stays isolated
 *   N2  from O2 to O4 nobody gets a frame of the region, nor before the allocation that waits
 *   N3  a region is begun only with room for two blocks above the watermark (D17): one is what
 *       becomes isolated and what is copied
 *   N4  what O1 reads without locks only steers: O2 and gw_isolate_page() decide
 *
 * Locks: zone lock. No memory of its own.
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "engine/compact/range.h"
#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"

#define WINDOW	      ((gw_pfn_t)1 << 13) /* frames; at least one region */
#define TRIES	      4			  /* regions of a window */
#define ASYNC_WINDOWS 8			  /* an ASYNC run gives up after so many */

#define COST_BLOCKED UINT32_MAX

/* ---- O1 ---- */

static bool
can_leave(const struct gw_compact_run *run, gw_pfn_t pfn, uint32_t flags)
{
	return gw_is_source(run, pfn, flags, (unsigned)run->request->order) &&
	       gw_may_isolate_page(run->m, pfn, flags, run->request->mode) != -EINVAL &&
	       !gw_owner_pinned(run->m, pfn);
}

/* Frames to move out of the region at `start`. COST_BLOCKED: it cannot become free, it is, or it
 * costs no less than `limit`. */
static uint32_t
cost_of(struct gw_compact_run *run, gw_pfn_t start, uint32_t limit)
{
	unsigned order = (unsigned)run->request->order;
	gw_pfn_t end = start + ((gw_pfn_t)1 << order);
	uint32_t cost = 0;

	if (gw_pageblock_type(run->m, start) >= GW_MT_PCPTYPES ||
		gw_is_free_block(run->m, start, order))
		return COST_BLOCKED;
	for (gw_pfn_t pfn = start; pfn < end && cost < limit;) {
		uint32_t flags = gw_page_flags(gw_page(run->m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		run->stats.migrate_scanned += n;
		pfn += n;
		if (gw_flags_type(flags) == GW_PAGE_USED && can_leave(run, pfn - n, flags))
			cost += (uint32_t)n;
		else if (gw_flags_type(flags) == GW_PAGE_USED ||
			 gw_flags_type(flags) == GW_PAGE_RESERVED ||
			 gw_flags_type(flags) == GW_PAGE_TAIL) /* of a page beyond the region */
			return COST_BLOCKED;
	}
	return cost < limit ? cost : COST_BLOCKED;
}

/* A window, and the region of it that was tried last. */
struct window {
	gw_pfn_t start, end;
	uint32_t tried_cost;
	gw_pfn_t tried_end; /* 0: none yet */
};

/* The cheapest region of the window that was not tried yet, or GW_PFN_NONE. */
static gw_pfn_t
next_cheapest(struct gw_compact_run *run, struct window *w)
{
	gw_pfn_t n = (gw_pfn_t)1 << run->request->order, best = GW_PFN_NONE;
	uint32_t least = COST_BLOCKED;

	for (gw_pfn_t pfn = w->start; pfn < w->end && w->end - pfn >= n; pfn += n) {
		uint32_t cost = cost_of(run, pfn, least);

		if (cost >= least || cost < w->tried_cost ||
			(cost == w->tried_cost && pfn < w->tried_end))
			continue;
		least = cost;
		best = pfn;
	}
	w->tried_cost = least;
	w->tried_end = best + n;
	return best;
}

static gw_pfn_t
window_frames(const struct gw_compact_run *run)
{
	gw_pfn_t n = (gw_pfn_t)1 << run->request->order;

	return n > WINDOW ? n : WINDOW;
}

/* The zone's next window; who comes next gets the one after it. */
static struct window
next_window(const struct gw_compact_run *run)
{
	gw_pfn_t n = (gw_pfn_t)1 << run->request->order;
	struct gw_zone *zone = run->zone;
	struct window w = {.end = zone->end};

	gw_spin_lock(&zone->lock);
	w.start = zone->compact.evacuate_pfn;
	if (w.start < zone->start || w.start >= zone->end)
		w.start = zone->start;
	w.start = (w.start + n - 1) & ~(n - 1);
	if (w.start < w.end && w.end - w.start > window_frames(run))
		w.end = w.start + window_frames(run);
	zone->compact.evacuate_pfn = w.end;
	gw_spin_unlock(&zone->lock);
	return w;
}

/* ---- O3 ---- */

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct gw_compact_run *run = ctx;
	int err = gw_alloc_from_zonelist(
		m, GW_GFP_MOVABLE | GW_GFP_THISNODE, run->zone->node, order, GW_WMARK_LOW, dst);

	(void)src;
	if (!err)
		run->stats.isolated += (uint64_t)1 << order;
	return err;
}

/* ---- O2, O4 ---- */

/* What is free goes to the lists, but for the block that the current task waits for, if the region
 * became one. True: it did. */
static bool
give(struct gw_compact_run *run, const struct gw_range *r)
{
	struct gw_machine *m = run->m;
	bool all_free;

	gw_spin_lock(&r->zone->lock);
	all_free = gw_range_first_used(r->zone, r->start, r->end) == GW_PFN_NONE;
	for (gw_pfn_t pfn = gw_pageblock_start(m, r->start); pfn < r->end;
		pfn += gw_pageblock_frames(m))
		gw_pageblock_unisolate(r->zone, pfn);
	if (all_free)
		gw_capture_range(r->zone, r->start, (unsigned)run->request->order);
	gw_spin_unlock(&r->zone->lock);
	return all_free;
}

static void
evacuate(struct gw_compact_run *run, gw_pfn_t start)
{
	gw_pfn_t end = start + ((gw_pfn_t)1 << run->request->order);
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = run};
	struct gw_obstacle ignored;
	struct gw_range r = {.type = GW_MT_MOVABLE, .why = &ignored};

	if (gw_range_init(&r, run->m, start, end) || gw_range_isolate(&r))
		return;
	run->migrate_pfn = start;
	(void)gw_empty_region(run, start, end, &target); /* what became of it, give() sees */
	if (give(run, &r))
		run->stats.blocks_freed++;
}

/* CONTINUE: all regions of the window that were worth it were tried, in vain. */
static enum gw_compact_result
try_window(struct gw_compact_run *run)
{
	struct window w = next_window(run);

	for (unsigned i = 0; i < TRIES; i++) {
		gw_pfn_t start;

		if (!gw_compact_has_room(run->zone, (unsigned)run->request->order)) /* N3 */
			return run->stats.isolated ? GW_COMPACT_CONTENDED : GW_COMPACT_SKIPPED;
		if (gw_compact_interrupted() || !gw_isolation_allowed(run))
			return GW_COMPACT_CONTENDED;
		start = next_cheapest(run, &w);
		if (start == GW_PFN_NONE)
			break;
		evacuate(run, start);
		if (gw_compact_goal_reached(run))
			return GW_COMPACT_SUCCESS;
	}
	return GW_COMPACT_CONTINUE;
}

enum gw_compact_result
gw_evacuate_one(struct gw_compact_run *run)
{
	const struct gw_zone *zone = run->zone;
	gw_pfn_t all =
		(zone->end - zone->start) / window_frames(run) + 2; /* both ends may be cut */
	gw_pfn_t most =
		run->request->mode == GW_MIGRATE_ASYNC && all > ASYNC_WINDOWS ? ASYNC_WINDOWS : all;
	enum gw_compact_result result = GW_COMPACT_CONTINUE;

	if (gw_compact_goal_reached(run))
		return GW_COMPACT_SUCCESS;
	for (gw_pfn_t i = 0; i < most && result == GW_COMPACT_CONTINUE; i++)
		result = try_window(run);
	if (result != GW_COMPACT_CONTINUE)
		return result;
	return most < all ? GW_COMPACT_PARTIAL_SKIPPED : GW_COMPACT_COMPLETE;
}
