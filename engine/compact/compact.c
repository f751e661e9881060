/* SPDX-License-Identifier: MIT */
/*
 * compact.c - a run of the two scanners over a zone.
 *
 * Idea (D8). Again and again: the migration scanner isolates a batch, gw_migrate_pages() moves it
 * into free blocks that the free scanner holds, until the scanners' pageblocks meet or what was
 * asked for is free. Targets are looked for only when nothing at all is held: a page that is larger
 * than every held block has no target even if single frames would do for the rest of
 * the batch. Migration then splits it, or the run ends CONTENDED there (FACTS 3.7).
 *
 * Invariants
 *   Z1  a run that ends leaves nothing isolated and nothing held
 *   Z2  COMPLETE: every pageblock from the zone's first to the meeting point was looked at
 *   Z3  the request's own result is checked at pageblock boundaries only, so that a block that
 *       was begun is finished
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "engine/migrate/isolate.h"
#include "engine/phys/probe.h"

static const char *const result_names[] = {
	[GW_COMPACT_NOT_SUITABLE_ZONE] = "not_suitable_zone",
	[GW_COMPACT_SKIPPED] = "skipped",
	[GW_COMPACT_DEFERRED] = "deferred",
	[GW_COMPACT_NO_SUITABLE_PAGE] = "no_suitable_page",
	[GW_COMPACT_CONTINUE] = "continue",
	[GW_COMPACT_COMPLETE] = "complete",
	[GW_COMPACT_PARTIAL_SKIPPED] = "partial_skipped",
	[GW_COMPACT_CONTENDED] = "contended",
	[GW_COMPACT_SUCCESS] = "success",
};

const char *
gw_compact_result_name(enum gw_compact_result result)
{
	return result_names[result];
}

void
gw_compact_run_init(
	struct gw_compact_run *run, struct gw_zone *zone, const struct gw_compact_request *request)
{
	*run = (struct gw_compact_run){
		.m = zone->machine,
		.zone = zone,
		.request = request,
		.stats.migrate.stopped_on = GW_PFN_NONE,
	};
	gw_page_list_init(&run->sources);
	for (unsigned o = 0; o < GW_ORDERS_MAX; o++)
		gw_page_list_init(&run->held[o]);
}

/* ---- targets for migration ---- */

static void
tell_stop_point(struct gw_compact_run *run, gw_pfn_t src, unsigned order)
{
	const struct gw_compact_request *request = run->request;
	struct gw_stop_point at = {
		.page = src,
		.order = order,
		.migrate_pfn = run->migrate_pfn,
		.migrated = run->stats.migrate.succeeded,
	};

	if (request->on_stop_point && request->on_stop_point(request->ctx, run->m, &at))
		run->stopped = true;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct gw_compact_run *run = ctx;
	uint64_t n = (uint64_t)1 << order;
	bool found;

	(void)m;
	if (run->stopped)
		return -ECANCELED; /* not -ENOMEM, which would have the page split */
	found = gw_serve_held(run, order, dst);
	if (!found && run->n_held == 0) {
		gw_scan_free(run);
		found = gw_serve_held(run, order, dst);
	}
	if (!found) {
		if (order > 0)
			tell_stop_point(run, src, order);
		return run->stopped ? -ECANCELED : -ENOMEM;
	}
	run->n_wanted -= run->n_wanted < n ? run->n_wanted : n;
	return 0;
}

static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct gw_compact_run *run = ctx;

	(void)m;
	gw_hold_again(run, dst, order);
	run->n_wanted += (uint64_t)1 << order;
}

/* Move what is isolated. False: the run ends here. *failed: some pages stayed. */
static bool
move_batch(struct gw_compact_run *run, bool *failed)
{
	const struct gw_migrate_target target = {
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = run};
	int err = gw_migrate_pages(run->m, &run->sources, &target, run->request->mode,
		GW_MR_COMPACTION, &run->stats.migrate);

	run->n_wanted = 0;
	*failed = err != 0;
	if (err)
		gw_putback_movable_pages(run->m, &run->sources);
	/* Without a target because the scanners met: that is the run's natural end. */
	return !run->stopped && (err != -ENOMEM || gw_scanners_met(run));
}

/* ---- positions ---- */

static gw_pfn_t
last_pageblock(const struct gw_zone *zone)
{
	return gw_pageblock_start(zone->machine, zone->end - 1);
}

