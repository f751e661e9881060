/* SPDX-License-Identifier: MIT */
/*
 * plan.c - running a planner on the twin of a host (godwit/plan.h).
 *
 * Steps
 *   N1  build the twin, note what stands where
 *   N2  let the host rest, then run the planner zone by zone, as the kernel does, until the
 *       count is had
 *   N3  note what is available while per-CPU lists hold what was freed, then drain them
 *   N4  compare, attribute what did not become free, price it
 *   N5  if the count is not had: a run that is after blocks of a small order leaves alone what a
 *       full run takes apart, so a full run may still give it
 *   N6  if the answer is no: would dropping clean page cache first change it?
 *
 * A run of the kernel's own may end at a large folio that has no target and cannot be split (FACTS
 * 3.7). The planner splits it and goes on, and notes the place. What such an early end would
 * leave needs no second run: below the folio memory is as after the full run; above
 * it as before, since free targets never come from blocks that are free as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/twin/twin_internal.h"

void
gw_plan_request_init(struct gw_plan_request *request)
{
	*request = (struct gw_plan_request){
		.order = GW_DEFAULT_PAGEBLOCK_ORDER,
		.planner = GW_PLANNER_SCANNERS,
		.rest_seconds = GW_PLAN_REST_SECONDS,
		.ns_per_page = GW_PLAN_NS_PER_PAGE,
		.ns_per_scanned = GW_PLAN_NS_PER_SCANNED,
	};
}

struct planning {
	struct gw_plan *plan;
	struct gw_twin *twin;
	struct gw_machine *m;
	unsigned zone;	      /* under way */
	uint64_t count;	      /* of blocks at which the run ends; 0: it goes to the end */
	uint8_t *free_before; /* per aligned region of the order wanted: all its frames are free */
	gw_pfn_t n_regions;
};

static uint64_t
now(void)
{
	return gw_bare_ops.clock_ns(NULL);
}

static uint64_t
available(struct gw_machine *m, unsigned order)
{
	uint64_t n = 0;

	for (unsigned z = 0; z < gw_machine_zones(m); z++)
		n += gw_zone_available(m, z, order);
	return n;
}

/* Regions of whole pageblocks, from the pageblocks' contents. */
static void
free_large_regions(
	const struct planning *p, const struct gw_block_contents *blocks, uint8_t *regions)
{
	unsigned order = p->plan->request.order - p->plan->pageblock_order;

	for (gw_pfn_t b = 0; b < p->plan->n_blocks && b >> order < p->n_regions; b++)
		if (blocks[b].free != 1u << p->plan->pageblock_order)
			regions[b >> order] = 0;
}

/* Smaller regions, from the frames. */
static void
free_small_regions(const struct planning *p, uint8_t *regions)
{
	unsigned order = p->plan->request.order;
	gw_pfn_t pfn = 0, n_frames = p->twin->snap->n_frames;
	struct gw_frame_info info;

	while (pfn < n_frames && !gw_frame_info(p->m, pfn, &info)) {
		gw_pfn_t next = info.head + ((gw_pfn_t)1 << info.order);

		if (info.state != GW_STATE_BUDDY && info.state != GW_STATE_PCP)
			for (gw_pfn_t r = pfn >> order;
				r <= (next - 1) >> order && r < p->n_regions; r++)
				regions[r] = 0;
		pfn = next;
	}
}

/* One byte per aligned region of the order wanted: 1 if every frame of it is free now. */
static uint8_t *
free_regions(const struct planning *p, const struct gw_block_contents *blocks)
{
	uint8_t *regions = malloc(p->n_regions ? p->n_regions : 1);

	if (!regions)
		return NULL;
	memset(regions, 1, p->n_regions);
	if (p->plan->request.order >= p->plan->pageblock_order)
		free_large_regions(p, blocks, regions);
	else
		free_small_regions(p, regions);
	return regions;
}

