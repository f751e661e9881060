/* SPDX-License-Identifier: MIT */
/*
 * slowpath.c - gw_alloc_pages(): the fast try, then direct compaction for high orders.
 *
 * Idea (D16, FACTS 3.6, without reclaim). A request that finds nothing at the low watermark tries
 * the min watermark, then compacts the zones of its zonelist: first ASYNC, then at a priority that
 * rises while it is worth it. Zones where this failed lately are put off (D19).
 *
 * Locks: none held over compaction. While it compacts for itself a task carries
 * GW_TASK_MEMALLOC, so that what it allocates meanwhile does not compact again.
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"

#define RETRIES_MAX 16

/* In rising order of what a run may cost. */
enum priority { PRIO_ASYNC, PRIO_SYNC_LIGHT, PRIO_SYNC_FULL };

struct slow_alloc {
	struct gw_machine *m;
	gw_gfp_t gfp;
	unsigned node, order;
	enum priority priority;
	unsigned retries;
	enum gw_compact_result result; /* of the last direct compaction */
};

static int
try_free(const struct slow_alloc *a, gw_pfn_t *out)
{
	return gw_alloc_from_zonelist(a->m, a->gfp, a->node, a->order, GW_WMARK_MIN, out);
}

static enum gw_compact_result
compact_one_zone(const struct slow_alloc *a, unsigned zone)
{
	bool full = a->priority == PRIO_SYNC_FULL;
	const struct gw_compact_request request = {
		.order = (int)a->order,
		.mode = a->priority == PRIO_ASYNC ? GW_MIGRATE_ASYNC : GW_MIGRATE_SYNC_LIGHT,
		.migratetype = gw_gfp_migratetype(a->gfp),
		.direct = true,
		.whole_zone = full,
		.ignore_skip = full,
		.no_fs = !(a->gfp & GW_GFP_FS),
	};

	return gw_compact_zone(a->m, zone, &request, NULL);
}

/* Compact the zonelist until a zone can serve the request. The largest result counts (D13). */
static enum gw_compact_result
compact_zonelist(const struct slow_alloc *a)
{
	const struct gw_node *node = &a->m->nodes[a->node];
	unsigned n = a->gfp & GW_GFP_THISNODE ? node->n_local : node->n_zonelist;
	enum gw_compact_result result = GW_COMPACT_SKIPPED;

	for (unsigned i = 0; i < n && !gw_compact_interrupted(); i++) {
		unsigned zone = node->zonelist[i];
		enum gw_compact_result one = GW_COMPACT_DEFERRED;

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

static int
direct_compact(struct slow_alloc *a, gw_pfn_t *out)
{
	struct gw_task *task = gw_current();
	struct gw_zone *zone;

	if (task)
		task->flags |= GW_TASK_MEMALLOC;
	a->result = compact_zonelist(a);
	if (task)
		task->flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	if (a->result <= GW_COMPACT_DEFERRED)
		return -ENOMEM; /* nothing ran: no stall */
	gw_count(a->m, GW_VM_COMPACT_STALL, 1);
	if (try_free(a, out)) {
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
may_compact(const struct slow_alloc *a)
{
	const gw_gfp_t needed = GW_GFP_DIRECT_RECLAIM | GW_GFP_IO;
	const struct gw_task *task = gw_current();

	return a->order > 0 && (a->gfp & needed) == needed && !(a->gfp & GW_GFP_NO_WATERMARKS) &&
	       !(task && task->flags & GW_TASK_MEMALLOC);
}

/* After a compaction that did not help: again, and harder? */
static bool
should_retry(struct slow_alloc *a)
{
	if (a->gfp & GW_GFP_NORETRY || costly(a) || gw_compact_interrupted())
		return false;
	if (a->result == GW_COMPACT_SKIPPED)
		return false; /* no room for copies, and no reclaim to make some */
	if (a->result == GW_COMPACT_SUCCESS && ++a->retries <= RETRIES_MAX)
		return true; /* somebody else got what was made */
	if (a->priority == PRIO_SYNC_FULL)
		return false;
	a->priority++;
	a->retries = 0;
	return true;
}

static int
alloc_slow(struct slow_alloc *a, gw_pfn_t *out)
{
	if (!try_free(a, out))
		return 0;
	if (!may_compact(a))
		return -ENOMEM;
	a->priority = PRIO_ASYNC;
	if (costly(a) || !(a->gfp & GW_GFP_MOVABLE)) {
		if (!direct_compact(a, out))
			return 0;
		if (costly(a) && a->gfp & GW_GFP_NORETRY && a->result <= GW_COMPACT_DEFERRED)
			return -ENOMEM;
	}
	if (!(costly(a) && a->gfp & GW_GFP_NORETRY))
		a->priority = PRIO_SYNC_LIGHT;
	do {
		if (!direct_compact(a, out))
			return 0;
	} while (should_retry(a));
	return -ENOMEM;
}

int
gw_alloc_pages(struct gw_machine *m, gw_gfp_t gfp, unsigned node, unsigned order, gw_pfn_t *out)
{
	struct slow_alloc a = {.m = m, .gfp = gfp, .node = node, .order = order};
	int err;

	if (node >= m->n_nodes || order > m->config.max_order)
		return -EINVAL;
	if (gfp & GW_GFP_DIRECT_RECLAIM)
		gw_might_sleep();
	if (!gw_alloc_from_zonelist(m, gfp, node, order, GW_WMARK_LOW, out))
		return 0;
	err = alloc_slow(&a, out);
	/* Rather mix types inside a pageblock than fail. */
	if (err && gfp & GW_GFP_NOFRAGMENT) {
		a.gfp &= ~(gw_gfp_t)GW_GFP_NOFRAGMENT;
		err = try_free(&a, out);
	}
	return err;
}
