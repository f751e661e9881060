/* SPDX-License-Identifier: MIT */
/*
 * empty_range.c - moving everything out of an isolated range.
 *
 * Idea. A round goes over the range once: pages are isolated GW_CLUSTER_MAX at a time and migrated
 * in SYNC mode to frames elsewhere; none in the range can be a target (V1). Pages that would not
 * move are put back. When the round is over, the lists that pages are freed to are drained, and all
 * of the range may be free: it is taken under the zone lock in the step that sees that.
 *
 * Locks: zone lock, for the look and the take. Without room for copies, memory is reclaimed, and
 * compacted for pages of a pool, before the next round.
 */
#include "engine/compact/compact_internal.h"
#include "engine/compact/range.h"
#include "engine/phys/hugetlb.h"
#include "engine/store/store.h"

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct gw_range *r = ctx;
	bool pool = gw_page_flags(gw_page(m, src)) & GW_PG_HUGETLB;
	gw_gfp_t gfp = GW_GFP_USER_MOVABLE;
	int err;

	*dst = gw_hugetlb_take_target(m, src, r->zone->node, GW_ALL_NODES);
	if (*dst != GW_PFN_NONE)
		return 0;
	/* A new page of another node would be that node's pool's: only where this one's memory goes
	 * away for good. */
	if (pool && r->reason != GW_MR_MEMORY_HOTPLUG)
		gfp |= GW_GFP_THISNODE;
	err = gw_alloc_from_zonelist(m, gfp, r->zone->node, order, GW_WMARK_MIN, dst);
	if (err && (order == 0 || pool) && r->no_room < (int)order) /* others are split */
		r->no_room = (int)order;
	return err;
}

static void
make_room(struct gw_range *r)
{
	struct gw_compact_request request = {.order = r->no_room, .mode = GW_MIGRATE_SYNC};

	if (r->no_room >= 0)
		(void)gw_direct_reclaim(r->m, GW_ALL_NODES, 1, GW_GFP_KERNEL);
	if (r->no_room > 0)
		(void)gw_compact_zone(r->m, r->zone->id, &request, NULL);
	r->no_room = -1;
}

/* Isolate pages from pfn on, until a batch is full. Returns where to go on. */
static gw_pfn_t
collect(const struct gw_range *r, gw_pfn_t pfn, struct gw_page_list *list)
{
	struct gw_machine *m = r->m;

	while (pfn < r->end && list->n < GW_CLUSTER_MAX) {
		gw_pfn_t head = gw_page_head_seen(m, pfn);
		uint32_t flags = gw_page_flags(gw_page(m, head));
		gw_pfn_t next = pfn + 1;

		switch (gw_flags_type(flags)) {
		case GW_PAGE_USED:
			if (head + ((gw_pfn_t)1 << gw_flags_order(flags)) > pfn) /* else torn */
				next = head + ((gw_pfn_t)1 << gw_flags_order(flags));
			/* If it stays, gw_range_try_take() will say why. */
			if (gw_range_dissolves(m, flags))
				(void)!gw_hugetlb_dissolve(m, head);
			else
				(void)!gw_isolate_page(m, head, GW_MIGRATE_SYNC, list);
			break;
		case GW_PAGE_BUDDY:
			next = pfn + ((gw_pfn_t)1 << gw_flags_order(flags));
			break;
		default:
			break;
		}
		pfn = next;
	}
	return pfn;
}

int
gw_range_move_out(struct gw_range *r)
{
	const struct gw_migrate_target target = {.get_new_page = get_new_page, .ctx = r};
	struct gw_machine *m = r->m;
	struct gw_page_list list;

	make_room(r);
	gw_page_list_init(&list);
	gw_lru_add_drain_all(m);
	for (gw_pfn_t pfn = r->start; pfn < r->end;) {
		if (gw_compact_interrupted())
			return -EINTR;
		pfn = collect(r, pfn, &list);
		if (!list.n)
			continue;
		if (gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, r->reason, NULL))
			gw_putback_movable_pages(m, &list);
	}
	gw_lru_add_drain_all(m);
	gw_drain_all_pages(m);
	return gw_compact_interrupted() ? -EINTR : 0;
}

/* Why is the page at pfn still there? */
static enum gw_obstacle_why
why_it_stays(const struct gw_range *r, gw_pfn_t pfn)
{
	gw_pfn_t head = gw_page_head_seen(r->m, pfn), n;
	enum gw_obstacle_why why = gw_range_blocked_by(r, pfn, &n);
	uint32_t flags = gw_page_flags(gw_page(r->m, head));

	if (why != GW_WHY_NOTHING || gw_flags_type(flags) != GW_PAGE_USED)
		return why != GW_WHY_NOTHING ? why : GW_WHY_BUSY;
	if (flags & GW_PG_WRITEBACK)
		return GW_WHY_WRITEBACK;
	if (flags & (GW_PG_LOCKED | GW_PG_ISOLATED))
		return GW_WHY_BUSY;
	if (gw_range_is_pinned(r, head))
		return GW_WHY_PINNED;
	return r->no_room >= 0 ? GW_WHY_NO_ROOM : GW_WHY_BUSY;
}

bool
gw_range_try_take(struct gw_range *r)
{
	struct gw_zone *zone = r->zone;
	gw_pfn_t first;

	gw_spin_lock(&zone->lock);
	first = gw_range_first_used(zone, r->start, r->end);
	if (first == GW_PFN_NONE)
		gw_range_take(zone, r->start, r->end);
	gw_spin_unlock(&zone->lock);
	if (first == GW_PFN_NONE)
		return true;
	*r->why = (struct gw_obstacle){
		.pfn = gw_page_head_seen(r->m, first),
		.why = why_it_stays(r, first),
	};
	r->why->order = gw_flags_order(gw_page_flags(gw_page(r->m, r->why->pfn)));
	return false;
}
