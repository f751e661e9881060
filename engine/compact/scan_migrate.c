/* SPDX-License-Identifier: MIT */
/*
 * scan_migrate.c - the migration scanner: sources, from the zone's bottom up.
 *
 * Idea. One call isolates one batch out of one pageblock: GW_CLUSTER_MAX pages (D9), or the rest
 * of the pageblock if its last batch came from there too. A frame costs one load of its flags
 * word; free blocks and large pages are jumped over by their order. The order may be out of
 * date by then: it is at most GW_ORDERS_MAX - 1 wide, the jump is clamped to the pageblock, and
 * nothing is taken on the word of it (D11, R11).
 *
 * Asynchronous runs on behalf of an allocation keep to pageblocks of the request's own type, and
 * drop what they took of an aligned block of the wanted order at its first page that cannot move.
 */
#include "engine/compact/compact_internal.h"
#include "engine/phys/probe.h"

static bool
too_many_isolated(const struct gw_compact_run *run)
{
	struct gw_node *node = &run->m->nodes[run->zone->node];
	uint64_t inactive = gw_u64_load_relaxed(&node->lru_frames[GW_LRU_INACTIVE_ANON]) +
			    gw_u64_load_relaxed(&node->lru_frames[GW_LRU_INACTIVE_FILE]);
	uint64_t active = gw_u64_load_relaxed(&node->lru_frames[GW_LRU_ACTIVE_ANON]) +
			  gw_u64_load_relaxed(&node->lru_frames[GW_LRU_ACTIVE_FILE]);
	uint64_t isolated = gw_u64_load_relaxed(&node->isolated_frames[0]) +
			    gw_u64_load_relaxed(&node->isolated_frames[1]);

	/* Who may not call file systems may hold locks that others, throttled, wait for (R12). */
	if (!run->request->no_fs) {
		inactive >>= 3;
		active >>= 3;
	}
	return isolated > (inactive + active) / 2;
}

bool
gw_isolation_allowed(const struct gw_compact_run *run)
{
	while (gw_fix(run->m, GW_FIX_TOO_MANY_ISOLATED) && too_many_isolated(run)) {
		if (run->request->mode == GW_MIGRATE_ASYNC || gw_compact_interrupted())
			return false;
		gw_relax();
	}
	return true;
}

bool
gw_is_source(const struct gw_compact_run *run, gw_pfn_t pfn, uint32_t flags, unsigned order_limit)
{
	if (gw_flags_order(flags) >= order_limit || flags & GW_PG_ISOLATED)
		return false;
	if (run->request->no_fs && flags & GW_PG_FILE)
		return false;
	/* Who empties a range has no choice (D1); compaction has. */
	if (flags & GW_PG_UNEVICTABLE && !run->m->config.compact_unevictable_allowed)
		return false;
	return !(flags & GW_PG_HUGETLB) && gw_page_is_movable(gw_page(run->m, pfn));
}

/* Pages of this order and above are left alone: moving them gains nothing (FACTS 2.1). */
static unsigned
source_order_limit(const struct gw_compact_run *run)
{
	unsigned pageblock = run->m->config.pageblock_order;
	int order = run->request->order;

	return order >= 0 && (unsigned)order < pageblock ? (unsigned)order : pageblock;
}

/* The frames from pfn to the end of the free block that it stands inside of, at least 1. */
static gw_pfn_t
free_rest(const struct gw_machine *m, gw_pfn_t pfn)
{
	for (unsigned o = m->config.pageblock_order + 1; o <= m->config.max_order; o++) {
		gw_pfn_t head = pfn & ~(((gw_pfn_t)1 << o) - 1);
		uint32_t flags = gw_page_flags(gw_page(m, head));

		if (gw_flags_type(flags) == GW_PAGE_BUDDY && gw_flags_order(flags) >= o)
			return head + ((gw_pfn_t)1 << gw_flags_order(flags)) - pfn;
	}
	return 1;
}

/* The first boundary of the wanted order above pfn: an async direct run thinks in such blocks. */
static gw_pfn_t
next_boundary(const struct gw_compact_run *run, gw_pfn_t pfn)
{
	gw_pfn_t n = (gw_pfn_t)1 << run->request->order;

	return (pfn & ~(n - 1)) + n;
}

/* One call of the scanner, inside one pageblock. */
struct block_scan {
	gw_pfn_t pfn, end;
	gw_pfn_t boundary; /* async direct: the aligned block ends here; else GW_PFN_NONE */
	unsigned order_limit;
	uint64_t scanned, reserved, taken; /* frames */
};

/* A frame at scan->pfn that does not move, `n` long. */
static void
pass_over(struct gw_compact_run *run, struct block_scan *scan, gw_pfn_t n)
{
	scan->pfn += n;
	if (scan->boundary == GW_PFN_NONE)
		return;
	/* The aligned block cannot become free: leave it as it is. */
	if (scan->taken)
		gw_putback_movable_pages(run->m, &run->sources);
	run->stats.isolated -= scan->taken;
	scan->taken = 0;
	if (scan->pfn < scan->boundary) {
		scan->scanned += scan->boundary - scan->pfn;
		scan->pfn = scan->boundary;
	}
	scan->boundary = next_boundary(run, scan->pfn);
}

static void
try_page(struct gw_compact_run *run, struct block_scan *scan, uint32_t flags)
{
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(flags);

	scan->scanned += n;
	if (!gw_is_source(run, scan->pfn, flags, scan->order_limit) ||
		gw_isolate_page(run->m, scan->pfn, run->request->mode, &run->sources)) {
		pass_over(run, scan, n);
		return;
	}
	/* Its order was last seen without its lock. */
	n = (gw_pfn_t)1 << gw_flags_order(gw_page_flags(gw_page(run->m, scan->pfn)));
	scan->taken += n;
	run->stats.isolated += n;
	scan->pfn += n;
}

