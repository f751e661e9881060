/* SPDX-License-Identifier: MIT */
/*
 * buddy.c - free blocks of a zone: merging, splitting, and falling back between migratetypes.
 *
 * Idea. A block of order o starts at a multiple of 2^o; its buddy differs in bit o. Freeing
 * merges upwards while the buddy is a free block of the same order; taking splits downwards. Free
 * blocks stand on the list of their pageblock's migratetype. A request whose own lists are
 * empty falls back (FACTS 2.2): it claims a whole pageblock from the largest foreign block
 * that qualifies, and only then steals the smallest.
 *
 * All functions: zone lock held.
 */
#include "engine/phys/buddy.h"
#include "engine/phys/probe.h"

/* Whom a type falls back to, in order. */
static const enum gw_migratetype fallbacks[GW_MT_PCPTYPES][2] = {
	[GW_MT_UNMOVABLE] = {GW_MT_RECLAIMABLE, GW_MT_MOVABLE},
	[GW_MT_MOVABLE] = {GW_MT_RECLAIMABLE, GW_MT_UNMOVABLE},
	[GW_MT_RECLAIMABLE] = {GW_MT_UNMOVABLE, GW_MT_MOVABLE},
};

/* Written under the zone lock only: no need of an atomic addition. */
static void
add(gw_atomic_u64 *count, int64_t n)
{
	gw_u64_store_relaxed(count, gw_u64_load_relaxed(count) + (uint64_t)n);
}

static void
count_free(struct gw_zone *zone, enum gw_migratetype type, int64_t frames)
{
	if (type == GW_MT_ISOLATE)
		return; /* nobody can have them */
	add(&zone->nr_free, frames);
	if (type == GW_MT_HIGHATOMIC)
		add(&zone->nr_free_highatomic, frames);
	else if (type == GW_MT_CMA)
		add(&zone->nr_free_cma, frames);
}

/* The list of this order and type changed: is there a block on it? */
static void
note_free_order(struct gw_zone *zone, unsigned order, enum gw_migratetype type)
{
	uint32_t bit = UINT32_C(1) << order;
	uint32_t orders = gw_u32_load_relaxed(&zone->free_orders[type]) & ~bit;

	if (zone->free_area[order].lists[type].n)
		orders |= bit;
	gw_u32_store_relaxed(&zone->free_orders[type], orders);
}

static void
list_insert(struct gw_zone *zone, gw_pfn_t pfn, unsigned order, enum gw_migratetype type, bool back)
{
	struct gw_machine *m = zone->machine;
	struct gw_page *page = gw_page(m, pfn);
	struct gw_free_area *area = &zone->free_area[order];

	gw_frame_set_index(page, type);
	gw_u32_store_relaxed(&page->flags, gw_flags_make(GW_PAGE_BUDDY, order));
	if (back)
		gw_list_push_back(m, &area->lists[type], pfn);
	else
		gw_list_push_front(m, &area->lists[type], pfn);
	area->nr_free++;
	note_free_order(zone, order, type);
	count_free(zone, type, (int64_t)1 << order);
}

void
gw_buddy_insert(struct gw_zone *zone, gw_pfn_t pfn, unsigned order, enum gw_migratetype type)
{
	list_insert(zone, pfn, order, type, false);
}

unsigned
gw_buddy_remove(struct gw_zone *zone, gw_pfn_t pfn)
{
	struct gw_machine *m = zone->machine;
	struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(page);
	unsigned order = gw_flags_order(flags);
	enum gw_migratetype type = (enum gw_migratetype)gw_frame_index(page);

	GW_CHECK_ON(m, gw_flags_type(flags) != GW_PAGE_BUDDY);
	gw_list_remove(m, &zone->free_area[order].lists[type], pfn);
	zone->free_area[order].nr_free--;
	note_free_order(zone, order, type);
	count_free(zone, type, -((int64_t)1 << order));
	gw_u32_store_relaxed(&page->flags, gw_flags_make(GW_PAGE_FREE, 0));
	return order;
}

static bool
is_free_block(const struct gw_zone *zone, gw_pfn_t pfn, unsigned order)
{
	if (pfn < zone->start || pfn + ((gw_pfn_t)1 << order) > zone->end)
		return false;
	return gw_page_flags(gw_page(zone->machine, pfn)) == gw_flags_make(GW_PAGE_BUDDY, order);
}

