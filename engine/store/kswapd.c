/* SPDX-License-Identifier: MIT */
/*
 * kswapd.c - background reclaim, one for each node.
 *
 * Idea. Between the low watermark, where allocations wake it, and the high one, where it is
 * content. A word of the node says whether anybody has asked: IDLE is set before a round begins and
 * cleared by whoever wants one, so that a wish made while a round runs is another round.
 *
 * A boost of a zone's watermarks asks for room to fall back into without mixing types (FACTS 2.1,
 * 2.2). It is paid with what costs nothing: clean pages of files; and whether that was enough or
 * not, the boosts that a round began with are over at its end. Compaction is the business of those
 * who want high orders.
 */
#include "engine/store/reclaim_internal.h"

#define KSWAPD_IDLE    0x1u
#define KSWAPD_WAITERS 0x2u
#define KSWAPD_STOP    0x4u

/* Frames that a zone lacks to be above its high watermark, with its boost or without. */
static uint64_t
lacks(const struct gw_zone *zone, bool boosted)
{
	uint64_t high = boosted ? gw_zone_wmark(zone, GW_WMARK_HIGH)
				: gw_u64_load_relaxed(&zone->wmark[GW_WMARK_HIGH]);
	uint64_t free = gw_u64_load_relaxed(&zone->nr_free);
	uint64_t reserve = gw_u64_load_relaxed(&zone->nr_free_highatomic);

	if (!gw_u64_load_relaxed(&zone->managed) || free > high + reserve)
		return 0;
	return high + reserve + 1 - free;
}

static uint64_t
node_lacks(const struct gw_machine *m, unsigned node, bool boosted)
{
	uint64_t n = 0;

	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			n += lacks(&m->zones[z], boosted);
	return n;
}

/* One pass over the node's lists. */
static void
run_pass(struct gw_machine *m, unsigned node, unsigned priority, uint64_t *freed)
{
	bool short_of = node_lacks(m, node, false) > 0;
	struct gw_reclaim_run run = {
		.m = m,
		.gfp = short_of ? GW_GFP_KERNEL : 0,
		.swap = short_of && gw_reclaim_may_swap(m),
		.background = true,
		.priority = priority,
		.wanted = node_lacks(m, node, true),
	};

	if (run.wanted < GW_RECLAIM_BATCH)
		run.wanted = GW_RECLAIM_BATCH;
	gw_reclaim_node(&run, &m->nodes[node]);
	gw_drain_pages(m); /* what was freed is for everybody */
	*freed += run.freed;
}

static void
lower_boost(struct gw_zone *zone, uint64_t by)
{
	uint64_t boost;

	if (!by)
		return;
	gw_spin_lock(&zone->lock);
	boost = gw_u64_load_relaxed(&zone->wmark_boost);
	gw_u64_store_relaxed(&zone->wmark_boost, boost > by ? boost - by : 0);
	gw_spin_unlock(&zone->lock);
}

bool
gw_balance_node(struct gw_machine *m, unsigned node)
{
	uint64_t boosts[GW_ZONES_MAX], freed = 0, most;
	unsigned priority = GW_RECLAIM_PRIORITY + 1;
	uint32_t before;

	if (node >= m->n_nodes || !node_lacks(m, node, true))
		return true;
	gw_might_sleep();
	gw_count(m, GW_VM_PAGEOUTRUN, 1);
	for (unsigned z = 0; z < m->n_zones; z++)
		boosts[z] = gw_u64_load_relaxed(&m->zones[z].wmark_boost);
	/* What then is still missing is in a zone that these lists do not help. */
	most = 2 * node_lacks(m, node, true) + GW_RECLAIM_BATCH;
	before = gw_memalloc_begin();
	while (priority-- > 0 && freed < most && node_lacks(m, node, true))
		run_pass(m, node, priority, &freed);
	gw_memalloc_end(before);
	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			lower_boost(&m->zones[z], boosts[z]);
	return !node_lacks(m, node, true);
}

static void
wake(struct gw_machine *m, unsigned node)
{
	gw_atomic_u32 *word = &m->nodes[node].kswapd;

	/* release: who sets it again, sees why it was cleared */
	if (gw_u32_and_release(word, ~KSWAPD_IDLE) & KSWAPD_WAITERS)
		gw_bit_wake(&m->page_waits, word, KSWAPD_IDLE, KSWAPD_WAITERS);
}

void
gw_wake_kswapd(struct gw_machine *m, uint64_t nodes)
{
	for (unsigned node = 0; node < m->n_nodes; node++)
		if (nodes & m->memory_nodes & (uint64_t)1 << node)
			wake(m, node);
}

void
gw_kswapd(struct gw_machine *m, unsigned node)
{
	gw_atomic_u32 *word = &m->nodes[node].kswapd;

	while (!(gw_u32_or_acquire(word, KSWAPD_IDLE) & KSWAPD_STOP)) {
		(void)gw_balance_node(m, node);
		gw_flag_wait(&m->page_waits, word, KSWAPD_IDLE, KSWAPD_WAITERS);
	}
	gw_u32_and_relaxed(word, ~(KSWAPD_STOP | KSWAPD_IDLE));
}

void
gw_kswapd_stop(struct gw_machine *m, unsigned node)
{
	gw_u32_or_relaxed(&m->nodes[node].kswapd, KSWAPD_STOP);
	wake(m, node);
}
