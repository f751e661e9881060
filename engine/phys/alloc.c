/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - from a request to a page and back: watermarks, the zonelist, references.
 *
 * Idea. A request walks its node's zonelist and takes from the first zone whose free memory stays
 * above the watermark asked for. A page is born with one reference and dies with its last.
 */
#include <string.h>

#include "engine/phys/buddy.h"
#include "engine/phys/charge.h"
#include "engine/phys/hugetlb.h"
#include "engine/phys/probe.h"

uint64_t
gw_zone_wmark_unboosted(const struct gw_zone *zone, enum gw_wmark which)
{
	if (which == GW_WMARK_PROMO)
		return 2 * gw_u64_load_relaxed(&zone->wmark[GW_WMARK_HIGH]) -
		       gw_u64_load_relaxed(&zone->wmark[GW_WMARK_LOW]);
	return gw_u64_load_relaxed(&zone->wmark[which]);
}

uint64_t
gw_zone_wmark(const struct gw_zone *zone, enum gw_wmark which)
{
	uint64_t mark = gw_zone_wmark_unboosted(zone, which);

	if (which == GW_WMARK_MIN)
		return mark;
	return mark + gw_u64_load_relaxed(&zone->wmark_boost);
}

static bool
has_block(const struct gw_zone *zone, unsigned order, gw_gfp_t gfp)
{
	uint32_t orders = 0;

	for (unsigned t = 0; t < GW_MT_PCPTYPES; t++)
		orders |= gw_u32_load_relaxed(&zone->free_orders[t]);
	if (gfp & GW_GFP_MOVABLE)
		orders |= gw_u32_load_relaxed(&zone->free_orders[GW_MT_CMA]);
	if (gfp & GW_GFP_HIGH)
		orders |= gw_u32_load_relaxed(&zone->free_orders[GW_MT_HIGHATOMIC]);
	return orders >> order != 0;
}

bool
gw_zone_watermark_ok(
	const struct gw_zone *zone, unsigned order, uint64_t mark, gw_gfp_t gfp, unsigned class)
{
	uint64_t free = gw_u64_load_relaxed(&zone->nr_free);
	uint64_t unusable = ((uint64_t)1 << order) - 1;

	if (gfp & GW_GFP_HIGH)
		mark -= mark / 2;
	else
		unusable += gw_u64_load_relaxed(&zone->nr_free_highatomic);
	if (!(gfp & GW_GFP_MOVABLE))
		unusable += gw_u64_load_relaxed(&zone->nr_free_cma);
	if (free <= mark + zone->lowmem_reserve[class] + unusable)
		return false;
	return order == 0 || has_block(zone, order, gfp);
}

bool
gw_node_has_room(const struct gw_machine *m, unsigned node, enum gw_wmark mark, uint64_t n)
{
	unsigned class = m->zones[m->nodes[node].zonelist[0]].class;

	for (unsigned z = 0; z < m->n_zones; z++) {
		const struct gw_zone *zone = &m->zones[z];

		if (zone->node == node &&
			gw_zone_watermark_ok(
				zone, 0, gw_zone_wmark(zone, mark) + n, GW_GFP_MOVABLE, class))
			return true;
	}
	return false;
}

/* What the frames behind a head say. Their map counts were 0 when they were free. */
static void
make_tails(struct gw_page *head, unsigned order)
{
	for (gw_pfn_t i = 1; i < (gw_pfn_t)1 << order; i++) {
		gw_u32_store_relaxed(&head[i].flags, gw_flags_make(GW_PAGE_TAIL, 0));
		gw_u32_store_release(&head[i].index, i); /* the type first: gw_page_head() */
	}
	if (order == 0)
		return;
	gw_u32_store_relaxed(gw_page_entire_maps(head), 0);
	gw_u32_store_relaxed(gw_page_frame_maps(head, 0), 0);
}

void
gw_prepare_page(struct gw_machine *m, gw_pfn_t pfn, unsigned order)
{
	struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_flags_make(GW_PAGE_USED, order);

	if (order > 0)
		flags |= GW_PG_COMPOUND;
	make_tails(page, order);
	gw_frame_set_index(page, 0);
	gw_u32_store_relaxed(&page->mapcount, 0);
	gw_ptr_store_relaxed(&page->owner, NULL);
	gw_u32_store_relaxed(&page->flags, flags);
	gw_ref_set(&page->refcount, 1);
}