/* May two blocks of this order merge? Only ordinary types mix: the others are kept by pageblock. */
static bool
may_merge(const struct gw_machine *m, gw_pfn_t pfn, gw_pfn_t buddy, unsigned order)
{
	enum gw_migratetype a, b;

	if (order < m->config.pageblock_order)
		return true;
	a = gw_pageblock_type(m, pfn);
	b = gw_pageblock_type(m, buddy);
	return a == b || (a < GW_MT_PCPTYPES && b < GW_MT_PCPTYPES);
}

/* What the current task waits for, if that can come from this zone. */
static struct gw_capture *
capture_of(const struct gw_zone *zone)
{
	const struct gw_task *task = gw_current();
	struct gw_capture *capture = task ? task->capture : NULL;

	return capture && capture->zone == zone && capture->pfn == GW_PFN_NONE ? capture : NULL;
}

/* Is this free block what is waited for? Not one that is kept for others, nor a small piece of a
 * MOVABLE pageblock for something that never moves. */
static bool
captured(struct gw_capture *capture, const struct gw_machine *m, gw_pfn_t pfn, unsigned order,
	enum gw_migratetype type)
{
	if (order != capture->order || type == GW_MT_CMA || type == GW_MT_ISOLATE)
		return false;
	if (order < m->config.pageblock_order && type == GW_MT_MOVABLE &&
		capture->type != GW_MT_MOVABLE)
		return false;
	capture->pfn = pfn;
	return true;
}

void
gw_capture_range(struct gw_zone *zone, gw_pfn_t pfn, unsigned order)
{
	struct gw_machine *m = zone->machine;
	struct gw_capture *capture = capture_of(zone);

	if (capture && captured(capture, m, pfn, order, gw_pageblock_type(m, pfn)))
		gw_range_take(zone, pfn, pfn + ((gw_pfn_t)1 << order));
}

static void
free_and_merge(struct gw_zone *zone, gw_pfn_t pfn, unsigned order)
{
	struct gw_machine *m = zone->machine;
	enum gw_migratetype type = gw_pageblock_type(m, pfn);
	struct gw_capture *capture = capture_of(zone);

	while (order < m->config.max_order) {
		gw_pfn_t buddy = pfn ^ ((gw_pfn_t)1 << order);

		if (capture && captured(capture, m, pfn, order, type))
			return;
		if (!is_free_block(zone, buddy, order) || !may_merge(m, pfn, buddy, order))
			break;
		gw_buddy_remove(zone, buddy);
		if (order >= m->config.pageblock_order)
			gw_pageblock_assign(zone, buddy, (gw_pfn_t)1 << order, type);
		pfn &= buddy;
		order++;
	}
	if (capture && captured(capture, m, pfn, order, type))
		return;
	/* A block that is likely to merge soon waits at the end of its list, to be taken last. */
	list_insert(zone, pfn, order, type,
		order + 1 < m->config.max_order &&
			is_free_block(zone,
				(pfn & ~((gw_pfn_t)1 << order)) ^ ((gw_pfn_t)2 << order),
				order + 1));
}

void
gw_buddy_free(struct gw_zone *zone, gw_pfn_t pfn, unsigned order)
{
	gw_pfn_t frames = gw_pageblock_frames(zone->machine);
	gw_pfn_t end = pfn + ((gw_pfn_t)1 << order);

	if (order <= zone->machine->config.pageblock_order) {
		free_and_merge(zone, pfn, order);
		return;
	}
	/* Each pageblock goes to the lists of its own type; equal ones merge again. */
	for (; pfn < end; pfn += frames)
		free_and_merge(zone, pfn, zone->machine->config.pageblock_order);
}

void
gw_buddy_free_range(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t n)
{
	unsigned max_order = zone->machine->config.max_order;

	while (n > 0) {
		unsigned order = 0;

		while (order < max_order && n >> (order + 1) &&
			!(start & (((gw_pfn_t)2 << order) - 1)))
			order++;
		gw_buddy_free(zone, start, order);
		start += (gw_pfn_t)1 << order;
		n -= (gw_pfn_t)1 << order;
	}
}

/* Cut a block of order `from`, just taken, down to `order`: the upper halves go back. */
static void
expand(struct gw_zone *zone, gw_pfn_t pfn, unsigned order, unsigned from)
{
	while (from > order) {
		gw_pfn_t half;

		from--;
		half = pfn + ((gw_pfn_t)1 << from);
		list_insert(zone, half, from, gw_pageblock_type(zone->machine, half), false);
	}
}

