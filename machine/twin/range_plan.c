/* SPDX-License-Identifier: MIT */
/*
 * range_plan.c - taking a range away from the twin of a host (godwit/range_plan.h).
 *
 * Steps
 *   N1  in the range, frames become what they are for who empties it: pages under write-back are
 *       dirty ones, pool pages up to a pageblock's size movable; broken frames of a range that
 *       goes offline are as good as free
 *   N2  build the twin, let the host rest, drain its lists
 *   N3  look (gw_range_look()): every page in the way, with its kind
 *   N4  if there is none, do it on the twin: that also finds out if there is room
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/range_plan.h"
#include "machine/twin/twin_internal.h"

struct ranging {
	struct gw_snapshot *snap;
	struct gw_twin *twin;
	struct gw_machine *m;
	uint64_t ns_per_page, ns_per_scanned;
};

/* ---- N1 ---- */

static void
set_kind(gw_frame_t *frame, enum gw_kind kind)
{
	*frame = (gw_frame_t)((*frame & ~(unsigned)GW_FRAME_KIND) | kind);
}

static void
wait_for_writeback(struct gw_snapshot *snap, gw_pfn_t start, gw_pfn_t end)
{
	for (gw_pfn_t pfn = start; pfn < end; pfn++)
		if (gw_frame_kind(snap->frames[pfn]) == GW_KIND_WRITEBACK)
			set_kind(&snap->frames[pfn], GW_KIND_FILE_DIRTY);
}

/* The pool page that pfn belongs to moves to a new one, unless it is gigantic. Returns its end. */
static gw_pfn_t
move_pool_page(struct gw_snapshot *snap, gw_pfn_t pfn, uint64_t *hugetlb)
{
	gw_pfn_t start = pfn, end = pfn + 1;

	while (start > 0 && snap->frames[start] & GW_FRAME_TAIL)
		start--;
	while (end < snap->n_frames && snap->frames[end] & GW_FRAME_TAIL)
		end++;
	if (end - start > (gw_pfn_t)1 << snap->pageblock_order)
		return end;
	for (gw_pfn_t p = start; p < end; p++) {
		set_kind(&snap->frames[p], GW_KIND_ANON);
		snap->frames[p] |= GW_FRAME_LRU;
	}
	*hugetlb += end - start;
	return end;
}

static void
prepare_offline(struct gw_snapshot *snap, gw_pfn_t start, gw_pfn_t end, uint64_t *hugetlb)
{
	wait_for_writeback(snap, start, end);
	for (gw_pfn_t pfn = start; pfn < end; pfn++) {
		enum gw_kind kind = gw_frame_kind(snap->frames[pfn]);

		if (kind == GW_KIND_HWPOISON)
			snap->frames[pfn] = GW_KIND_BUDDY;
		else if (kind == GW_KIND_HUGETLB)
			pfn = move_pool_page(snap, pfn, hugetlb) - 1;
	}
}

/* ---- N2 ---- */

static int
open_twin(struct ranging *r, struct gw_error *err)
{
	int ret = gw_twin_create(r->snap, NULL, &r->twin, err);

	if (ret)
		return ret;
	r->m = gw_twin_machine(r->twin);
	gw_twin_rest(r->twin);
	gw_drain_all_pages(r->m);
	return 0;
}

/* ---- N3 ---- */

struct looking {
	const struct ranging *r;
	struct gw_range_plan *plan;
	struct gw_range_blocker run; /* the last one; frames 0: none yet */
};

static void
note_frame(struct looking *l, gw_pfn_t pfn, enum gw_kind kind, enum gw_obstacle_why why)
{
	struct gw_range_plan *plan = l->plan;
	struct gw_range_blocker *run = &l->run;

	plan->by_kind[kind]++;
	if (!run->frames || run->kind != kind || run->why != why || run->pfn + run->frames != pfn) {
		*run = (struct gw_range_blocker){.pfn = pfn, .kind = kind, .why = why};
		plan->n_blockers_total++;
		if (plan->n_blockers < GW_RANGE_BLOCKERS_MAX)
			plan->n_blockers++;
	}
	run->frames++;
	if (plan->n_blockers_total <= GW_RANGE_BLOCKERS_MAX)
		plan->blockers[plan->n_blockers - 1] = *run;
}