static int
read_blocks(struct planning *p, struct gw_block_contents **out)
{
	p->plan->n_blocks = gw_twin_blocks(p->twin);
	*out = calloc(p->plan->n_blocks, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (gw_pfn_t b = 0; b < p->plan->n_blocks; b++)
		gw_twin_block_contents(p->twin, b, &(*out)[b]);
	return 0;
}

static int
read_zones(struct planning *p, bool before)
{
	struct gw_plan *plan = p->plan;
	struct gw_zone_info info;

	for (unsigned z = 0; z < plan->n_zones; z++) {
		struct gw_plan_zone *zone = &plan->zones[z];
		int ret = gw_zone_info(p->m, z, &info);

		if (ret)
			return ret;
		zone->start = info.start;
		zone->end = info.end;
		zone->n_orders = info.n_orders;
		memcpy(before ? zone->free_blocks_before : zone->free_blocks_after,
			info.free_blocks, sizeof(info.free_blocks));
		*(before ? &zone->available_before : &zone->available_after) =
			gw_zone_available(p->m, z, plan->request.order);
	}
	return 0;
}

static bool
note_stop(void *ctx, struct gw_machine *m, const struct gw_stop_point *at)
{
	struct planning *p = ctx;
	struct gw_plan *plan = p->plan;
	gw_frame_t frame = (gw_frame_t)gw_page_index(m, at->page);
	enum gw_kind kind = gw_frame_kind(frame);

	plan->n_stops_total++;
	if (plan->n_stops == GW_PLAN_STOPS_MAX)
		return false;
	plan->stops[plan->n_stops++] = (struct gw_plan_stop){
		.zone = p->zone,
		.page = at->page,
		.order = at->order,
		.kind = kind,
		.likely = frame & GW_FRAME_PRIVATE || kind == GW_KIND_FILE_DIRTY ||
			  kind == GW_KIND_WRITEBACK,
		.migrate_pfn = at->migrate_pfn,
		.pages_migrated = at->migrated,
	};
	return false;
}

static void
run_zone(struct planning *p, unsigned z)
{
	struct gw_plan *plan = p->plan;
	const struct gw_plan_request *want = &plan->request;
	struct gw_plan_zone *zone = &plan->zones[z];
	struct gw_compact_stats stats = {0};
	struct gw_compact_request request = {
		.planner = want->planner,
		.order = -1,
		.mode = GW_MIGRATE_SYNC,
		.migratetype = GW_MT_MOVABLE,
		.whole_zone = true,
		.ignore_skip = true,
		.stop_at = want->planner == GW_PLANNER_SCANNERS ? want->stop_at : 0,
		.on_stop_point = note_stop,
		.ctx = p,
	};

	if (want->planner == GW_PLANNER_EVACUATE || p->count)
		request.order = (int)want->order;
	if (p->count) {
		uint64_t have = available(p->m, want->order);

		if (have >= p->count) {
			zone->result = GW_COMPACT_SKIPPED;
			return;
		}
		request.count = p->count - have + gw_zone_available(p->m, z, want->order);
	} else if (want->planner == GW_PLANNER_EVACUATE) {
		request.count = UINT64_MAX;
	}
	p->zone = z;
	zone->result = gw_compact_zone(p->m, z, &request, &stats);
	zone->pages_migrated = stats.migrate.succeeded;
	zone->pages_failed = stats.migrate.failed;
	zone->migrate_scanned = stats.migrate_scanned;
	zone->free_scanned = stats.free_scanned;
	zone->migrate_pfn = stats.migrate_pfn;
	zone->free_pfn = stats.free_pfn;
}

/* What a run that ends at each stop point would leave, by prefix sums over the regions. */
static int
price_stops(struct planning *p)
{
	struct gw_plan *plan = p->plan;
	uint8_t *after;
	uint64_t n = 0;

	if (plan->n_stops == 0)
		return 0;
	after = free_regions(p, plan->after);
	if (!after)
		return -ENOMEM;
	for (gw_pfn_t r = 0; r < p->n_regions; r++)
		n += p->free_before[r];
	/* Zones run one after the other and both they and the stops ascend. */
	for (unsigned i = 0, r = 0; i < plan->n_stops; i++) {
		gw_pfn_t end = plan->stops[i].page >> plan->request.order;

		for (; r < end && r < p->n_regions; r++)
			n = n - p->free_before[r] + after[r];
		plan->stops[i].available_after = n;
	}
	free(after);
	return 0;
}

/* Count the kinds that keep pageblocks from being free. Wholly reserved blocks are nobody's. */
static void
attribute(struct gw_plan *plan)
{
	for (gw_pfn_t b = 0; b < plan->n_blocks; b++) {
		const struct gw_block_contents *c = &plan->after[b];
		unsigned kinds = 0, last = 0;

		if (c->zone >= plan->n_zones ||
			c->kinds[GW_KIND_RESERVED] + c->none == 1u << plan->pageblock_order)
			continue;
		for (unsigned k = 0; k < GW_KIND_NR; k++) {
			enum gw_verdict verdict = gw_kind_info((enum gw_kind)k)->verdict;
			struct gw_blocker *blocker = &plan->zones[c->zone].blockers[k];

			if (!c->kinds[k] || (verdict != GW_VERDICT_UNMOVABLE &&
						    verdict != GW_VERDICT_RECLAIMABLE))
				continue;
			blocker->pages += c->kinds[k];
			blocker->pageblocks++;
			kinds++;
			last = k;
		}
		if (kinds == 1)
			plan->zones[c->zone].blockers[last].sole++;
	}
}

static void
add_blockers(struct gw_plan_zone *total, const struct gw_plan_zone *zone)
{
	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		total->blockers[k].pages += zone->blockers[k].pages;
		total->blockers[k].pageblocks += zone->blockers[k].pageblocks;
		total->blockers[k].sole += zone->blockers[k].sole;
	}
}

