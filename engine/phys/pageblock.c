/* SPDX-License-Identifier: MIT */
/*
 * pageblock.c - one byte per pageblock: its migratetype and compaction's skip hint.
 *
 * Idea. ISOLATE is no type like the others but a bit beside them: whoever asks for the type of an
 * isolated pageblock is told ISOLATE, and its own type survives (FACTS 2.2).
 *
 * Invariants
 *   P1  zone->pageblocks[t] counts the pageblocks of type t whose first frame in the map that
 *       belongs to a zone belongs to this one
 *   P2  all frames of a pageblock that is OFFLINE are reserved
 */
#include "engine/phys/buddy.h"

static gw_atomic_u8 *
word(const struct gw_machine *m, gw_pfn_t pfn)
{
	return &m->pageblocks[pfn >> m->config.pageblock_order];
}

bool
gw_pageblock_skip(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_u8_load_relaxed(word(m, pfn)) & GW_PB_SKIP;
}

void
gw_pageblock_set_skip(struct gw_machine *m, gw_pfn_t pfn, bool skip)
{
	if (skip)
		gw_u8_or_relaxed(word(m, pfn), GW_PB_SKIP);
	else
		gw_u8_and_relaxed(word(m, pfn), (uint8_t)~GW_PB_SKIP);
}

/* The word of a pageblock that becomes `type`: ISOLATE keeps the type it had. */
static uint8_t
with_type(uint8_t old, enum gw_migratetype type)
{
	if (type == GW_MT_ISOLATE)
		return (uint8_t)(old | GW_PB_ISOLATE);
	return (uint8_t)((old & ~(GW_PB_TYPE | GW_PB_ISOLATE)) | (unsigned)type);
}

/* Set the type in the word; readers see the old type or the new one, skip bit intact. */
static void
set_type(struct gw_machine *m, gw_pfn_t pfn, enum gw_migratetype type)
{
	uint8_t old = gw_u8_load_relaxed(word(m, pfn));

	while (!gw_u8_cas_relaxed(word(m, pfn), &old, with_type(old, type)))
		;
}

bool
gw_pageblock_is_whole(const struct gw_zone *zone, gw_pfn_t pfn)
{
	gw_pfn_t start = gw_pageblock_start(zone->machine, pfn);

	return start >= zone->start && zone->end - start >= gw_pageblock_frames(zone->machine);
}

void
gw_pageblock_assign(struct gw_zone *zone, gw_pfn_t pfn, gw_pfn_t n, enum gw_migratetype type)
{
	struct gw_machine *m = zone->machine;

	for (gw_pfn_t b = pfn; b < pfn + n; b += gw_pageblock_frames(m)) {
		zone->pageblocks[gw_pageblock_type(m, b)]--;
		zone->pageblocks[type]++;
		set_type(m, b, type);
	}
}

/* Cut the free block larger than a pageblock that covers `start`, if there is one, around it. */
static void
cut_out(struct gw_zone *zone, gw_pfn_t start)
{
	struct gw_machine *m = zone->machine;

	for (unsigned o = m->config.pageblock_order + 1; o <= m->config.max_order; o++) {
		gw_pfn_t head = start & ~(((gw_pfn_t)1 << o) - 1);

		if (head < zone->start)
			return;
		if (gw_page_flags(gw_page(m, head)) != gw_flags_make(GW_PAGE_BUDDY, o))
			continue;
		gw_buddy_remove(zone, head);
		while (o-- > m->config.pageblock_order) {
			gw_pfn_t half = head + ((gw_pfn_t)1 << o);
			gw_pfn_t other = start < half ? half : head;

			gw_buddy_insert(zone, other, o, gw_pageblock_type(m, other));
			head = start < half ? head : half;
		}
		gw_buddy_insert(zone, head, m->config.pageblock_order, gw_pageblock_type(m, head));
		return;
	}
}

void
gw_pageblock_retype(struct gw_zone *zone, gw_pfn_t pfn, enum gw_migratetype type)
{
	struct gw_machine *m = zone->machine;
	gw_pfn_t start = gw_pageblock_start(m, pfn);
	gw_pfn_t end = start + gw_pageblock_frames(m);

	if (gw_pageblock_type(m, pfn) == type)
		return;
	cut_out(zone, start);
	gw_pageblock_assign(zone, start, 1, type);
	if (start < zone->start)
		start = zone->start;
	if (end > zone->end)
		end = zone->end;
	while (start < end) {
		uint32_t flags = gw_page_flags(gw_page(m, start));
		unsigned order = gw_flags_order(flags);

		if (gw_flags_type(flags) == GW_PAGE_BUDDY) {
			gw_buddy_remove(zone, start);
			if (order < m->config.pageblock_order)
				gw_buddy_insert(zone, start, order, type);
			else
				gw_buddy_free(zone, start, order); /* neighbours may suit it now */
		}
		start += (gw_pfn_t)1 << order;
	}
}

void
gw_pageblock_isolate(struct gw_zone *zone, gw_pfn_t pfn)
{
	gw_pageblock_retype(zone, pfn, GW_MT_ISOLATE);
}

void
gw_pageblock_unisolate(struct gw_zone *zone, gw_pfn_t pfn)
{
	uint8_t type = gw_u8_load_relaxed(word(zone->machine, pfn)) & GW_PB_TYPE;

	gw_pageblock_retype(zone, pfn, (enum gw_migratetype)type);
}

void
gw_pageblock_set_offline(struct gw_machine *m, gw_pfn_t pfn, bool offline)
{
	if (offline)
		gw_u8_or_relaxed(word(m, pfn), GW_PB_OFFLINE);
	else
		gw_u8_and_relaxed(word(m, pfn), (uint8_t)~GW_PB_OFFLINE);
}

bool
gw_pageblock_is_offline(const struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_u8_load_relaxed(word(m, pfn)) & GW_PB_OFFLINE;
}
