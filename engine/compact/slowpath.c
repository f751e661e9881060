/* SPDX-License-Identifier: MIT */
/*
 * slowpath.c - gw_alloc_pages(): the fast try, then direct compaction and reclaim.
 *
 * Idea (D16, FACTS 3.6). A request that finds nothing at the low watermark wakes the background
 * reclaim and tries the min watermark. Then, if it may wait: for high orders ASYNC compaction;
 * reclaim, and for orders above 0 compaction again, at a priority that rises while it is worth it.
 * Zones where compaction failed lately are put off (D19).
 *
 * Locks: none held over compaction and reclaim. While it compacts or reclaims for itself a task
 * carries GW_TASK_MEMALLOC, so that what it allocates meanwhile does neither again.
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "engine/store/store.h"

#define RETRIES_MAX	16
#define NO_PROGRESS_MAX 16

/* In rising order of what a run may cost. */
enum priority { PRIO_ASYNC, PRIO_SYNC_LIGHT, PRIO_SYNC_FULL };

struct slow_alloc {
	struct gw_machine *m;
	gw_gfp_t gfp;
	unsigned node, order;
	uint64_t nodes; /* that the page may come from */
	enum priority priority;
	unsigned retries;
	enum gw_compact_result result; /* of the last direct compaction */
	uint64_t reclaimed;	       /* frames, by the last direct reclaim */
	unsigned no_progress;	       /* direct reclaims in a row that freed nothing */
	struct gw_capture capture;     /* what the last direct compaction has made for us */
};

static int
try_free(const struct slow_alloc *a, gw_pfn_t *out)
{
	return gw_alloc_from_nodes(a->m, a->gfp, a->node, a->nodes, a->order, GW_WMARK_MIN, out);
}

int
gw_compact_set_direct(struct gw_machine *m, enum gw_direct_compaction direct)
{
	if ((unsigned)direct > GW_DIRECT_OFF)
		return -EINVAL;
	gw_u32_store_relaxed(&m->direct_compaction, direct);
	return 0;
}

static enum gw_direct_compaction
direct_by(const struct gw_machine *m)
{
	return (enum gw_direct_compaction)gw_u32_load_relaxed(&m->direct_compaction);
}

static enum gw_compact_result
compact_one_zone(struct slow_alloc *a, unsigned zone)
{
	struct gw_task *task = gw_current();
	enum gw_compact_result result;
	bool full = a->priority == PRIO_SYNC_FULL;
	const struct gw_compact_request request = {
		.planner = direct_by(a->m) == GW_DIRECT_EVACUATE ? GW_PLANNER_EVACUATE
								 : GW_PLANNER_SCANNERS,
		.order = (int)a->order,
		.mode = a->priority == PRIO_ASYNC ? GW_MIGRATE_ASYNC : GW_MIGRATE_SYNC_LIGHT,
		.migratetype = gw_gfp_migratetype(a->gfp),
		.direct = true,
		.whole_zone = full,
		.ignore_skip = full,
		.no_fs = !(a->gfp & GW_GFP_FS),
	};

	a->capture = (struct gw_capture){.zone = &a->m->zones[zone],
		.order = a->order,
		.type = request.migratetype,
		.pfn = GW_PFN_NONE};
	task->capture = &a->capture;
	result = gw_compact_zone(a->m, zone, &request, NULL);
	task->capture = NULL;
	return a->capture.pfn == GW_PFN_NONE ? result : GW_COMPACT_SUCCESS;
}