void
gw_page_unmake(struct gw_machine *m, gw_pfn_t pfn, unsigned order)
{
	struct gw_page *page = gw_page(m, pfn);

	gw_ptr_store_relaxed(&page->owner, NULL);
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		gw_u32_store_relaxed(&page[i].flags, gw_flags_make(GW_PAGE_FREE, 0));
}

/* The head of a page in use has fewer frames; others may set its flags meanwhile. */
static void
set_order(struct gw_page *head, unsigned order)
{
	uint32_t flags = gw_page_flags(head), next;

	do {
		next = (flags & ~(GW_PG_ORDER_MASK | GW_PG_COMPOUND)) |
		       (uint32_t)order << GW_PG_ORDER_SHIFT | (order > 0 ? GW_PG_COMPOUND : 0);
	} while (!gw_u32_cas_acq_rel(&head->flags, &flags, next));
}

/* A tail of the page of `head` becomes a head. */
static void
make_head(struct gw_page *page, const struct gw_page *head, unsigned order, uint32_t index,
	uint32_t flags)
{
	gw_u32_store_relaxed(&page->mapcount, 0);
	gw_ptr_store_relaxed(&page->owner, gw_ptr_load_relaxed(&head->owner));
	/* The type before the index: gw_page_head() */
	gw_u32_store_relaxed(&page->flags,
		gw_flags_make(GW_PAGE_USED, order) | (order > 0 ? GW_PG_COMPOUND : 0) | flags);
	gw_u32_store_release(&page->index, index);
}

void
gw_split_piece(struct gw_machine *m, gw_pfn_t head, gw_pfn_t i, unsigned order, uint32_t index,
	uint32_t flags)
{
	struct gw_page *page = gw_page(m, head + i);

	if (i == 0)
		set_order(page, order);
	else
		make_head(page, gw_page(m, head), order, index, flags);
	/* The head before its tails: who comes from one of these finds a page, and its lock. */
	make_tails(page, order);
}

void
gw_split_page(struct gw_machine *m, gw_pfn_t pfn, unsigned order, uint32_t refs)
{
	struct gw_page *head = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(head) & /* all but LOCKED, WAITERS and COMPOUND */
			 (GW_PG_ISOLATED | GW_PG_LRU_HELD | GW_PG_ACTIVE | GW_PG_FILE |
				 GW_PG_UNEVICTABLE | GW_PG_DIRTY);

	GW_CHECK_ON(m, gw_page_flags(head) & GW_PG_LRU);
	for (gw_pfn_t i = 1; i < (gw_pfn_t)1 << order; i++) {
		gw_split_piece(m, pfn, i, 0, gw_frame_index(head), flags);
		gw_ref_add(&head[i].refcount, refs);
	}
	gw_split_piece(m, pfn, 0, 0, 0, 0);
}

static gw_pfn_t
take(struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp)
{
	gw_pfn_t pfn = GW_PFN_NONE;

	/* High-order atomic requests go past the per-CPU lists to their reserve. */
	if (gw_pcp_order(zone->machine, order) && !(order > 0 && gfp & GW_GFP_HIGH))
		return gw_pcp_take(zone, order, type, gfp);
	gw_spin_lock(&zone->lock);
	pfn = gw_buddy_take(zone, order, type, gfp);
	if (pfn != GW_PFN_NONE && order > 0 && gfp & GW_GFP_HIGH)
		gw_highatomic_reserve(zone, pfn);
	gw_spin_unlock(&zone->lock);
	if (pfn != GW_PFN_NONE)
		gw_count(zone->machine, GW_VM_PGALLOC, (uint64_t)1 << order);
	return pfn;
}

static bool
unreserve_highatomic(
	struct gw_machine *m, const struct gw_node *node, uint64_t nodes, enum gw_migratetype type)
{
	bool done = false;

	for (unsigned i = 0; i < node->n_zonelist && !done; i++) {
		struct gw_zone *zone = &m->zones[node->zonelist[i]];

		if (!gw_zone_in(zone, nodes))
			continue;
		gw_spin_lock(&zone->lock);
		done = gw_highatomic_unreserve(zone, type);
		gw_spin_unlock(&zone->lock);
	}
	return done;
}