static void
add_notes(struct gw_twin_notes *total, const struct gw_twin_notes *notes)
{
	total->noflag += notes->noflag;
	total->pcp_reported += notes->pcp_reported;
	total->pcp_placed += notes->pcp_placed;
	total->pcp_drained += notes->pcp_drained;
	total->unmanaged += notes->unmanaged;
	total->pcp_certain += notes->pcp_certain;
	total->kernel_inferred += notes->kernel_inferred;
	total->torn_folios += notes->torn_folios;
	total->torn_blocks += notes->torn_blocks;
	total->free_difference += notes->free_difference;
	for (unsigned t = 0; t < GW_MT_NR; t++)
		total->pageblocks_inferred[t] += notes->pageblocks_inferred[t];
	total->pcp_confidence =
		total->pcp_placed ? (unsigned)(total->pcp_certain * 100 / total->pcp_placed) : 100;
}

static void
sum_up(struct gw_plan *plan)
{
	struct gw_plan_zone *total = &plan->total;

	snprintf(total->name, sizeof(total->name), "total");
	total->node = -1;
	total->n_orders = plan->n_zones ? plan->zones[0].n_orders : 0;
	for (unsigned z = 0; z < plan->n_zones; z++) {
		const struct gw_plan_zone *zone = &plan->zones[z];

		for (unsigned o = 0; o < zone->n_orders; o++) {
			total->free_blocks_before[o] += zone->free_blocks_before[o];
			total->free_blocks_after[o] += zone->free_blocks_after[o];
		}
		total->available_before += zone->available_before;
		total->available_after += zone->available_after;
		total->available_after_held += zone->available_after_held;
		total->pages_migrated += zone->pages_migrated;
		total->pages_failed += zone->pages_failed;
		total->migrate_scanned += zone->migrate_scanned;
		total->free_scanned += zone->free_scanned;
		if (zone->result > total->result)
			total->result = zone->result; /* D13 */
		add_blockers(total, zone);
		add_notes(&total->notes, &zone->notes);
	}
	plan->bytes_copied = total->pages_migrated * GW_PAGE_SIZE;
	plan->seconds_estimate =
		((double)total->pages_migrated * (double)plan->request.ns_per_page +
			(double)(total->migrate_scanned + total->free_scanned) *
				(double)plan->request.ns_per_scanned) /
		1e9;
	plan->enough = plan->request.count == 0 || total->available_after >= plan->request.count;
}

/* N2, N3 */
static void
run(struct planning *p)
{
	struct gw_plan *plan = p->plan;

	gw_twin_rest(p->twin);
	/* With a count, or evacuating, blocks are counted as they come free: nothing may hide. */
	if (p->count || plan->request.planner == GW_PLANNER_EVACUATE)
		gw_drain_all_pages(p->m);
	for (unsigned z = 0; z < plan->n_zones; z++)
		run_zone(p, z);
	for (unsigned z = 0; z < plan->n_zones; z++)
		plan->zones[z].available_after_held =
			gw_zone_available(p->m, z, plan->request.order);
	gw_drain_all_pages(p->m);
}

static int
run_and_compare(struct planning *p)
{
	struct gw_plan *plan = p->plan;
	uint64_t start;
	int ret = read_blocks(p, &plan->before);

	if (!ret)
		ret = read_zones(p, true);
	if (ret)
		return ret;
	p->n_regions = p->twin->snap->n_frames >> plan->request.order;
	p->free_before = free_regions(p, plan->before);
	if (!p->free_before)
		return -ENOMEM;
	start = now();
	run(p);
	plan->run_ns = now() - start;
	ret = read_zones(p, false);
	if (!ret)
		ret = read_blocks(p, &plan->after);
	if (!ret)
		ret = price_stops(p);
	return ret;
}