static void
note_obstacle(void *ctx, const struct gw_obstacle *obstacle)
{
	struct looking *l = ctx;
	gw_pfn_t end = obstacle->pfn + ((gw_pfn_t)1 << obstacle->order);

	if (obstacle->why == GW_WHY_CMA || obstacle->why == GW_WHY_ISOLATED)
		end = obstacle->pfn + ((gw_pfn_t)1 << l->r->snap->pageblock_order);
	for (gw_pfn_t pfn = obstacle->pfn; pfn < end && pfn < l->plan->end; pfn++)
		note_frame(l, pfn, gw_twin_frame_kind(l->r->twin, pfn), obstacle->why);
}

static int
zone_of_frame(const struct gw_snapshot *snap, gw_pfn_t pfn)
{
	for (unsigned z = 0; z < snap->n_zones; z++) {
		struct gw_range range = gw_twin_zone_range(snap, z);

		if (pfn >= range.start && pfn < range.end)
			return (int)z;
	}
	return -1;
}

/* What no page can be blamed for. */
static bool
refuse(const struct gw_snapshot *snap, struct gw_range_plan *plan)
{
	const gw_pfn_t mask = ((gw_pfn_t)1 << snap->pageblock_order) - 1;
	int zone = zone_of_frame(snap, plan->start);

	if (plan->start & mask || plan->end & mask) {
		snprintf(plan->refused, sizeof(plan->refused),
			"it is not made of whole pageblocks of %u frames", mask + 1);
		return true;
	}
	if (zone < 0) {
		snprintf(plan->refused, sizeof(plan->refused), "there is no memory at its start");
		return true;
	}
	memcpy(plan->zone, snap->zones[zone].name, sizeof(plan->zone));
	plan->node = snap->zones[zone].node;
	if (zone_of_frame(snap, plan->end - 1) == zone)
		return false;
	snprintf(plan->refused, sizeof(plan->refused),
		"it is not all in one zone: no such range can be taken away");
	return true;
}

/* False: nothing could be asked. */
static bool
look(const struct ranging *r, struct gw_range_plan *plan)
{
	struct looking l = {.r = r, .plan = plan};
	struct gw_range_outlook outlook;

	if (refuse(r->snap, plan))
		return false;
	if (gw_range_look(
		    r->m, plan->start, plan->end, GW_MT_MOVABLE, note_obstacle, &l, &outlook)) {
		snprintf(plan->refused, sizeof(plan->refused),
			"its pageblocks are not all of one zone");
		return false;
	}
	plan->free = outlook.free;
	plan->movable = outlook.movable;
	plan->blocked = outlook.blocked;
	plan->room = outlook.room;
	return true;
}

/* ---- N4 ---- */

static void
price(const struct ranging *r, struct gw_range_plan *plan, uint64_t migrated_before)
{
	plan->pages_migrated = gw_machine_count(r->m, GW_VM_PGMIGRATE_SUCCESS) - migrated_before;
	plan->seconds_estimate =
		((double)plan->pages_migrated * (double)r->ns_per_page +
			(double)(plan->end - plan->start) * (double)r->ns_per_scanned) /
		1e9;
}

/* Allocating the range is what offlining it is, but that it gives up (FACTS 1.6). */
static void
take(const struct ranging *r, struct gw_range_plan *plan)
{
	uint64_t before = gw_machine_count(r->m, GW_VM_PGMIGRATE_SUCCESS);

	plan->possible = !plan->blocked &&
			 !gw_alloc_contig(r->m, plan->start, plan->end, GW_MT_MOVABLE, NULL);
	if (plan->possible)
		price(r, plan, before);
}

