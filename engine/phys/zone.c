/* SPDX-License-Identifier: MIT */
/*
 * zone.c - a machine's zones and frames, read from outside (godwit/zone.h).
 */
#include <string.h>

#include "engine/phys/phys.h"

unsigned
gw_machine_zones(const struct gw_machine *m)
{
	return m->n_zones;
}

int
gw_zone_info(struct gw_machine *m, unsigned id, struct gw_zone_info *out)
{
	struct gw_zone *zone;

	if (id >= m->n_zones)
		return -EINVAL;
	zone = &m->zones[id];
	memset(out, 0, sizeof(*out));
	out->name = zone->name;
	out->node = zone->node;
	out->start = zone->start;
	out->end = zone->end;
	out->n_orders = m->config.max_order + 1;
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++) {
		gw_spin_lock(&zone->pcp[cpu].lock);
		out->pcp += zone->pcp[cpu].n_frames;
		gw_spin_unlock(&zone->pcp[cpu].lock);
	}
	gw_spin_lock(&zone->lock);
	out->managed = gw_u64_load_relaxed(&zone->managed);
	out->free = gw_u64_load_relaxed(&zone->nr_free);
	out->wmark_min = gw_u64_load_relaxed(&zone->wmark[GW_WMARK_MIN]);
	out->wmark_low = gw_u64_load_relaxed(&zone->wmark[GW_WMARK_LOW]);
	out->wmark_high = gw_u64_load_relaxed(&zone->wmark[GW_WMARK_HIGH]);
	out->boost = gw_u64_load_relaxed(&zone->wmark_boost);
	for (unsigned o = 0; o < out->n_orders; o++) {
		out->free_blocks[o] = zone->free_area[o].nr_free;
		for (unsigned t = 0; t < GW_MT_NR; t++)
			out->free_by_type[t][o] = zone->free_area[o].lists[t].n;
	}
	memcpy(out->pageblocks, zone->pageblocks, sizeof(out->pageblocks));
	memcpy(out->migrate_pfn, zone->compact.migrate_pfn, sizeof(out->migrate_pfn));
	out->free_pfn = zone->compact.free_pfn;
	out->defer_shift = zone->compact.defer_shift;
	out->defer_considered = zone->compact.considered;
	out->order_failed = (unsigned)zone->compact.order_failed;
	gw_spin_unlock(&zone->lock);
	return 0;
}

/* The head of the free block that covers an inner frame, and its order. */
static gw_pfn_t
free_block_of(const struct gw_machine *m, gw_pfn_t pfn, uint32_t *flags)
{
	for (unsigned o = 1; o <= m->config.max_order; o++) {
		gw_pfn_t head = pfn & ~(((gw_pfn_t)1 << o) - 1);

		*flags = gw_page_flags(gw_page(m, head));
		if (gw_flags_order(*flags) >= o && gw_flags_type(*flags) != GW_PAGE_FREE)
			return head;
	}
	return pfn;
}

static enum gw_frame_state
used_state(const struct gw_page *page, uint32_t flags)
{
	if (flags & GW_PG_ISOLATED)
		return GW_STATE_ISOLATED;
	return gw_page_is_movable(page) ? GW_STATE_MOVABLE : GW_STATE_USED;
}

int
gw_frame_info(const struct gw_machine *m, gw_pfn_t pfn, struct gw_frame_info *out)
{
	const struct gw_page *page;
	uint32_t flags;

	if (pfn >= m->n_frames)
		return -EINVAL;
	out->head = gw_page_head_seen(m, pfn);
	flags = gw_page_flags(gw_page(m, out->head));
	if (gw_flags_type(flags) == GW_PAGE_FREE)
		out->head = free_block_of(m, pfn, &flags);
	page = gw_page(m, out->head);
	out->order = gw_flags_order(flags);
	out->refcount = gw_ref_read(&page->refcount);
	out->index = gw_frame_index(page);
	out->migratetype = gw_pageblock_type(m, pfn);
	switch (gw_flags_type(flags)) {
	case GW_PAGE_BUDDY:
	case GW_PAGE_FREE:
		out->state = GW_STATE_BUDDY;
		break;
	case GW_PAGE_PCP:
		out->state = GW_STATE_PCP;
		break;
	case GW_PAGE_USED:
	case GW_PAGE_TAIL:
		out->state = used_state(page, flags);
		break;
	case GW_PAGE_RESERVED:
	default:
		out->state = GW_STATE_RESERVED;
		break;
	}
	return 0;
}
