/* SPDX-License-Identifier: MIT */
/*
 * kswapd.c - background reclaim, one for each node.
 *
 * Idea. Between the low watermark, where allocations wake it, and the high one, where it is
 * content; where hot pages are promoted to, the one above, so that they find room. How it is woken:
 * engine/phys/daemon.c.
 *
 * A boost of a zone's watermarks asks for room to fall back into without mixing types (FACTS 2.1,
 * 2.2). It is paid with what costs nothing: clean pages of files; and whether that was enough or
 * not, the boosts that a round began with are over at its end. Memory that was freed for a high
 * order, or for a boost, may be in pieces: the background compaction is woken to put them together.
 */
#include "engine/store/reclaim_internal.h"

/* Frames that a zone lacks to be above the watermark, with its boost or without. */
static uint64_t
lacks(const struct gw_zone *zone, enum gw_wmark which, bool boosted)
{
	uint64_t mark = boosted ? gw_zone_wmark(zone, which) : gw_zone_wmark_unboosted(zone, which);
	uint64_t free = gw_u64_load_relaxed(&zone->nr_free);
	uint64_t reserve = gw_u64_load_relaxed(&zone->nr_free_highatomic);

	if (!gw_u64_load_relaxed(&zone->managed) || free > mark + reserve)
		return 0;
	return mark + reserve + 1 - free;
}

static uint64_t
node_lacks(const struct gw_machine *m, unsigned node, bool boosted)
{
	bool filled = m->numa.balancing & GW_BALANCING_TIERING && m->nodes[node].top_tier;
	enum gw_wmark which = filled ? GW_WMARK_PROMO : GW_WMARK_HIGH;
	uint64_t n = 0;

	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			n += lacks(&m->zones[z], which, boosted);
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
		.by = GW_BY_KSWAPD,
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

static void
balance(struct gw_machine *m, unsigned node)
{
	/* What then is still missing is in a zone that these lists do not help. */
	const uint64_t most = 2 * node_lacks(m, node, true) + GW_RECLAIM_BATCH;
	unsigned priority = GW_RECLAIM_PRIORITY + 1;
	uint64_t freed = 0;
	uint32_t before;

	gw_count(m, GW_VM_PAGEOUTRUN, 1);
	gw_daemon_set_working(&m->nodes[node].kswapd, true);
	before = gw_memalloc_begin();
	while (priority-- > 0 && freed < most && node_lacks(m, node, true))
		run_pass(m, node, priority, &freed);
	gw_memalloc_end(before);
	gw_daemon_set_working(&m->nodes[node].kswapd, false);
}

bool
gw_balance_node(struct gw_machine *m, unsigned node)
{
	uint64_t boosts[GW_ZONES_MAX], boosted = 0;
	unsigned order;

	if (node >= m->n_nodes)
		return true;
	gw_might_sleep();
	(void)gw_daemon_take_wish(&m->nodes[node].kswapd, &order);
	for (unsigned z = 0; z < m->n_zones; z++)
		boosts[z] = gw_u64_load_relaxed(&m->zones[z].wmark_boost);
	if (node_lacks(m, node, true))
		balance(m, node);
	for (unsigned z = 0; z < m->n_zones; z++) {
		if (m->zones[z].node != node)
			continue;
		lower_boost(&m->zones[z], boosts[z]);
		boosted |= boosts[z];
	}
	if (boosted && order < m->config.pageblock_order)
		order = m->config.pageblock_order;
	if (order > 0)
		gw_daemon_ask(m, &m->nodes[node].kcompactd, order);
	return !node_lacks(m, node, true);
}

void
gw_wake_kswapd(struct gw_machine *m, uint64_t nodes, unsigned order)
{
	for (unsigned n = 0; n < m->n_nodes; n++)
		if (nodes & m->memory_nodes & (uint64_t)1 << n)
			gw_daemon_ask(m, &m->nodes[n].kswapd, order);
}

static void
one_round(struct gw_machine *m, unsigned node)
{
	(void)gw_balance_node(m, node);
}

void
gw_kswapd(struct gw_machine *m, unsigned node)
{
	gw_daemon_run(m, &m->nodes[node].kswapd, node, one_round);
}

void
gw_kswapd_stop(struct gw_machine *m, unsigned node)
{
	gw_daemon_stop(m, &m->nodes[node].kswapd);
}