int
gw_offline_plan_make(struct gw_snapshot *snap, gw_pfn_t start, gw_pfn_t end, uint64_t ns_per_page,
	uint64_t ns_per_scanned, struct gw_range_plan *out, struct gw_error *err)
{
	struct ranging r = {
		.snap = snap, .ns_per_page = ns_per_page, .ns_per_scanned = ns_per_scanned};
	int ret;

	*out = (struct gw_range_plan){.start = start, .end = end, .node = -1};
	if (start >= end || end > snap->n_frames) {
		snprintf(err->text, sizeof(err->text),
			"frames %#x to %#x: empty, or beyond the map, which ends at %#x", start,
			end, snap->n_frames);
		return -EINVAL;
	}
	prepare_offline(snap, start, end, &out->hugetlb);
	ret = open_twin(&r, err);
	if (ret)
		return ret;
	if (look(&r, out))
		take(&r, out);
	gw_twin_destroy(r.twin);
	return 0;
}

/* ---- gigantic pages ---- */

static int
add_place(struct gw_gigantic_plan *plan, const struct gw_range_plan *place)
{
	struct gw_range_plan *grown;

	if (!(plan->n_places & (plan->n_places - 1))) { /* full: 0, 1, 2, 4 ... */
		size_t n = plan->n_places ? 2 * (size_t)plan->n_places : 1;

		grown = realloc(plan->places, n * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		plan->places = grown;
	}
	plan->places[plan->n_places++] = *place;
	return 0;
}

static int
try_zone(const struct ranging *r, unsigned zone, struct gw_gigantic_plan *plan)
{
	struct gw_range range = gw_twin_zone_range(r->snap, zone);
	gw_pfn_t n = (gw_pfn_t)1 << plan->order;
	uint64_t start = ((uint64_t)range.start + n - 1) & ~((uint64_t)n - 1);
	int ret = 0;

	for (; start + n <= range.end && plan->had < plan->count && !ret; start += n) {
		struct gw_range_plan place = {
			.start = (gw_pfn_t)start, .end = (gw_pfn_t)(start + n), .node = -1};

		if (look(r, &place))
			take(r, &place);
		plan->had += place.possible;
		plan->pages_migrated += place.pages_migrated;
		plan->seconds_estimate += place.seconds_estimate;
		ret = add_place(plan, &place);
	}
	return ret;
}

/* Nodes ascending, of each the highest zone first. */
static int
try_zones(const struct ranging *r, struct gw_gigantic_plan *plan)
{
	int ret = 0;

	for (int node = 0; node < GW_NODES_MAX && !ret; node++)
		for (unsigned z = r->snap->n_zones; z-- > 0 && !ret;)
			if (r->snap->zones[z].node == node)
				ret = try_zone(r, z, plan);
	return ret;
}

int
gw_gigantic_plan_make(struct gw_snapshot *snap, unsigned order, uint64_t count,
	uint64_t ns_per_page, uint64_t ns_per_scanned, struct gw_gigantic_plan *out,
	struct gw_error *err)
{
	struct ranging r = {
		.snap = snap, .ns_per_page = ns_per_page, .ns_per_scanned = ns_per_scanned};
	int ret;

	*out = (struct gw_gigantic_plan){.order = order, .count = count};
	if (order < snap->pageblock_order || order > 30) {
		snprintf(err->text, sizeof(err->text),
			"order %u: gigantic pages are of order %u to 30", order,
			snap->pageblock_order);
		return -EINVAL;
	}
	wait_for_writeback(snap, 0, snap->n_frames);
	ret = open_twin(&r, err);
	if (ret)
		return ret;
	ret = try_zones(&r, out);
	gw_twin_destroy(r.twin);
	if (ret)
		gw_gigantic_plan_free(out);
	return ret;
}

void
gw_gigantic_plan_free(struct gw_gigantic_plan *plan)
{
	free(plan->places);
	*plan = (struct gw_gigantic_plan){0};
}
