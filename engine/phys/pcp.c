/* SPDX-License-Identifier: MIT */
/*
 * pcp.c - per-CPU page lists: a batch of free pages before the zone lock.
 *
 * Idea. Most requests are small and of three migratetypes, so each CPU keeps such pages at hand.
 * Lists refill `batch` frames at a time and drain when they hold more than `high`; the page freed
 * last is handed out first, the one freed first drains first. What stands here is free, yet no
 * buddy sees it: it does not merge, and compaction cannot use it (FACTS 2.2, 3.5).
 *
 * Invariant Q1: pcp->n_frames == sum over lists of (pages << order of the list).
 * Locks: pcp->lock, over zone->lock while refilling and draining.
 */
#include "engine/phys/buddy.h"
#include "engine/phys/probe.h"

static unsigned
list_index(unsigned order, enum gw_migratetype type)
{
	unsigned row = order < GW_PCP_SMALL_ORDERS ? order : GW_PCP_SMALL_ORDERS;

	return row * GW_MT_PCPTYPES + type;
}

static unsigned
list_order(const struct gw_machine *m, unsigned index)
{
	unsigned row = index / GW_MT_PCPTYPES;

	return row < GW_PCP_SMALL_ORDERS ? row : m->config.pageblock_order;
}

void
gw_pcp_insert(struct gw_zone *zone, struct gw_pcp *pcp, gw_pfn_t pfn, unsigned order,
	enum gw_migratetype type)
{
	struct gw_page *page = gw_page(zone->machine, pfn);

	gw_frame_set_index(page, type);
	gw_u32_store_relaxed(&page->flags, gw_flags_make(GW_PAGE_PCP, order));
	gw_list_push_front(zone->machine, &pcp->lists[list_index(order, type)], pfn);
	pcp->n_frames += 1u << order;
}

/* Take from list `i`, from its end if `oldest`; the head becomes FREE. pcp->lock held. */
static gw_pfn_t
pcp_remove(struct gw_zone *zone, struct gw_pcp *pcp, unsigned i, bool oldest)
{
	struct gw_machine *m = zone->machine;
	gw_pfn_t pfn =
		oldest ? gw_list_pop_back(m, &pcp->lists[i]) : gw_list_pop_front(m, &pcp->lists[i]);

	if (pfn == GW_PFN_NONE)
		return pfn;
	gw_u32_store_relaxed(&gw_page(m, pfn)->flags, gw_flags_make(GW_PAGE_FREE, 0));
	pcp->n_frames -= 1u << list_order(m, i);
	return pfn;
}

/* The lists that are not empty, a bit each. */
static uint32_t
lists_in_use(const struct gw_pcp *pcp)
{
	uint32_t lists = 0;

	for (unsigned i = 0; i < GW_PCP_LISTS; i++)
		lists |= (uint32_t)(pcp->lists[i].n > 0) << i;
	return lists;
}

/* Give at least `frames` back to the buddy lists, round robin over the lists, oldest first. */
static void
drain(struct gw_zone *zone, struct gw_pcp *pcp, uint32_t frames)
{
	uint32_t left = pcp->n_frames > frames ? pcp->n_frames - frames : 0;
	uint32_t lists = lists_in_use(pcp);

	gw_spin_lock(&zone->lock);
	for (uint32_t round = lists; pcp->n_frames > left; round = round ? round : lists) {
		unsigned i = (unsigned)__builtin_ctz(round);
		gw_pfn_t pfn = pcp_remove(zone, pcp, i, true);

		round &= round - 1;
		if (pcp->lists[i].n == 0)
			lists &= ~(UINT32_C(1) << i);
		GW_PROBE3(
			mm_page_pcpu_drain, pfn, list_order(zone->machine, i), i % GW_MT_PCPTYPES);
		gw_buddy_free(zone, pfn, list_order(zone->machine, i));
	}
	gw_spin_unlock(&zone->lock);
}

static void
refill(struct gw_zone *zone, struct gw_pcp *pcp, unsigned order, enum gw_migratetype type,
	gw_gfp_t gfp)
{
	struct gw_machine *m = zone->machine;
	uint32_t n = pcp->batch >> order;
	unsigned i = list_index(order, type);

	if (n == 0)
		n = 1;
	gw_spin_lock(&zone->lock);
	while (n-- > 0) {
		gw_pfn_t pfn = gw_buddy_take(zone, order, type, gfp);
		struct gw_page *page;

		if (pfn == GW_PFN_NONE)
			break;
		page = gw_page(m, pfn);
		gw_frame_set_index(page, type);
		gw_u32_store_relaxed(&page->flags, gw_flags_make(GW_PAGE_PCP, order));
		gw_list_push_back(m, &pcp->lists[i], pfn);
		pcp->n_frames += 1u << order;
	}
	gw_spin_unlock(&zone->lock);
}

gw_pfn_t
gw_pcp_take(struct gw_zone *zone, unsigned order, enum gw_migratetype type, gw_gfp_t gfp)
{
	struct gw_pcp *pcp = &zone->pcp[gw_current_cpu()];
	unsigned i = list_index(order, type);
	gw_pfn_t pfn;

	gw_spin_lock(&pcp->lock);
	if (pcp->lists[i].n == 0)
		refill(zone, pcp, order, type, gfp);
	pfn = pcp_remove(zone, pcp, i, false);
	if (pfn != GW_PFN_NONE)
		pcp->allocs += 1u << order;
	gw_spin_unlock(&pcp->lock);
	return pfn;
}

void
gw_pcp_free(struct gw_zone *zone, gw_pfn_t pfn, unsigned order)
{
	struct gw_pcp *pcp = &zone->pcp[gw_current_cpu()];
	enum gw_migratetype type;

	gw_spin_lock(&pcp->lock);
	/* Under the lock: who isolates a pageblock drains the lists then, and finds all of it. */
	type = gw_pageblock_type(zone->machine, pfn);
	pcp->frees += 1u << order;
	if (type < GW_MT_PCPTYPES && gw_pcp_order(zone->machine, order)) {
		gw_pcp_insert(zone, pcp, pfn, order, type);
		if (pcp->n_frames > pcp->high)
			drain(zone, pcp, pcp->n_frames - pcp->high + pcp->batch);
	} else {
		gw_spin_lock(&zone->lock);
		gw_buddy_free(zone, pfn, order);
		gw_spin_unlock(&zone->lock);
	}
	gw_spin_unlock(&pcp->lock);
}

static void
drain_cpu(struct gw_machine *m, unsigned cpu)
{
	for (unsigned z = 0; z < m->n_zones; z++) {
		struct gw_zone *zone = &m->zones[z];
		struct gw_pcp *pcp = &zone->pcp[cpu];

		gw_spin_lock(&pcp->lock);
		if (pcp->n_frames > 0)
			drain(zone, pcp, pcp->n_frames);
		gw_spin_unlock(&pcp->lock);
	}
}

void
gw_drain_pages(struct gw_machine *m)
{
	drain_cpu(m, gw_current_cpu());
}

void
gw_drain_all_pages(struct gw_machine *m)
{
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		drain_cpu(m, cpu);
}