static gw_pfn_t
walk_zonelist(struct gw_machine *m, const struct gw_node *node, uint64_t nodes, gw_gfp_t gfp,
	unsigned order, enum gw_wmark mark)
{
	unsigned class = m->zones[node->zonelist[0]].class;

	for (unsigned i = 0; i < node->n_zonelist; i++) {
		struct gw_zone *zone = &m->zones[node->zonelist[i]];
		gw_pfn_t pfn;

		if (!gw_zone_in(zone, nodes))
			continue;
		if (!(gfp & GW_GFP_NO_WATERMARKS) &&
			!gw_zone_watermark_ok(zone, order, gw_zone_wmark(zone, mark), gfp, class))
			continue;
		pfn = take(zone, order, gw_gfp_migratetype(gfp), gfp);
		if (pfn != GW_PFN_NONE)
			return pfn;
	}
	return GW_PFN_NONE;
}

void
gw_clear_frames(struct gw_machine *m, gw_pfn_t first, gw_pfn_t n)
{
	for (gw_pfn_t pfn = first; pfn < first + n; pfn++) {
		void *bytes = m->ops->frame_address(m->ctx, pfn);

		if (bytes)
			memset(bytes, 0, GW_PAGE_SIZE);
	}
}

void
gw_finish_alloc(struct gw_machine *m, gw_pfn_t pfn, unsigned order, gw_gfp_t gfp)
{
	GW_PROBE3(mm_page_alloc, pfn, order, gfp);
	gw_prepare_page(m, pfn, order);
	if (gfp & GW_GFP_ZERO)
		gw_clear_frames(m, pfn, (gw_pfn_t)1 << order);
}

int
gw_alloc_from_nodes(struct gw_machine *m, gw_gfp_t gfp, unsigned node_id, uint64_t nodes,
	unsigned order, enum gw_wmark mark, gw_pfn_t *out)
{
	const struct gw_node *node = &m->nodes[node_id];
	gw_pfn_t pfn = walk_zonelist(m, node, nodes, gfp, order, mark);

	/* Under pressure the reserve for high-order atomic requests is given up, block by block. */
	while (pfn == GW_PFN_NONE && mark == GW_WMARK_MIN &&
		unreserve_highatomic(m, node, nodes, gw_gfp_migratetype(gfp)))
		pfn = walk_zonelist(m, node, nodes, gfp, order, mark);
	if (pfn == GW_PFN_NONE)
		return -ENOMEM;
	gw_finish_alloc(m, pfn, order, gfp);
	*out = pfn;
	return 0;
}

int
gw_alloc_from_zonelist(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order,
	enum gw_wmark mark, gw_pfn_t *out)
{
	return gw_alloc_from_nodes(m, gfp, node, gw_gfp_nodes(gfp, node), order, mark, out);
}

void
gw_get_page(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_ref_get(&gw_page(m, gw_page_head(m, pfn))->refcount);
}

bool
gw_get_page_unless_zero(struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_ref_get_unless_zero(&gw_page(m, pfn)->refcount);
}

static void
free_page(struct gw_machine *m, gw_pfn_t pfn)
{
	struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(page);
	unsigned order = gw_flags_order(flags);

	GW_BUG_ON(m, gw_flags_type(flags) != GW_PAGE_USED);
	GW_CHECK_ON(m, gw_u32_load_relaxed(&page->mapcount) != 0);
	GW_CHECK_ON(m, flags & (GW_PG_LOCKED | GW_PG_LRU_HELD | GW_PG_ISOLATED | GW_PG_WRITEBACK |
				       GW_PG_SWAPCACHE | GW_PG_PRIVATE));
	if (flags & GW_PG_LRU)
		gw_lru_release(m, pfn);
	if (flags & GW_PG_DEFERRED)
		gw_deferred_remove(m, pfn);
	if (flags & GW_PG_CHARGED)
		gw_charge_end(m, pfn);
	if (flags & GW_PG_HUGETLB && gw_hugetlb_release(m, pfn))
		return;
	GW_PROBE2(mm_page_free, pfn, order);
	gw_page_unmake(m, pfn, order);
	gw_pcp_free(gw_page_zone(m, pfn), pfn, order);
}

void
gw_put_page(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_pfn_t head = gw_page_head(m, pfn);

	if (gw_ref_put(&gw_page(m, head)->refcount))
		free_page(m, head);
}
