/* SPDX-License-Identifier: MIT */
/*
 * suitable.c - is compacting a zone worth trying? (D17, D18)
 *
 * Idea. Copies need room: besides the watermark, twice the wanted block must be free, in
 * whatever pieces. For costly orders the fragmentation index then says whether an allocation
 * fails for want of memory (towards 0: reclaim is the cure) or of contiguity (towards 1000).
 */
#include "engine/compact/compact_internal.h"

static enum gw_wmark
wmark_of(unsigned order)
{
	return order > GW_COSTLY_ORDER ? GW_WMARK_LOW : GW_WMARK_MIN;
}

/* CMA pages may hold the copies: they count as free. */
uint64_t
gw_compact_lacks_room(const struct gw_zone *zone, unsigned order)
{
	uint64_t gap = (uint64_t)2 << order;
	uint64_t needs = gw_zone_wmark(zone, wmark_of(order)) + gap + zone->lowmem_reserve[0] +
			 gw_u64_load_relaxed(&zone->nr_free_highatomic) + 1;
	uint64_t free = gw_u64_load_relaxed(&zone->nr_free);

	return free < needs ? needs - free : 0;
}

bool
gw_compact_has_room(const struct gw_zone *zone, unsigned order)
{
	return gw_compact_lacks_room(zone, order) == 0;
}

static int
zone_index(struct gw_zone *zone, unsigned order)
{
	uint64_t blocks[GW_ORDERS_MAX];
	unsigned n = zone->machine->config.max_order + 1;

	gw_spin_lock(&zone->lock);
	for (unsigned o = 0; o < n; o++)
		blocks[o] = zone->free_area[o].nr_free;
	gw_spin_unlock(&zone->lock);
	return gw_fragmentation_index(blocks, n, order);
}

static bool
can_allocate(struct gw_zone *zone, unsigned order)
{
	bool ok;

	gw_spin_lock(&zone->lock);
	ok = gw_zone_watermark_ok(
		zone, order, gw_zone_wmark(zone, GW_WMARK_MIN), GW_GFP_MOVABLE, 0);
	gw_spin_unlock(&zone->lock);
	return ok;
}

enum gw_compact_result
gw_compact_suitable(struct gw_machine *m, unsigned id, int order)
{
	struct gw_zone *zone;
	int index;

	if (id >= m->n_zones || order > (int)m->config.max_order)
		return GW_COMPACT_NOT_SUITABLE_ZONE;
	zone = &m->zones[id];
	if (order < 0)
		return GW_COMPACT_CONTINUE;
	if (can_allocate(zone, (unsigned)order))
		return GW_COMPACT_SUCCESS;
	if (!gw_compact_has_room(zone, (unsigned)order))
		return GW_COMPACT_SKIPPED;
	if (order <= GW_COSTLY_ORDER)
		return GW_COMPACT_CONTINUE;
	index = zone_index(zone, (unsigned)order);
	if (index >= 0 && index <= m->config.extfrag_threshold)
		return GW_COMPACT_NOT_SUITABLE_ZONE;
	return GW_COMPACT_CONTINUE;
}