static int
check_request(const struct gw_snapshot *snap, const struct gw_plan_request *r, struct gw_error *err)
{
	if (r->order >= snap->n_orders) {
		snprintf(err->text, sizeof(err->text),
			"order %u: this host's memory has orders 0 to %u", r->order,
			snap->n_orders - 1);
		return -EINVAL;
	}
	if (r->stop_at >= snap->n_frames) {
		snprintf(err->text, sizeof(err->text), "stop at frame %#x: the map ends at %#x",
			r->stop_at, snap->n_frames);
		return -EINVAL;
	}
	return 0;
}

static int
make(struct gw_snapshot *snap, uint64_t count, struct gw_plan *plan, struct gw_error *err)
{
	const struct gw_twin_options options = {
		.reclaim_clean = plan->request.reclaim_clean,
		.rest_seconds = plan->request.rest_seconds,
	};
	struct planning p = {.plan = plan, .count = count};
	uint64_t start = now();
	int ret;

	plan->n_zones = snap->n_zones;
	plan->pageblock_order = snap->pageblock_order;
	plan->zones = calloc(snap->n_zones ? snap->n_zones : 1, sizeof(*plan->zones));
	plan->stops = calloc(GW_PLAN_STOPS_MAX, sizeof(*plan->stops));
	if (!plan->zones || !plan->stops)
		return -ENOMEM;
	ret = gw_twin_create(snap, &options, &p.twin, err); /* N1 */
	if (ret)
		return ret;
	p.m = gw_twin_machine(p.twin);
	plan->build_ns = now() - start;
	for (unsigned z = 0; z < plan->n_zones; z++) {
		memcpy(plan->zones[z].name, snap->zones[z].name, sizeof(plan->zones[z].name));
		plan->zones[z].node = snap->zones[z].node;
		plan->zones[z].notes = *gw_twin_notes(p.twin, z);
	}
	ret = run_and_compare(&p);
	gw_twin_destroy(p.twin);
	free(p.free_before);
	if (ret)
		return ret;
	attribute(plan); /* N4 */
	sum_up(plan);
	return 0;
}

/* N5: the plan asked for, or a full run's if that gives more. */
static int
make_best(struct gw_snapshot *snap, struct gw_plan *plan, struct gw_error *err)
{
	struct gw_plan full = {
		.request = plan->request, .reclaimable_frames = plan->reclaimable_frames};
	int ret = make(snap, plan->request.count, plan, err);

	if (ret || plan->enough || plan->request.planner == GW_PLANNER_EVACUATE)
		return ret;
	ret = make(snap, 0, &full, err);
	if (!ret && full.total.available_after > plan->total.available_after) {
		struct gw_plan other = *plan;

		*plan = full;
		full = other;
	}
	gw_plan_free(&full);
	return ret;
}

static uint64_t
count_reclaimable(const struct gw_snapshot *snap)
{
	uint64_t n = 0;

	for (gw_pfn_t pfn = 0; pfn < snap->n_frames; pfn++)
		n += gw_frame_is_droppable(snap->frames[pfn]);
	return n;
}

/* N6: the same request on the same host with clean page cache dropped. */
static int
try_dropping(struct gw_snapshot *snap, struct gw_plan *plan, struct gw_error *err)
{
	struct gw_plan second = {.request = plan->request};
	int ret;

	second.request.reclaim_clean = true;
	ret = make_best(snap, &second, err);
	if (!ret) {
		plan->tried_clean = true;
		plan->available_if_clean_dropped = second.total.available_after;
	}
	gw_plan_free(&second);
	return ret;
}

int
gw_plan_make(struct gw_snapshot *snap, const struct gw_plan_request *request, struct gw_plan *out,
	struct gw_error *err)
{
	struct gw_plan plan = {.request = *request};
	struct gw_error ignored;
	int ret;

	if (!err)
		err = &ignored;
	ret = check_request(snap, request, err);
	if (ret)
		return ret;
	plan.reclaimable_frames = count_reclaimable(snap);
	ret = make_best(snap, &plan, err);
	if (!ret && !plan.enough && !request->reclaim_clean && plan.reclaimable_frames)
		ret = try_dropping(snap, &plan, err);
	if (ret) {
		gw_plan_free(&plan);
		return ret;
	}
	*out = plan;
	return 0;
}

void
gw_plan_free(struct gw_plan *plan)
{
	free(plan->zones);
	free(plan->stops);
	free(plan->before);
	free(plan->after);
	memset(plan, 0, sizeof(*plan));
}