/* Compact the zonelist until a zone can serve the request. The largest result counts (D13). */
static enum gw_compact_result
compact_zonelist(struct slow_alloc *a)
{
	const struct gw_node *node = &a->m->nodes[a->node];
	enum gw_compact_result result = GW_COMPACT_SKIPPED;

	for (unsigned i = 0; i < node->n_zonelist && !gw_compact_interrupted(); i++) {
		unsigned zone = node->zonelist[i];
		enum gw_compact_result one = GW_COMPACT_DEFERRED;

		if (!gw_zone_in(&a->m->zones[zone], a->nodes))
			continue;
		if (a->priority == PRIO_SYNC_FULL || !gw_compact_deferred(a->m, zone, a->order))
			one = compact_one_zone(a, zone);
		if (one > result)
			result = one;
		if (one == GW_COMPACT_SUCCESS) {
			gw_compact_defer_reset(a->m, zone, a->order, false);
			break;
		}
		/* ASYNC skipped too much for its failure to mean anything. */
		if (a->priority != PRIO_ASYNC &&
			(one == GW_COMPACT_COMPLETE || one == GW_COMPACT_PARTIAL_SKIPPED))
			gw_compact_defer(a->m, zone, a->order);
	}
	return result;
}

/* The page that was made for this request, or one of those that everybody can have. */
static int
take_compacted(struct slow_alloc *a, gw_pfn_t *out)
{
	if (a->capture.pfn == GW_PFN_NONE)
		return try_free(a, out);
	*out = a->capture.pfn;
	a->capture.pfn = GW_PFN_NONE;
	gw_finish_alloc(a->m, *out, a->order, a->gfp);
	gw_count(a->m, GW_VM_PGALLOC, (uint64_t)1 << a->order);
	return 0;
}

static int
direct_compact(struct slow_alloc *a, gw_pfn_t *out)
{
	struct gw_task *task = gw_current();
	struct gw_zone *zone;

	a->result = GW_COMPACT_SKIPPED;
	if (direct_by(a->m) == GW_DIRECT_OFF)
		return -ENOMEM;
	task->flags |= GW_TASK_MEMALLOC;
	a->result = compact_zonelist(a);
	task->flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	if (a->result <= GW_COMPACT_DEFERRED)
		return -ENOMEM; /* nothing ran: no stall */
	gw_count(a->m, GW_VM_COMPACT_STALL, 1);
	if (take_compacted(a, out)) {
		gw_count(a->m, GW_VM_COMPACT_FAIL, 1);
		return -ENOMEM;
	}
	zone = gw_page_zone(a->m, *out);
	gw_spin_lock(&zone->lock);
	zone->compact.flush_skip = false;
	gw_spin_unlock(&zone->lock);
	gw_compact_defer_reset(a->m, zone->id, a->order, true);
	gw_count(a->m, GW_VM_COMPACT_SUCCESS, 1);
	return 0;
}

static bool
costly(const struct slow_alloc *a)
{
	return a->order > GW_COSTLY_ORDER;
}

static bool
may_reclaim(const struct slow_alloc *a)
{
	const struct gw_task *task = gw_current();

	return task && !(task->flags & GW_TASK_MEMALLOC) && a->gfp & GW_GFP_DIRECT_RECLAIM &&
	       !(a->gfp & GW_GFP_NO_WATERMARKS);
}

static bool
may_compact(const struct slow_alloc *a)
{
	return a->order > 0 && a->gfp & GW_GFP_IO;
}

/*
 * How much reclaim is to free: for a costly order not just as many frames as are wanted, which
 * would not be adjacent, but what compaction lacks of room for its copies (D17) in the zone that
 * lacks least.
 */
static uint64_t
frames_to_free(const struct slow_alloc *a)
{
	const struct gw_node *node = &a->m->nodes[a->node];
	uint64_t block = (uint64_t)1 << a->order, least = UINT64_MAX;

	if (!costly(a) || !may_compact(a) || direct_by(a->m) == GW_DIRECT_OFF)
		return block;
	for (unsigned i = 0; i < node->n_zonelist; i++) {
		const struct gw_zone *zone = &a->m->zones[node->zonelist[i]];
		uint64_t lacks = gw_compact_lacks_room(zone, a->order);

		if (gw_zone_in(zone, a->nodes) && lacks < least)
			least = lacks;
	}
	return least == UINT64_MAX || least < block ? block : least;
}

