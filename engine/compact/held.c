/* SPDX-License-Identifier: MIT */
/*
 * held.c - free frames that a run holds as targets.
 *
 * Idea. Free blocks are held whole, in one list per order, and only split downwards: a page of
 * order k is served from the smallest held block of order >= k, lowest frames first, what is
 * left of it going to the front of the smaller lists (FACTS 3.7). A held block is headed by a
 * USED frame of its order with no reference; its other frames are FREE.
 */
#include "engine/compact/compact_internal.h"

static void
hold(struct gw_compact_run *run, gw_pfn_t pfn, unsigned order, bool front)
{
	gw_u32_store_relaxed(&gw_page(run->m, pfn)->flags, gw_flags_make(GW_PAGE_USED, order));
	if (front)
		gw_list_push_front(run->m, &run->held[order], pfn);
	else
		gw_list_push_back(run->m, &run->held[order], pfn);
	run->n_held += (uint64_t)1 << order;
}

gw_pfn_t
gw_hold_free_block(struct gw_compact_run *run, gw_pfn_t pfn, uint32_t flags)
{
	gw_pfn_t n;

	if (gw_fix(run->m, GW_FIX_BUDDY_ORDER_CLAMP))
		flags = gw_page_flags(gw_page(run->m, pfn)); /* R11 */
	n = gw_isolate_free_block(run->zone, pfn);
	if (n == 0)
		return 0;
	hold(run, pfn, gw_flags_order(flags), false);
	run->stats.isolated += n;
	return n;
}

bool
gw_serve_held(struct gw_compact_run *run, unsigned order, gw_pfn_t *out)
{
	unsigned max = run->m->config.max_order;
	unsigned o = order;
	gw_pfn_t pfn;

	while (o <= max && run->held[o].n == 0)
		o++;
	if (o > max)
		return false;
	pfn = gw_list_pop_front(run->m, &run->held[o]);
	run->n_held -= (uint64_t)1 << o;
	while (o > order) {
		o--;
		hold(run, pfn + ((gw_pfn_t)1 << o), o, true);
	}
	gw_prepare_page(run->m, pfn, order);
	*out = pfn;
	return true;
}

void
gw_hold_again(struct gw_compact_run *run, gw_pfn_t pfn, unsigned order)
{
	struct gw_page *page = gw_page(run->m, pfn);

	if (!gw_ref_freeze(&page->refcount, 1)) {
		gw_put_page(run->m, pfn);
		return;
	}
	gw_ptr_store_relaxed(&page->owner, NULL);
	for (gw_pfn_t i = 1; i < (gw_pfn_t)1 << order; i++)
		gw_u32_store_relaxed(&page[i].flags, gw_flags_make(GW_PAGE_FREE, 0));
	hold(run, pfn, order, true);
}

gw_pfn_t
gw_release_held(struct gw_compact_run *run)
{
	gw_pfn_t highest = 0;

	for (unsigned o = 0; o <= run->m->config.max_order; o++) {
		gw_pfn_t pfn;

		while ((pfn = gw_list_pop_front(run->m, &run->held[o])) != GW_PFN_NONE) {
			if (pfn > highest)
				highest = pfn;
			gw_free_block(run->m, pfn, o);
		}
	}
	run->n_held = 0;
	return highest;
}