static void
look_at_frame(struct gw_compact_run *run, struct block_scan *scan)
{
	uint32_t flags = gw_page_flags(gw_page(run->m, scan->pfn));
	gw_pfn_t n = 1;

	switch (gw_flags_type(flags)) {
	case GW_PAGE_USED:
		try_page(run, scan, flags);
		return;
	case GW_PAGE_BUDDY:
		n = (gw_pfn_t)1 << gw_flags_order(flags);
		scan->scanned += n;
		scan->pfn += n;
		return;
	case GW_PAGE_FREE:
		if (scan->pfn == gw_pageblock_start(run->m, scan->pfn))
			n = free_rest(run->m, scan->pfn);
		if (n > scan->end - scan->pfn)
			n = scan->end - scan->pfn;
		scan->scanned += n;
		scan->pfn += n;
		return;
	case GW_PAGE_RESERVED:
		scan->reserved++;
		break;
	case GW_PAGE_PCP: /* free, but compaction cannot know that (FACTS 2.2) */
		n = (gw_pfn_t)1 << gw_flags_order(flags);
		break;
	case GW_PAGE_TAIL:
	default:
		break;
	}
	scan->scanned += n;
	pass_over(run, scan, n);
}

static bool
batch_full(const struct gw_compact_run *run, struct block_scan *scan)
{
	if (scan->taken >= GW_CLUSTER_MAX && !run->rest_of_block)
		return true;
	if (scan->pfn < scan->boundary)
		return false;
	if (scan->taken)
		return true; /* all of an aligned block: moving it may be all that is needed */
	scan->boundary = next_boundary(run, scan->pfn);
	return false;
}

/* Nothing below pfn is worth another look by the runs to come. */
static void
advance_cached(struct gw_compact_run *run, gw_pfn_t pfn)
{
	struct gw_compact_state *state = &run->zone->compact;

	gw_spin_lock(&run->zone->lock);
	if (pfn > state->migrate_pfn[0])
		state->migrate_pfn[0] = pfn;
	if (run->request->mode != GW_MIGRATE_ASYNC && pfn > state->migrate_pfn[1])
		state->migrate_pfn[1] = pfn;
	gw_spin_unlock(&run->zone->lock);
}

static enum gw_scan_end
scan_block(struct gw_compact_run *run, gw_pfn_t end)
{
	const struct gw_compact_request *request = run->request;
	gw_pfn_t start = gw_pageblock_start(run->m, run->migrate_pfn);
	struct block_scan scan = {
		.pfn = run->migrate_pfn,
		.end = end,
		.boundary = GW_PFN_NONE,
		.order_limit = source_order_limit(run),
	};

	if (!gw_isolation_allowed(run))
		return GW_SCAN_ABORT;
	if (request->direct && request->mode == GW_MIGRATE_ASYNC && request->order >= 0)
		scan.boundary = next_boundary(run, scan.pfn);
	while (scan.pfn < scan.end && !batch_full(run, &scan))
		look_at_frame(run, &scan);
	if (scan.pfn > scan.end)
		scan.pfn = scan.end;
	/* Frames that no allocator ever had are holes: nobody scans them. */
	if (scan.scanned != scan.reserved)
		run->stats.migrate_scanned += scan.scanned;
	GW_PROBE4(mm_compaction_isolate_migratepages, run->migrate_pfn, scan.pfn, scan.scanned,
		scan.taken);
	run->migrate_pfn = scan.pfn;
	run->n_wanted = scan.taken;
	if (scan.pfn == start + gw_pageblock_frames(run->m) &&
		(!scan.taken || run->rest_of_block)) {
		gw_pageblock_set_skip(run->m, start, true);
		advance_cached(run, scan.pfn);
	}
	return scan.taken ? GW_SCAN_TAKEN : GW_SCAN_NONE;
}

/* May the pageblock that pfn stands in give sources? */
static bool
worth_scanning(struct gw_compact_run *run, gw_pfn_t pfn)
{
	const struct gw_compact_request *request = run->request;
	struct gw_machine *m = run->m;
	uint32_t flags = gw_page_flags(gw_page(m, pfn));
	enum gw_migratetype type;

	if (pfn == gw_pageblock_start(m, pfn)) {
		if (!request->ignore_skip && gw_pageblock_skip(m, pfn))
			return false;
		/* One large page over the whole pageblock. */
		if (gw_flags_type(flags) == GW_PAGE_USED &&
			gw_flags_order(flags) >= m->config.pageblock_order)
			return false;
	}
	if (!request->direct || request->mode != GW_MIGRATE_ASYNC)
		return true;
	type = gw_pageblock_type(m, pfn);
	return type == request->migratetype ||
	       (request->migratetype == GW_MT_MOVABLE && type == GW_MT_CMA);
}

enum gw_scan_end
gw_scan_migrate(struct gw_compact_run *run)
{
	gw_pfn_t frames = gw_pageblock_frames(run->m);
	gw_pfn_t stop_at = run->request->stop_at ? run->request->stop_at : GW_PFN_NONE;

	for (;;) {
		gw_pfn_t end = gw_pageblock_start(run->m, run->migrate_pfn) + frames;

		if (run->migrate_pfn >= stop_at)
			return GW_SCAN_STOP;
		if (end > run->free_pfn)
			return GW_SCAN_NONE;
		if (worth_scanning(run, run->migrate_pfn))
			return scan_block(run, end < stop_at ? end : stop_at);
		advance_cached(run, end);
		run->migrate_pfn = end;
	}
}