static int
direct_reclaim(struct slow_alloc *a, gw_pfn_t *out)
{
	a->reclaimed = gw_direct_reclaim(a->m, a->nodes, frames_to_free(a), a->gfp);
	a->no_progress = a->reclaimed && !costly(a) ? 0 : a->no_progress + 1;
	gw_drain_pages(a->m); /* what was freed stands on a per-CPU list */
	if (!try_free(a, out))
		return 0;
	gw_lru_add_drain_all(a->m);
	gw_drain_all_pages(a->m);
	return try_free(a, out);
}

/* What reclaim might still free is counted as if it were free: enough for a frame? */
static bool
could_reclaim_more(const struct slow_alloc *a)
{
	bool more = false;

	for (unsigned node = 0; node < a->m->n_nodes && !more; node++)
		more = a->nodes >> node & 1 && gw_reclaimable(a->m, node) > 0;
	return more;
}

static bool
should_retry_reclaim(const struct slow_alloc *a)
{
	return a->order == 0 && a->no_progress <= NO_PROGRESS_MAX && could_reclaim_more(a);
}

/* After a compaction that did not help: again, and harder? */
static bool
should_retry_compact(struct slow_alloc *a)
{
	if (!may_compact(a))
		return false;
	if (a->result == GW_COMPACT_SKIPPED) /* no room for copies: reclaim makes some */
		return a->reclaimed > 0 && ++a->retries <= RETRIES_MAX;
	if (a->result == GW_COMPACT_SUCCESS && ++a->retries <= RETRIES_MAX)
		return true; /* somebody else got what was made */
	if (a->priority == PRIO_SYNC_FULL)
		return false;
	a->priority++;
	a->retries = 0;
	return true;
}

static bool
should_retry(struct slow_alloc *a)
{
	if (a->gfp & GW_GFP_NORETRY || costly(a) || gw_compact_interrupted())
		return false;
	return should_retry_reclaim(a) || should_retry_compact(a);
}

static int
alloc_slow(struct slow_alloc *a, gw_pfn_t *out)
{
	gw_wake_kswapd(a->m, a->nodes, a->order);
	if (!try_free(a, out))
		return 0;
	if (!may_reclaim(a))
		return -ENOMEM;
	a->priority = PRIO_ASYNC;
	if (may_compact(a) && (costly(a) || !(a->gfp & GW_GFP_MOVABLE))) {
		if (!direct_compact(a, out))
			return 0;
		if (costly(a) && a->gfp & GW_GFP_NORETRY && a->result <= GW_COMPACT_DEFERRED)
			return -ENOMEM;
	}
	if (!(costly(a) && a->gfp & GW_GFP_NORETRY))
		a->priority = PRIO_SYNC_LIGHT;
	do {
		if (!direct_reclaim(a, out))
			return 0;
		if (may_compact(a) && !direct_compact(a, out))
			return 0;
	} while (should_retry(a));
	return -ENOMEM;
}

int
gw_alloc_pages_nodes(struct gw_machine *m, gw_gfp_t gfp, unsigned node, uint64_t nodes,
	unsigned order, gw_pfn_t *out)
{
	struct slow_alloc a = {.m = m,
		.gfp = gfp,
		.node = node,
		.order = order,
		.nodes = nodes,
		.capture.pfn = GW_PFN_NONE};
	int err;

	if (node >= m->n_nodes || order > m->config.max_order)
		return -EINVAL;
	if (gfp & GW_GFP_DIRECT_RECLAIM)
		gw_might_sleep();
	if (!gw_alloc_from_nodes(m, gfp, node, nodes, order, GW_WMARK_LOW, out))
		return 0;
	err = alloc_slow(&a, out);
	/* Rather mix types inside a pageblock than fail. */
	if (err && gfp & GW_GFP_NOFRAGMENT) {
		a.gfp &= ~(gw_gfp_t)GW_GFP_NOFRAGMENT;
		err = try_free(&a, out);
	}
	return err;
}

int
gw_alloc_pages(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out)
{
	return gw_alloc_pages_nodes(m, gfp, node, gw_gfp_nodes(gfp, node), order, out);
}