static void
start_positions(struct gw_compact_run *run)
{
	struct gw_zone *zone = run->zone;
	struct gw_compact_state *state = &zone->compact;
	unsigned sync = run->request->mode != GW_MIGRATE_ASYNC;

	run->whole_zone = run->request->whole_zone;
	run->migrate_pfn = zone->start;
	run->free_pfn = last_pageblock(zone);
	if (run->whole_zone)
		return;
	gw_spin_lock(&zone->lock);
	if (state->free_pfn < zone->start || state->free_pfn >= zone->end)
		state->free_pfn = run->free_pfn;
	if (state->migrate_pfn[sync] < zone->start || state->migrate_pfn[sync] >= zone->end)
		state->migrate_pfn[0] = state->migrate_pfn[1] = zone->start;
	run->free_pfn = state->free_pfn;
	run->migrate_pfn = state->migrate_pfn[sync];
	run->whole_zone =
		run->migrate_pfn <= zone->start || run->migrate_pfn <= state->init_migrate_pfn;
	gw_spin_unlock(&zone->lock);
}

/* The scanners met: the next run starts anew. */
static void
reset_positions(struct gw_compact_run *run)
{
	struct gw_zone *zone = run->zone;

	gw_spin_lock(&zone->lock);
	zone->compact.migrate_pfn[0] = zone->compact.migrate_pfn[1] = zone->start;
	zone->compact.free_pfn = last_pageblock(zone);
	if (run->request->direct)
		zone->compact.flush_skip = true;
	gw_spin_unlock(&zone->lock);
}

/* The first pageblock with a page to move, or the last with a block to fill. */
static bool
pageblock_usable(const struct gw_zone *zone, gw_pfn_t start, bool as_source)
{
	const struct gw_machine *m = zone->machine;
	gw_pfn_t end = start + gw_pageblock_frames(m);
	gw_pfn_t pfn = start < zone->start ? zone->start : start;

	if (!as_source && !gw_is_target_type(m, start))
		return false;
	if (end > zone->end)
		end = zone->end;
	while (pfn < end) {
		uint32_t flags = gw_page_flags(gw_page(m, pfn));
		unsigned order = gw_flags_order(flags);

		if (as_source && gw_flags_type(flags) == GW_PAGE_USED &&
			gw_page_is_movable(gw_page(m, pfn)))
			return true;
		if (!as_source && gw_flags_type(flags) == GW_PAGE_BUDDY &&
			order < m->config.pageblock_order)
			return true;
		pfn += (gw_pfn_t)1 << order;
	}
	return false;
}

static void
reset_skip(struct gw_zone *zone)
{
	struct gw_machine *m = zone->machine;
	gw_pfn_t frames = gw_pageblock_frames(m);
	gw_pfn_t first = gw_pageblock_start(m, zone->start), last = last_pageblock(zone);
	gw_pfn_t source = first, target = last;

	for (gw_pfn_t pfn = first; pfn <= last; pfn += frames)
		gw_pageblock_set_skip(m, pfn, false);
	while (source < last && !pageblock_usable(zone, source, true))
		source += frames;
	while (target > first && !pageblock_usable(zone, target, false))
		target -= frames;
	if (source < zone->start)
		source = zone->start;
	gw_spin_lock(&zone->lock);
	zone->compact.flush_skip = false;
	zone->compact.migrate_pfn[0] = zone->compact.migrate_pfn[1] = source;
	zone->compact.init_migrate_pfn = source;
	zone->compact.free_pfn = zone->compact.init_free_pfn = target;
	gw_spin_unlock(&zone->lock);
}

void
gw_compact_reset_skip(struct gw_machine *m, unsigned zone)
{
	if (zone < m->n_zones)
		reset_skip(&m->zones[zone]);
}

/* ---- when to begin and when to end ---- */

static uint64_t
available(struct gw_zone *zone, unsigned order)
{
	uint64_t n = 0;

	gw_spin_lock(&zone->lock);
	for (unsigned o = order; o <= zone->machine->config.max_order; o++)
		n += (zone->free_area[o].nr_free - zone->free_area[o].lists[GW_MT_ISOLATE].n)
		     << (o - order);
	gw_spin_unlock(&zone->lock);
	return n;
}

uint64_t
gw_zone_available(struct gw_machine *m, unsigned zone, unsigned order)
{
	return zone < m->n_zones ? available(&m->zones[zone], order) : 0;
}

