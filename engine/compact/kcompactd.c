/* SPDX-License-Identifier: MIT */
/*
 * kcompactd.c - compaction in the background, one task for each node (FACTS 2.1).
 *
 * Idea. There are two reasons to run. Background reclaim has freed memory for a high order, which
 * is in pieces: zones are compacted until a block of that order is there. Or it is time to look at
 * how fragmented the node is, whoever may want what: that is proactive, and has two marks, so that
 * it does not begin again as soon as it has ended.
 *
 *   score of a zone   share of its free memory that is in no free block of pageblock order (1.5)
 *   score of a node   its zones', weighted by their sizes, each rounded down
 *   low, high mark    low = max(100 - proactiveness, 5), high = min(low + 10, 100)
 *   begin             every PERIOD_NS, if the node's score is above high and reclaim is idle
 *   end of a zone     its score is at or below low, reclaim has begun, or the scanners have met
 *   back off          a run that did not lower the score: the next is 64 periods later
 *
 * The time is the machine's; the engine has no timers. Whoever runs the machine calls
 * gw_kcompactd_tick() now and then, which wakes those who are due; a test calls
 * gw_kcompactd_step() and moves its clock. A zone's size is what it manages.
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "godwit/machine.h"

#define PERIOD_NS  UINT64_C(500000000)
#define BACKED_OFF (PERIOD_NS << GW_DEFER_SHIFT_MAX)

/* Values of gw_node.proactive_ns that are no time. */
#define NOT_BEGUN 0
#define AT_ONCE	  1

unsigned
gw_zone_score(struct gw_zone *zone)
{
	const struct gw_machine *m = zone->machine;
	uint64_t blocks[GW_ORDERS_MAX];
	unsigned n = m->config.max_order + 1;

	gw_spin_lock(&zone->lock);
	for (unsigned o = 0; o < n; o++)
		blocks[o] = zone->free_area[o].nr_free;
	gw_spin_unlock(&zone->lock);
	return (unsigned)gw_proactive_score(blocks, n, m->config.pageblock_order);
}

unsigned
gw_node_score(struct gw_machine *m, unsigned node)
{
	uint64_t managed = 0, score = 0;

	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			managed += gw_u64_load_relaxed(&m->zones[z].managed);
	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			score += gw_u64_load_relaxed(&m->zones[z].managed) *
				 gw_zone_score(&m->zones[z]) / (managed + 1);
	return (unsigned)score;
}

unsigned
gw_proactive_low_mark(const struct gw_machine *m)
{
	unsigned proactiveness = gw_u32_load_relaxed(&m->proactiveness);

	return proactiveness < 95 ? 100 - proactiveness : 5;
}

static unsigned
high_mark(const struct gw_machine *m)
{
	unsigned low = gw_proactive_low_mark(m);

	return low < 90 ? low + 10 : 100;
}

static void
count_daemon(struct gw_machine *m, const struct gw_compact_stats *stats)
{
	gw_count(m, GW_VM_COMPACT_DAEMON_MIGRATE_SCANNED, stats->migrate_scanned);
	gw_count(m, GW_VM_COMPACT_DAEMON_FREE_SCANNED, stats->free_scanned);
}

/* ---- towards an order ---- */

static void
compact_for(struct gw_machine *m, unsigned zone, unsigned order)
{
	const struct gw_compact_request request = {
		.order = (int)order,
		.mode = GW_MIGRATE_SYNC_LIGHT,
		.migratetype = GW_MT_MOVABLE,
	};
	struct gw_compact_stats stats;

	if (gw_compact_deferred(m, zone, order) ||
		gw_compact_suitable(m, zone, (int)order) != GW_COMPACT_CONTINUE)
		return;
	switch (gw_compact_zone(m, zone, &request, &stats)) {
	case GW_COMPACT_SUCCESS:
		gw_compact_defer_reset(m, zone, order, false);
		break;
	case GW_COMPACT_COMPLETE:
	case GW_COMPACT_PARTIAL_SKIPPED:
		/* What it freed may stand on per-CPU lists, in pieces that would merge. */
		gw_drain_all_pages(m);
		gw_compact_defer(m, zone, order);
		break;
	default:
		break;
	}
	count_daemon(m, &stats);
}

