/* SPDX-License-Identifier: MIT */
/*
 * range.c - a range of frames leaves the buddy lists, for somebody who wants just these.
 *
 * Idea. A range is taken when all of it is free. Its free blocks may stick out of it at both ends;
 * what is outside goes back to the lists in smaller blocks. Frames that go offline are then what
 * they were before they were seeded; their pageblocks remember it (P2).
 *
 * All functions: zone lock held.
 */
#include "engine/phys/buddy.h"

/* The head of the free block that pfn stands in, or GW_PFN_NONE. */
static gw_pfn_t
free_block_around(const struct gw_zone *zone, gw_pfn_t pfn)
{
	const struct gw_machine *m = zone->machine;

	for (unsigned o = 0; o <= m->config.max_order; o++) {
		gw_pfn_t head = pfn & ~(((gw_pfn_t)1 << o) - 1);
		uint32_t flags;

		if (head < zone->start)
			break;
		flags = gw_page_flags(gw_page(m, head));
		if (gw_flags_type(flags) == GW_PAGE_BUDDY && gw_flags_order(flags) >= o)
			return head;
	}
	return GW_PFN_NONE;
}

gw_pfn_t
gw_range_first_used(const struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end)
{
	const struct gw_machine *m = zone->machine;

	while (start < end) {
		gw_pfn_t head = free_block_around(zone, start);

		if (head == GW_PFN_NONE)
			return start;
		start = head + ((gw_pfn_t)1 << gw_flags_order(gw_page_flags(gw_page(m, head))));
	}
	return GW_PFN_NONE;
}

void
gw_range_take(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end)
{
	while (start < end) {
		gw_pfn_t head = free_block_around(zone, start), after;

		GW_BUG_ON(zone->machine, head == GW_PFN_NONE);
		after = head + ((gw_pfn_t)1 << gw_buddy_remove(zone, head));
		if (head < start)
			gw_buddy_free_range(zone, head, start - head);
		if (after > end)
			gw_buddy_free_range(zone, end, after - end);
		start = after;
	}
}

void
gw_range_offline(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end)
{
	struct gw_machine *m = zone->machine;

	for (gw_pfn_t pfn = start; pfn < end; pfn++)
		gw_u32_store_relaxed(&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_RESERVED, 0));
	for (gw_pfn_t pfn = start; pfn < end; pfn += gw_pageblock_frames(m)) {
		gw_pageblock_assign(zone, pfn, 1, GW_MT_MOVABLE);
		gw_pageblock_set_offline(m, pfn, true);
	}
	gw_u64_sub_relaxed(&zone->managed, end - start);
}

void
gw_range_online(struct gw_zone *zone, gw_pfn_t start, gw_pfn_t end)
{
	struct gw_machine *m = zone->machine;

	for (gw_pfn_t pfn = start; pfn < end; pfn += gw_pageblock_frames(m))
		gw_pageblock_set_offline(m, pfn, false);
	for (gw_pfn_t pfn = start; pfn < end; pfn++)
		gw_u32_store_relaxed(&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_FREE, 0));
	gw_u64_add_relaxed(&zone->managed, end - start);
	gw_buddy_free_range(zone, start, end - start);
}

bool
gw_range_is_offline(const struct gw_machine *m, gw_pfn_t start, gw_pfn_t end)
{
	for (gw_pfn_t pfn = start; pfn < end; pfn += gw_pageblock_frames(m))
		if (!gw_pageblock_is_offline(m, pfn))
			return false;
	return true;
}