static gw_pfn_t
take_smallest(struct gw_zone *zone, unsigned order, enum gw_migratetype type)
{
	uint32_t orders = gw_u32_load_relaxed(&zone->free_orders[type]) >> order << order;
	unsigned from;
	gw_pfn_t pfn;

	if (orders == 0)
		return GW_PFN_NONE;
	from = (unsigned)__builtin_ctz(orders);
	pfn = zone->free_area[from].lists[type].first;
	gw_buddy_remove(zone, pfn);
	expand(zone, pfn, order, from);
	return pfn;
}

/* Free frames of a pageblock, and frames in use that can move. Inexact for frames on other lists.
 */
static void
pageblock_census(const struct gw_zone *zone, gw_pfn_t start, unsigned *free, unsigned *movable)
{
	const struct gw_machine *m = zone->machine;
	gw_pfn_t end = start + gw_pageblock_frames(m);

	*free = *movable = 0;
	for (gw_pfn_t pfn = start; pfn < end;) {
		uint32_t flags = gw_page_flags(gw_page(m, pfn));
		gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

		if (gw_flags_type(flags) == GW_PAGE_BUDDY)
			*free += n;
		else if (gw_flags_type(flags) == GW_PAGE_USED &&
			 gw_page_is_movable(gw_page(m, pfn)))
			*movable += n;
		pfn += n;
	}
}

/*
 * Make the pageblocks that a foreign free block stands in `type`'s own: outright if it covers
 * them, else if half of the pageblock is free or already of a compatible kind.
 */
static bool
claim_pageblock(struct gw_zone *zone, gw_pfn_t pfn, unsigned order, enum gw_migratetype type)
{
	struct gw_machine *m = zone->machine;
	gw_pfn_t frames = gw_pageblock_frames(m);
	gw_pfn_t start = gw_pageblock_start(m, pfn);
	enum gw_migratetype old = gw_pageblock_type(m, pfn);
	unsigned free, movable, alike = 0;

	if (order >= m->config.pageblock_order) {
		gw_buddy_remove(zone, pfn);
		gw_pageblock_assign(zone, pfn, (gw_pfn_t)1 << order, type);
		gw_buddy_insert(zone, pfn, order, type);
		return true;
	}
	if (!gw_pageblock_is_whole(zone, pfn))
		return false;
	pageblock_census(zone, start, &free, &movable);
	if (type == GW_MT_MOVABLE)
		alike = movable;
	else if (old == GW_MT_MOVABLE)
		alike = frames - free - movable;
	if (free + alike < frames / 2)
		return false;
	gw_pageblock_retype(zone, start, type);
	return true;
}

/* Mixing types inside a pageblock: keep more free, so that reclaim restores whole blocks. */
static void
boost_watermark(struct gw_zone *zone)
{
	const struct gw_machine_config *config = &zone->machine->config;
	uint64_t frames = gw_pageblock_frames(zone->machine);
	uint64_t high = gw_u64_load_relaxed(&zone->wmark[GW_WMARK_HIGH]);
	uint64_t most = high * config->watermark_boost_factor / 10000;
	uint64_t boost = gw_u64_load_relaxed(&zone->wmark_boost) + frames;

	if (gw_u64_load_relaxed(&zone->managed) < frames * 4 || most == 0)
		return;
	if (most < frames)
		most = frames;
	gw_u64_store_relaxed(&zone->wmark_boost, boost < most ? boost : most);
}

/* May a block of this order make its pageblock change hands? (FACTS 2.2) */
static bool
claimable(const struct gw_machine *m, unsigned order, enum gw_migratetype type)
{
	return order >= m->config.pageblock_order / 2 || type != GW_MT_MOVABLE;
}

static gw_pfn_t
take_by_claiming(struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp)
{
	struct gw_machine *m = zone->machine;
	unsigned least = order;

	if (gfp & GW_GFP_NOFRAGMENT && least < m->config.pageblock_order)
		least = m->config.pageblock_order;
	for (unsigned o = m->config.max_order + 1; o-- > least;) {
		if (!claimable(m, o, type))
			return GW_PFN_NONE;
		for (unsigned i = 0; i < 2; i++) {
			gw_pfn_t pfn = zone->free_area[o].lists[fallbacks[type][i]].first;

			if (pfn == GW_PFN_NONE)
				continue;
			if (o < m->config.pageblock_order)
				boost_watermark(zone);
			if (!claim_pageblock(zone, pfn, o, type))
				continue;
			GW_PROBE6(
				mm_page_alloc_extfrag, pfn, order, o, type, fallbacks[type][i], 1);
			return take_smallest(zone, order, type);
		}
	}
	return GW_PFN_NONE;
}

