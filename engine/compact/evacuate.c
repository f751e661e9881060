/* SPDX-License-Identifier: MIT */
/*
 * evacuate.c - the second planner: free the cheapest regions first (DESIGN 7).
 *
 * Idea. A region is an aligned block of the wanted order (of a pageblock, if none is). One pass
 * over the zone counts for each what it costs to empty, in frames to move, and the room it has for
 * others' pages. Sorted by cost, sources are taken from the cheap end and targets from the other:
 * first the regions that can never become free, then the dearest. So every page moves
 * at most once, and k regions cost the k smallest costs. The cost order also decides whether
 * it is possible: emptying k regions needs the same room whichever they are.
 *
 * Invariants
 *   E1  no target lies in a region that was or will be emptied, nor in one that is free already
 *   E2  a region is begun only if its pages fit into the room that is left, and moved only if
 *       all of them could be isolated
 *   E3  the tables are counted without locks and may be out of date: they steer, while
 *       gw_isolate_page() and gw_isolate_free_block() decide
 *
 * Locks: zone lock, for one free block at a time. Memory: 8 bytes a region.
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "engine/migrate/isolate.h"

#define COST_BLOCKED UINT16_MAX	      /* holds frames that do not move */
#define COST_FREE    (UINT16_MAX - 1) /* is, or is part of, a free block of the wanted order */
_Static_assert((1u << (GW_ORDERS_MAX - 1)) < COST_FREE, "a region's cost fits");

struct region {
	uint16_t cost, room; /* frames; cost may be COST_* */
};

struct cursor {
	size_t slot;  /* into evacuation.sorted */
	gw_pfn_t pfn; /* GW_PFN_NONE: the region's start */
};

struct evacuation {
	struct gw_compact_run *run;
	unsigned order; /* of a region */
	gw_pfn_t base;	/* first frame of region 0; may lie below the zone */
	uint32_t n_regions, n_sorted;
	struct region *regions;
	uint32_t *sorted; /* regions by cost, blocked ones last, free ones left out */
	size_t source;	  /* slot being emptied */
	uint64_t room;	  /* frames free in slots above it, not held yet */
	struct cursor cursors[GW_ORDERS_MAX]; /* where to look for a block of this order or more */
	bool starved;			      /* the watermark refused a target */
};

/* ---- counting ---- */

static gw_pfn_t
region_start(const struct evacuation *ev, uint32_t region)
{
	return ev->base + (region << ev->order);
}

static struct region *
region_of(const struct evacuation *ev, gw_pfn_t pfn)
{
	return &ev->regions[(pfn - ev->base) >> ev->order];
}

static void
mark(const struct evacuation *ev, gw_pfn_t pfn, gw_pfn_t n, uint16_t cost)
{
	gw_pfn_t end = pfn + n < ev->run->zone->end ? pfn + n : ev->run->zone->end;

	for (; pfn < end; pfn += (gw_pfn_t)1 << ev->order)
		region_of(ev, pfn)->cost = cost;
}

static void
count_used(const struct evacuation *ev, gw_pfn_t pfn, uint32_t flags)
{
	const struct gw_machine *m = ev->run->m;
	struct region *region = region_of(ev, pfn);
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

	if (!gw_is_source(ev->run, pfn, flags, ev->order) ||
		gw_may_isolate_page(m, pfn, flags, ev->run->request->mode) == -EINVAL)
		mark(ev, pfn, n, COST_BLOCKED);
	else if (region->cost < COST_FREE)
		region->cost = (uint16_t)(region->cost + n);
}

static void
count_free(const struct evacuation *ev, gw_pfn_t pfn, uint32_t flags)
{
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

	if (gw_flags_order(flags) >= ev->order)
		mark(ev, pfn, n, COST_FREE);
	else if (gw_is_target_type(ev->run->m, pfn))
		region_of(ev, pfn)->room = (uint16_t)(region_of(ev, pfn)->room + n);
}

