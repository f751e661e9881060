/* SPDX-License-Identifier: MIT */
/*
 * isolate_block.c - nothing new comes into a pageblock (FACTS 2.2).
 *
 * Idea. An isolated pageblock's free pages are on lists that nobody allocates from. Pages that were
 * on their way when it was isolated are on per-CPU lists: these are drained afterwards, and a page
 * that is freed later looks at the pageblock's type under its list's lock, so it is either found
 * by the drain or goes to the ISOLATE list by itself. Pages that are being allocated at that time
 * turn up as pages in use.
 *
 * A pageblock with a page that can never move is refused before anything is done to it. Three kinds
 * of frames have nobody's mark and are no obstacles: those held by a compaction (no reference), new
 * pages of a migration (locked), and free ones on their way to a list.
 */
#include "engine/compact/compact_internal.h"
#include "engine/compact/range.h"
#include "engine/migrate/isolate.h"
#include "engine/migrate/owner.h"

const char *
gw_obstacle_name(enum gw_obstacle_why why)
{
	static const char *const names[GW_WHY_NR] = {
		[GW_WHY_NOTHING] = "nothing",
		[GW_WHY_UNMOVABLE] = "unmovable",
		[GW_WHY_RESERVED] = "reserved",
		[GW_WHY_CMA] = "cma",
		[GW_WHY_ISOLATED] = "isolated",
		[GW_WHY_PINNED] = "pinned",
		[GW_WHY_WRITEBACK] = "writeback",
		[GW_WHY_NO_ROOM] = "no_room",
		[GW_WHY_BUSY] = "busy",
	};

	return names[why];
}

int
gw_range_init(struct gw_range *r, struct gw_machine *m, gw_pfn_t start, gw_pfn_t end)
{
	r->m = m;
	r->start = start;
	r->end = end;
	r->no_room = -1;
	*r->why = (struct gw_obstacle){.pfn = GW_PFN_NONE};
	if (start >= end || end > m->n_frames)
		return -EINVAL;
	r->zone = gw_page_zone(m, start);
	if (!r->zone || r->zone->end < end)
		return -EINVAL;
	return gw_pageblock_is_whole(r->zone, start) && gw_pageblock_is_whole(r->zone, end - 1)
		       ? 0
		       : -EINVAL;
}

static enum gw_obstacle_why
used_blocked_by(const struct gw_range *r, gw_pfn_t head, uint32_t flags)
{
	if (gw_range_dissolves(r->m, flags))
		return GW_WHY_NOTHING;
	if (gw_may_isolate_page(r->m, head, flags, GW_MIGRATE_SYNC) != -EINVAL)
		return GW_WHY_NOTHING;
	if (flags & GW_PG_LOCKED || gw_ref_read(&gw_page(r->m, head)->refcount) == 0)
		return GW_WHY_NOTHING;
	return GW_WHY_UNMOVABLE;
}

enum gw_obstacle_why
gw_range_blocked_by(const struct gw_range *r, gw_pfn_t pfn, gw_pfn_t *n)
{
	gw_pfn_t head = gw_page_head_seen(r->m, pfn);
	uint32_t flags = gw_page_flags(gw_page(r->m, head));

	*n = 1;
	switch (gw_flags_type(flags)) {
	case GW_PAGE_RESERVED:
		return GW_WHY_RESERVED;
	case GW_PAGE_USED:
		if (head + ((gw_pfn_t)1 << gw_flags_order(flags)) > pfn) /* else torn */
			*n = head + ((gw_pfn_t)1 << gw_flags_order(flags)) - pfn;
		return used_blocked_by(r, head, flags);
	case GW_PAGE_BUDDY:
		*n = (gw_pfn_t)1 << gw_flags_order(flags);
		return GW_WHY_NOTHING;
	case GW_PAGE_FREE:
	case GW_PAGE_PCP:
	case GW_PAGE_TAIL:
	default:
		return GW_WHY_NOTHING;
	}
}

enum gw_obstacle_why
gw_range_block_refused(const struct gw_range *r, gw_pfn_t pfn)
{
	enum gw_migratetype type = gw_pageblock_type(r->m, pfn);

	if (type == GW_MT_ISOLATE)
		return GW_WHY_ISOLATED;
	return (type == GW_MT_CMA) != (r->type == GW_MT_CMA) ? GW_WHY_CMA : GW_WHY_NOTHING;
}

bool
gw_range_is_pinned(const struct gw_range *r, gw_pfn_t head)
{
	/* The expected ones are those of an isolated page. */
	return !(gw_page_flags(gw_page(r->m, head)) & GW_PG_FREED) &&
	       gw_ref_read(&gw_page(r->m, head)->refcount) >= gw_owner_expected_refs(r->m, head);
}

/* The pageblock's part of the range; its first obstacle goes to *why. */
static bool
is_blocked(const struct gw_range *r, gw_pfn_t block)
{
	gw_pfn_t pfn = block < r->start ? r->start : block;
	gw_pfn_t end = block + gw_pageblock_frames(r->m), n;

	if (end > r->end)
		end = r->end;
	*r->why = (struct gw_obstacle){.pfn = pfn, .why = gw_range_block_refused(r, block)};
	for (; r->why->why == GW_WHY_NOTHING && pfn < end; pfn += n)
		*r->why = (struct gw_obstacle){.pfn = gw_page_head_seen(r->m, pfn),
			.why = gw_range_blocked_by(r, pfn, &n)};
	return r->why->why != GW_WHY_NOTHING;
}

static void
unisolate(const struct gw_range *r, gw_pfn_t block, gw_pfn_t end)
{
	for (; block < end; block += gw_pageblock_frames(r->m)) {
		gw_spin_lock(&r->zone->lock);
		gw_pageblock_unisolate(r->zone, block);
		gw_spin_unlock(&r->zone->lock);
	}
}

int
gw_range_isolate(struct gw_range *r)
{
	gw_pfn_t first = gw_pageblock_start(r->m, r->start), block;
	bool blocked = false;

	gw_lru_add_drain_all(r->m);
	for (block = first; block < r->end && !blocked; block += gw_pageblock_frames(r->m)) {
		gw_spin_lock(&r->zone->lock);
		blocked = is_blocked(r, block);
		if (!blocked)
			gw_pageblock_isolate(r->zone, block);
		gw_spin_unlock(&r->zone->lock);
	}
	if (blocked) {
		r->why->order = gw_flags_order(gw_page_flags(gw_page(r->m, r->why->pfn)));
		unisolate(r, first, block - gw_pageblock_frames(r->m)); /* V2 */
		return -EBUSY;
	}
	*r->why = (struct gw_obstacle){.pfn = GW_PFN_NONE};
	gw_drain_all_pages(r->m);
	return 0;
}

void
gw_range_unisolate(const struct gw_range *r)
{
	unisolate(r, gw_pageblock_start(r->m, r->start), r->end);
}