static void
work_for(struct gw_machine *m, unsigned node, unsigned order)
{
	gw_count(m, GW_VM_COMPACT_DAEMON_WAKE, 1);
	for (unsigned z = 0; z < m->n_zones && !gw_compact_interrupted(); z++)
		if (m->zones[z].node == node)
			compact_for(m, z, order);
}

/* ---- proactively ---- */

static void
compact_proactively(struct gw_machine *m, unsigned node)
{
	const struct gw_compact_request request = {
		.order = -1,
		.mode = GW_MIGRATE_SYNC_LIGHT,
		.migratetype = GW_MT_MOVABLE,
		.whole_zone = true,
		.ignore_skip = true,
		.proactive = true,
	};
	struct gw_compact_stats stats;

	for (unsigned z = 0; z < m->n_zones && !gw_compact_interrupted(); z++) {
		if (m->zones[z].node != node)
			continue;
		gw_compact_zone(m, z, &request, &stats);
		count_daemon(m, &stats);
	}
}

/* Returns when it may be tried again. */
static uint64_t
look_at_node(struct gw_machine *m, unsigned node)
{
	unsigned before = gw_node_score(m, node);

	if (gw_u32_load_relaxed(&m->proactiveness) == 0 || before <= high_mark(m) ||
		gw_daemon_is_working(&m->nodes[node].kswapd))
		return m->ops->clock_ns(m->ctx) + PERIOD_NS;
	compact_proactively(m, node);
	return m->ops->clock_ns(m->ctx) +
	       (gw_node_score(m, node) < before ? PERIOD_NS : BACKED_OFF);
}

/* ---- the task ---- */

uint64_t
gw_kcompactd_step(struct gw_machine *m, unsigned node)
{
	gw_atomic_u64 *due = &m->nodes[node].proactive_ns;
	uint64_t now = m->ops->clock_ns(m->ctx), at = gw_u64_load_relaxed(due), next = at;
	unsigned order;

	gw_might_sleep();
	if (gw_daemon_take_wish(&m->nodes[node].kcompactd, &order)) {
		work_for(m, node, order);
		next = m->ops->clock_ns(m->ctx) + PERIOD_NS;
	} else if (at == NOT_BEGUN) {
		next = now + PERIOD_NS;
	} else if (now >= at) {
		next = look_at_node(m, node);
	}
	/* Unless somebody has said AT_ONCE meanwhile. */
	gw_u64_cas_relaxed(due, &at, next);
	return gw_u64_load_relaxed(due);
}

static void
one_round(struct gw_machine *m, unsigned node)
{
	(void)gw_kcompactd_step(m, node);
}

void
gw_kcompactd(struct gw_machine *m, unsigned node)
{
	gw_daemon_run(m, &m->nodes[node].kcompactd, node, one_round);
}

void
gw_kcompactd_stop(struct gw_machine *m, unsigned node)
{
	gw_daemon_stop(m, &m->nodes[node].kcompactd);
}

void
gw_kcompactd_tick(struct gw_machine *m)
{
	uint64_t now = m->ops->clock_ns(m->ctx);

	for (unsigned n = 0; n < m->n_nodes; n++)
		if (now >= gw_u64_load_relaxed(&m->nodes[n].proactive_ns))
			gw_daemon_wake(m, &m->nodes[n].kcompactd);
}

void
gw_wake_kcompactd(struct gw_machine *m, unsigned node, unsigned order)
{
	gw_daemon_ask(m, &m->nodes[node].kcompactd, order);
}

int
gw_compact_set_proactiveness(struct gw_machine *m, unsigned proactiveness)
{
	if (proactiveness > 100)
		return -EINVAL;
	gw_u32_store_relaxed(&m->proactiveness, proactiveness);
	for (unsigned n = 0; n < m->n_nodes && proactiveness > 0; n++) {
		gw_u64_store_relaxed(&m->nodes[n].proactive_ns, AT_ONCE);
		gw_daemon_wake(m, &m->nodes[n].kcompactd);
	}
	return 0;
}