/* Could an allocation of `type` be served now, if need be by claiming a foreign pageblock? */
static bool
block_fits(struct gw_zone *zone, unsigned order, enum gw_migratetype type)
{
	const struct gw_machine *m = zone->machine;
	bool fits = false;

	gw_spin_lock(&zone->lock);
	for (unsigned o = order; o <= m->config.max_order && !fits; o++) {
		const struct gw_page_list *lists = zone->free_area[o].lists;

		fits = lists[type].n || (type == GW_MT_MOVABLE && lists[GW_MT_CMA].n);
		if (o < m->config.pageblock_order / 2 && type == GW_MT_MOVABLE)
			continue;
		for (unsigned t = 0; t < GW_MT_PCPTYPES; t++)
			fits = fits || lists[t].n;
	}
	gw_spin_unlock(&zone->lock);
	return fits;
}

bool
gw_compact_goal_reached(const struct gw_compact_run *run)
{
	const struct gw_compact_request *request = run->request;
	unsigned order = (unsigned)request->order;

	if (gw_compact_captured())
		return true;
	if (request->order < 0)
		return false;
	if (request->direct)
		return block_fits(run->zone, order, request->migratetype);
	return available(run->zone, order) >= (request->count ? request->count : 1);
}

static enum gw_compact_result
proactive_finished(const struct gw_compact_run *run)
{
	if (gw_daemon_is_working(&run->m->nodes[run->zone->node].kswapd))
		return GW_COMPACT_PARTIAL_SKIPPED;
	return gw_zone_score(run->zone) > gw_proactive_low_mark(run->m) ? GW_COMPACT_CONTINUE
									: GW_COMPACT_SUCCESS;
}

static enum gw_compact_result
finished(struct gw_compact_run *run)
{
	if (gw_compact_captured())
		return GW_COMPACT_SUCCESS;
	if (gw_scanners_met(run)) {
		reset_positions(run);
		return run->whole_zone ? GW_COMPACT_COMPLETE : GW_COMPACT_PARTIAL_SKIPPED;
	}
	if (gw_compact_interrupted() || run->contended)
		return GW_COMPACT_CONTENDED;
	if (run->request->proactive)
		return proactive_finished(run);
	if (run->migrate_pfn == gw_pageblock_start(run->m, run->migrate_pfn) &&
		gw_compact_goal_reached(run))
		return GW_COMPACT_SUCCESS;
	return GW_COMPACT_CONTINUE;
}

/*
 * An allocation's run asks whether compaction is the cure (D17, D18); a planner's, which has no
 * reclaim to turn to, only whether there is room. Whole zones are compacted regardless.
 */
static enum gw_compact_result
may_start(const struct gw_compact_run *run)
{
	const struct gw_compact_request *request = run->request;

	if (request->order < 0)
		return GW_COMPACT_CONTINUE;
	if (request->direct)
		return gw_compact_suitable(run->m, run->zone->id, request->order);
	if (gw_compact_goal_reached(run))
		return GW_COMPACT_SUCCESS;
	return gw_compact_has_room(run->zone, (unsigned)request->order) ? GW_COMPACT_CONTINUE
									: GW_COMPACT_SKIPPED;
}

/* Skip hints are forgotten after a full cycle, and before the first try after the longest deferral.
 */
static void
refresh_hints(const struct gw_compact_run *run)
{
	struct gw_zone *zone = run->zone;
	bool flush;

	if (run->request->ignore_skip || run->request->order < 0)
		return;
	gw_spin_lock(&zone->lock);
	flush = zone->compact.flush_skip;
	gw_spin_unlock(&zone->lock);
	if (flush || gw_compact_restarting(run->m, zone->id, (unsigned)run->request->order))
		reset_skip(zone);
}

/* ---- the run ---- */

/*
 * The migration scanner has left the last aligned block of the wanted order that it moved pages
 * out of: freed frames on this CPU's lists merge only now (D21). A proactive run goes by free
 * pageblocks, and would not see those it has made.
 */
static void
drain_if_left(struct gw_compact_run *run, gw_pfn_t *moved_from)
{
	int order =
		run->request->proactive ? (int)run->m->config.pageblock_order : run->request->order;
	gw_pfn_t current;

	if (order <= 0 || *moved_from == GW_PFN_NONE)
		return;
	current = run->migrate_pfn & ~(((gw_pfn_t)1 << order) - 1);
	if (*moved_from >= current)
		return;
	gw_lru_add_drain(run->m);
	gw_drain_pages(run->m);
	*moved_from = GW_PFN_NONE;
}