static void
count_frames(struct evacuation *ev)
{
	struct gw_compact_run *run = ev->run;
	gw_pfn_t pfn = run->zone->start;

	while (pfn < run->zone->end) {
		uint32_t flags = gw_page_flags(gw_page(run->m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		switch (gw_flags_type(flags)) {
		case GW_PAGE_USED:
			count_used(ev, pfn, flags);
			break;
		case GW_PAGE_BUDDY:
			count_free(ev, pfn, flags);
			break;
		case GW_PAGE_RESERVED:
			region_of(ev, pfn)->cost = COST_BLOCKED;
			break;
		case GW_PAGE_FREE: /* changing under our eyes */
		case GW_PAGE_TAIL:
		case GW_PAGE_PCP: /* costs nothing: merges when its list drains */
		default:
			break;
		}
		pfn += n;
		run->stats.migrate_scanned += n;
	}
}

/* Regions that stick out of the zone cannot become free. */
static void
block_edges(const struct evacuation *ev)
{
	const struct gw_zone *zone = ev->run->zone;
	gw_pfn_t n = (gw_pfn_t)1 << ev->order;

	if (ev->base < zone->start)
		ev->regions[0].cost = COST_BLOCKED;
	if (zone->end % n)
		ev->regions[ev->n_regions - 1].cost = COST_BLOCKED;
}

/* Where a cost stands among the buckets of the sort. */
static uint32_t
bucket(const struct evacuation *ev, uint16_t cost)
{
	return cost == COST_BLOCKED ? (1u << ev->order) + 1 : cost;
}

/* Counting sort; `starts` has a slot per bucket, zeroed. */
static void
sort_regions(struct evacuation *ev, uint32_t *starts, uint32_t n_buckets)
{
	uint32_t sum = 0;

	for (uint32_t r = 0; r < ev->n_regions; r++)
		if (ev->regions[r].cost != COST_FREE)
			starts[bucket(ev, ev->regions[r].cost)]++;
	for (uint32_t b = 0; b < n_buckets; b++) {
		uint32_t n = starts[b];

		starts[b] = sum;
		sum += n;
	}
	for (uint32_t r = 0; r < ev->n_regions; r++) {
		if (ev->regions[r].cost == COST_FREE)
			continue;
		ev->sorted[starts[bucket(ev, ev->regions[r].cost)]++] = r;
		ev->room += ev->regions[r].room;
	}
	ev->n_sorted = sum;
}

/* ---- targets ---- */

static bool
is_target(const struct evacuation *ev, gw_pfn_t pfn, uint32_t flags, unsigned order)
{
	return gw_flags_type(flags) == GW_PAGE_BUDDY && gw_flags_order(flags) >= order &&
	       gw_flags_order(flags) < ev->order && gw_is_target_type(ev->run->m, pfn);
}

/* Hold the free block that was seen as `flags`, if it still is there. */
static bool
hold_block(struct evacuation *ev, gw_pfn_t pfn, uint32_t flags)
{
	struct gw_compact_run *run = ev->run;
	gw_pfn_t n = 0;

	gw_spin_lock(&run->zone->lock);
	if (gw_page_flags(gw_page(run->m, pfn)) == flags) {
		n = gw_hold_free_block(run, pfn, flags);
		ev->starved = n == 0;
	}
	gw_spin_unlock(&run->zone->lock);
	ev->room -= ev->room < n ? ev->room : n;
	return n > 0;
}

/* Take the next free block of `order` or more in the cursor's region, or leave the region. */
static bool
hold_in_region(struct evacuation *ev, struct cursor *c, unsigned order)
{
	struct gw_compact_run *run = ev->run;
	struct gw_zone *zone = run->zone;
	gw_pfn_t start = region_start(ev, ev->sorted[c->slot]);
	gw_pfn_t end = start + ((gw_pfn_t)1 << ev->order);
	gw_pfn_t pfn = c->pfn == GW_PFN_NONE ? start : c->pfn;

	if (pfn < zone->start)
		pfn = zone->start;
	if (end > zone->end)
		end = zone->end;
	while (pfn < end) {
		uint32_t flags = gw_page_flags(gw_page(run->m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		run->stats.free_scanned++;
		if (is_target(ev, pfn, flags, order) && hold_block(ev, pfn, flags)) {
			c->pfn = pfn + n;
			return true;
		}
		if (ev->starved)
			return false;
		pfn += n;
	}
	c->slot--;
	c->pfn = GW_PFN_NONE;
	return false;
}

/* Hold a free block of at least `order` from the dear end. */
static bool
hold_more(struct evacuation *ev, unsigned order)
{
	struct cursor *c = &ev->cursors[order];

	while (!ev->starved && c->slot > ev->source)
		if (hold_in_region(ev, c, order))
			return true;
	return false;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct evacuation *ev = ctx;

	(void)m;
	(void)src;
	do {
		if (gw_serve_held(ev->run, order, dst))
			return 0;
	} while (hold_more(ev, order));
	return -ENOMEM;
}

static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct evacuation *ev = ctx;

	(void)m;
	gw_hold_again(ev->run, dst, order);
}

/* ---- sources ---- */

/* Isolate all pages of a region, large ones first: they are the ones that may find no target. */
static bool
isolate_region(struct gw_compact_run *run, gw_pfn_t start, gw_pfn_t end)
{
	struct gw_page_list small;
	gw_pfn_t pfn = start;
	bool all = true;

	gw_page_list_init(&small);
	while (pfn < end && all) {
		uint32_t flags = gw_page_flags(gw_page(run->m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		run->stats.migrate_scanned++;
		if (gw_flags_type(flags) == GW_PAGE_USED) {
			/* What it is now need not be what was counted (E3). */
			all = gw_is_source(run, pfn, flags, GW_ORDERS_MAX) &&
			      !gw_isolate_page(run->m, pfn, run->request->mode,
				      n > 1 ? &run->sources : &small);
			if (all)
				run->stats.isolated += n;
		} else if (gw_flags_type(flags) == GW_PAGE_RESERVED) {
			all = false;
		}
		pfn += n;
	}
	gw_list_splice(run->m, &run->sources, &small);
	return all;
}

bool
gw_is_free_block(const struct gw_machine *m, gw_pfn_t pfn, unsigned order)
{
	for (unsigned o = order; o <= m->config.max_order; o++) {
		uint32_t flags = gw_page_flags(gw_page(m, pfn & ~(((gw_pfn_t)1 << o) - 1)));

		if (gw_flags_type(flags) == GW_PAGE_BUDDY && gw_flags_order(flags) >= o)
			return true;
	}
	return false;
}

int
gw_empty_region(struct gw_compact_run *run, gw_pfn_t start, gw_pfn_t end,
	const struct gw_migrate_target *target)
{
	int err = -EBUSY;

	if (isolate_region(run, start, end))
		err = run->sources.n == 0
			      ? 0
			      : gw_migrate_pages(run->m, &run->sources, target, run->request->mode,
					GW_MR_COMPACTION, &run->stats.migrate);
	if (run->sources.n)
		gw_putback_movable_pages(run->m, &run->sources);
	return err;
}

static void
empty_region(struct evacuation *ev, gw_pfn_t start)
{
	struct gw_compact_run *run = ev->run;
	const struct gw_migrate_target target = {
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = ev};
	int err = gw_empty_region(run, start, start + ((gw_pfn_t)1 << ev->order), &target);

	/* What was freed waits on this CPU's lists, and merges only from there (D21). */
	gw_lru_add_drain(run->m);
	gw_drain_pages(run->m);
	if (!err && gw_is_free_block(run->m, start, ev->order))
		run->stats.blocks_freed++;
}

static enum gw_compact_result
run_regions(struct evacuation *ev)
{
	struct gw_compact_run *run = ev->run;

	for (ev->source = 0; ev->source < ev->n_sorted; ev->source++) {
		uint32_t r = ev->sorted[ev->source];
		const struct region *region = &ev->regions[r];

		if (gw_compact_goal_reached(run))
			return GW_COMPACT_SUCCESS;
		ev->room -= ev->room < region->room ? ev->room : region->room;
		if (region->cost == COST_BLOCKED || region->cost > ev->room + run->n_held)
			break;
		if (ev->starved || gw_compact_interrupted() || !gw_isolation_allowed(run))
			return GW_COMPACT_CONTENDED;
		run->migrate_pfn = region_start(ev, r);
		empty_region(ev, run->migrate_pfn);
	}
	return gw_compact_goal_reached(run) ? GW_COMPACT_SUCCESS : GW_COMPACT_COMPLETE;
}

/* ---- the run ---- */

static void *
table(const struct gw_machine *m, size_t n, size_t size)
{
	return n <= SIZE_MAX / size ? m->ops->alloc(m->ctx, n * size) : NULL;
}

static enum gw_compact_result
plan_and_run(struct evacuation *ev)
{
	struct gw_machine *m = ev->run->m;
	uint32_t n_buckets = (1u << ev->order) + 2;
	enum gw_compact_result result = GW_COMPACT_SKIPPED;
	uint32_t *starts = table(m, n_buckets, sizeof(*starts));

	ev->regions = table(m, ev->n_regions, sizeof(*ev->regions));
	ev->sorted = table(m, ev->n_regions, sizeof(*ev->sorted));
	if (starts && ev->regions && ev->sorted) {
		count_frames(ev);
		block_edges(ev);
		sort_regions(ev, starts, n_buckets);
		for (unsigned o = 0; ev->n_sorted && o < GW_ORDERS_MAX; o++)
			ev->cursors[o] = (struct cursor){ev->n_sorted - 1, GW_PFN_NONE};
		result = run_regions(ev);
		gw_release_held(ev->run);
	}
	if (ev->sorted)
		m->ops->release(m->ctx, ev->sorted, ev->n_regions * sizeof(*ev->sorted));
	if (ev->regions)
		m->ops->release(m->ctx, ev->regions, ev->n_regions * sizeof(*ev->regions));
	if (starts)
		m->ops->release(m->ctx, starts, n_buckets * sizeof(*starts));
	return result;
}

enum gw_compact_result
gw_evacuate(struct gw_compact_run *run)
{
	const struct gw_zone *zone = run->zone;
	int order = run->request->order;
	struct evacuation ev = {
		.run = run,
		.order = order < 0 ? run->m->config.pageblock_order : (unsigned)order,
	};

	run->migrate_pfn = zone->start;
	run->free_pfn = zone->end - 1;
	if (gw_compact_goal_reached(run))
		return GW_COMPACT_SUCCESS;
	if (ev.order == 0)
		return GW_COMPACT_COMPLETE; /* not one frame is free: nothing to rearrange */
	if (!gw_compact_has_room(zone, ev.order))
		return GW_COMPACT_SKIPPED;
	ev.base = zone->start & ~(((gw_pfn_t)1 << ev.order) - 1);
	ev.n_regions = ((zone->end - 1 - ev.base) >> ev.order) + 1;
	gw_migrate_prep_local(run->m);
	return plan_and_run(&ev);
}