static gw_pfn_t
take_by_stealing(struct gw_zone *zone, unsigned order, enum gw_migratetype type)
{
	for (unsigned o = order; o <= zone->machine->config.max_order; o++) {
		for (unsigned i = 0; i < 2; i++) {
			enum gw_migratetype from = fallbacks[type][i];
			gw_pfn_t pfn = zone->free_area[o].lists[from].first;

			if (pfn == GW_PFN_NONE)
				continue;
			GW_PROBE6(mm_page_alloc_extfrag, pfn, order, o, type, from, 0);
			gw_buddy_remove(zone, pfn);
			expand(zone, pfn, order, o);
			return pfn;
		}
	}
	return GW_PFN_NONE;
}

gw_pfn_t
gw_buddy_take(struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp)
{
	gw_pfn_t pfn = GW_PFN_NONE;
	uint64_t free = gw_u64_load_relaxed(&zone->nr_free);

	if (order > 0 && gfp & GW_GFP_HIGH)
		pfn = take_smallest(zone, order, GW_MT_HIGHATOMIC);
	/* Movable requests use CMA first once it holds most of what is free. */
	if (pfn == GW_PFN_NONE && type == GW_MT_MOVABLE &&
		gw_u64_load_relaxed(&zone->nr_free_cma) > free / 2)
		pfn = take_smallest(zone, order, GW_MT_CMA);
	if (pfn == GW_PFN_NONE)
		pfn = take_smallest(zone, order, type);
	if (pfn == GW_PFN_NONE && type == GW_MT_MOVABLE)
		pfn = take_smallest(zone, order, GW_MT_CMA);
	if (pfn == GW_PFN_NONE)
		pfn = take_by_claiming(zone, order, type, gfp);
	if (pfn == GW_PFN_NONE && !(gfp & GW_GFP_NOFRAGMENT))
		pfn = take_by_stealing(zone, order, type);
	return pfn;
}

void
gw_highatomic_reserve(struct gw_zone *zone, gw_pfn_t pfn)
{
	struct gw_machine *m = zone->machine;
	uint64_t most = gw_u64_load_relaxed(&zone->managed) / 100 / gw_pageblock_frames(m);

	if (zone->pageblocks[GW_MT_HIGHATOMIC] < most && gw_pageblock_is_whole(zone, pfn) &&
		gw_pageblock_type(m, pfn) < GW_MT_PCPTYPES)
		gw_pageblock_retype(zone, pfn, GW_MT_HIGHATOMIC);
}

bool
gw_highatomic_unreserve(struct gw_zone *zone, enum gw_migratetype type)
{
	struct gw_machine *m = zone->machine;

	for (unsigned o = 0; o <= m->config.max_order; o++) {
		gw_pfn_t pfn = zone->free_area[o].lists[GW_MT_HIGHATOMIC].first;

		while (pfn != GW_PFN_NONE && !gw_pageblock_is_whole(zone, pfn))
			pfn = gw_page(m, pfn)->next;
		if (pfn == GW_PFN_NONE)
			continue;
		gw_pageblock_retype(zone, pfn, type);
		return true;
	}
	return false;
}

gw_pfn_t
gw_isolate_free_block(struct gw_zone *zone, gw_pfn_t pfn)
{
	struct gw_machine *m = zone->machine;
	uint32_t flags = gw_page_flags(gw_page(m, pfn));
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

	if (gw_flags_type(flags) != GW_PAGE_BUDDY)
		return 0;
	if (gw_pageblock_type(m, pfn) != GW_MT_ISOLATE &&
		gw_u64_load_relaxed(&zone->nr_free) < gw_zone_wmark(zone, GW_WMARK_LOW) + n)
		return 0;
	gw_buddy_remove(zone, pfn);
	/* Held: in use by nobody yet, refcount 0. */
	gw_u32_store_relaxed(
		&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_USED, gw_flags_order(flags)));
	return n;
}

void
gw_free_block(struct gw_machine *m, gw_pfn_t pfn, unsigned order)
{
	struct gw_zone *zone = gw_page_zone(m, pfn);

	gw_spin_lock(&zone->lock);
	gw_u32_store_relaxed(&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_FREE, 0));
	gw_buddy_free(zone, pfn, order);
	gw_spin_unlock(&zone->lock);
}