/* One batch. False: the run ends, CONTENDED. */
static bool
step(struct gw_compact_run *run, gw_pfn_t *moved_from)
{
	struct gw_machine *m = run->m;
	bool failed;

	run->rest_of_block =
		*moved_from != GW_PFN_NONE &&
		gw_pageblock_start(m, *moved_from) == gw_pageblock_start(m, run->migrate_pfn);
	for (;;) {
		switch (gw_scan_migrate(run)) {
		case GW_SCAN_ABORT:
		case GW_SCAN_STOP:
			return false;
		case GW_SCAN_NONE:
			drain_if_left(run, moved_from);
			return true;
		case GW_SCAN_TAKEN:
		default:
			break;
		}
		if (run->request->stop_at && run->migrate_pfn >= run->request->stop_at) {
			gw_putback_movable_pages(m, &run->sources);
			return false;
		}
		*moved_from = gw_pageblock_start(m, run->migrate_pfn - 1);
		if (!move_batch(run, &failed))
			return false;
		/* A pageblock that did not give all is finished and marked, not met again and
		 * again. */
		if (!failed || run->rest_of_block || run->request->ignore_skip ||
			run->request->mode == GW_MIGRATE_SYNC ||
			run->migrate_pfn == gw_pageblock_start(m, run->migrate_pfn))
			break;
		run->rest_of_block = true;
	}
	drain_if_left(run, moved_from);
	return true;
}

/* Until every CPU has seen to its LRU batch: for ever, if it needs what the caller holds first.
 * Once a part of each run (R13). */
static void
await_drains(struct gw_machine *m)
{
	for (unsigned cpu = 0; cpu < m->config.n_cpus;) {
		struct gw_lru_batch *batch = &m->lru_batches[cpu];

		gw_spin_lock(&batch->lock);
		cpu += batch->n == 0;
		gw_spin_unlock(&batch->lock);
		gw_relax();
	}
}

static enum gw_compact_result
run_scanners(struct gw_compact_run *run)
{
	enum gw_compact_result result = may_start(run);
	struct gw_compact_state *state = &run->zone->compact;
	gw_pfn_t moved_from = GW_PFN_NONE, highest;

	if (result != GW_COMPACT_CONTINUE)
		return result;
	refresh_hints(run);
	start_positions(run);
	GW_PROBE5(mm_compaction_begin, run->zone->start, run->migrate_pfn, run->free_pfn,
		run->zone->end, run->request->mode);
	gw_migrate_prep_local(run->m); /* this CPU's only (D21) */
	if (!gw_fix(run->m, GW_FIX_LOCAL_LRU_DRAIN))
		await_drains(run->m);
	while ((result = finished(run)) == GW_COMPACT_CONTINUE) {
		if (!step(run, &moved_from)) {
			result = GW_COMPACT_CONTENDED;
			break;
		}
	}
	if (run->n_held == 0)
		return result;
	/* What goes back is worth another look: the free scanner restarts no lower. */
	highest = gw_pageblock_start(run->m, gw_release_held(run));
	gw_spin_lock(&run->zone->lock);
	if (highest > state->free_pfn)
		state->free_pfn = highest;
	gw_spin_unlock(&run->zone->lock);
	return result;
}

/* An allocation waits for one block, and no longer than it must. */
static enum gw_compact_result
evacuate(struct gw_compact_run *run)
{
	return run->request->direct && run->request->order > 0 ? gw_evacuate_one(run)
							       : gw_evacuate(run);
}

enum gw_compact_result
gw_compact_zone(struct gw_machine *m, unsigned zone, const struct gw_compact_request *request,
	struct gw_compact_stats *stats)
{
	struct gw_compact_run run;
	enum gw_compact_result result = GW_COMPACT_NOT_SUITABLE_ZONE;

	if (stats)
		*stats = (struct gw_compact_stats){.migrate.stopped_on = GW_PFN_NONE};
	if (zone >= m->n_zones || request->order > (int)m->config.max_order)
		return result;
	if (request->mode != GW_MIGRATE_ASYNC)
		gw_might_sleep();
	gw_compact_run_init(&run, &m->zones[zone], request);
	result = request->planner == GW_PLANNER_EVACUATE ? evacuate(&run) : run_scanners(&run);
	gw_count(m, GW_VM_COMPACT_MIGRATE_SCANNED, run.stats.migrate_scanned);
	gw_count(m, GW_VM_COMPACT_FREE_SCANNED, run.stats.free_scanned);
	gw_count(m, GW_VM_COMPACT_ISOLATED, run.stats.isolated);
	GW_PROBE6(mm_compaction_end, run.zone->start, run.migrate_pfn, run.free_pfn, run.zone->end,
		request->mode, result);
	run.stats.result = result;
	run.stats.migrate_pfn = run.migrate_pfn;
	run.stats.free_pfn = run.free_pfn;
	if (stats)
		*stats = run.stats;
	return result;
}
