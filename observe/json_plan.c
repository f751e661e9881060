/* SPDX-License-Identifier: MIT */
/*
 * json_plan.c - a plan for programs (docs/json.md, godwit.plan).
 */
#include "report_internal.h"

static json_t *
blockers(const struct gw_plan_zone *z)
{
	json_t *o = json_object();

	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		const struct gw_blocker *b = &z->blockers[k];
		json_t *row;

		if (b->pageblocks == 0)
			continue;
		row = json_object();
		gw_json_set(&row, "pages", gw_json_uint(b->pages));
		gw_json_set(&row, "pageblocks", gw_json_uint(b->pageblocks));
		gw_json_set(&row, "sole", gw_json_uint(b->sole));
		gw_json_set(&o, gw_kind_info((enum gw_kind)k)->name, row);
	}
	return o;
}

/* What a zone and the total have in common. */
static void
set_outcome(json_t **o, const struct gw_plan_zone *z)
{
	gw_json_set(o, "free_blocks_before", gw_json_counts(z->free_blocks_before, z->n_orders));
	gw_json_set(o, "free_blocks_after", gw_json_counts(z->free_blocks_after, z->n_orders));
	gw_json_set(o, "available_before", gw_json_uint(z->available_before));
	gw_json_set(o, "available_after", gw_json_uint(z->available_after));
	gw_json_set(o, "available_after_held", gw_json_uint(z->available_after_held));
	gw_json_set(o, "pages_migrated", gw_json_uint(z->pages_migrated));
	gw_json_set(o, "pages_failed", gw_json_uint(z->pages_failed));
	gw_json_set(o, "migrate_scanned", gw_json_uint(z->migrate_scanned));
	gw_json_set(o, "free_scanned", gw_json_uint(z->free_scanned));
	gw_json_set(o, "result", json_string(gw_compact_result_name(z->result)));
	gw_json_set(o, "blockers", blockers(z));
}

static json_t *
zone(const struct gw_plan_zone *z)
{
	json_t *o = json_object();

	gw_json_set(&o, "node", json_integer(z->node));
	gw_json_set(&o, "zone", gw_json_text(z->name));
	set_outcome(&o, z);
	gw_json_set(&o, "start_pfn", gw_json_uint(z->start));
	gw_json_set(&o, "end_pfn", gw_json_uint(z->end));
	gw_json_set(&o, "migrate_pfn", gw_json_uint(z->migrate_pfn));
	gw_json_set(&o, "free_pfn", gw_json_uint(z->free_pfn));
	gw_json_set(&o, "notes", gw_json_notes(&z->notes));
	return o;
}

static json_t *
total(const struct gw_plan *p)
{
	json_t *o = json_object();

	set_outcome(&o, &p->total);
	gw_json_set(&o, "bytes_copied", gw_json_uint(p->bytes_copied));
	gw_json_set(&o, "seconds_estimate", json_real(p->seconds_estimate));
	gw_json_set(&o, "reclaimable_frames", gw_json_uint(p->reclaimable_frames));
	gw_json_set(&o, "available_if_clean_dropped",
		p->tried_clean ? gw_json_uint(p->available_if_clean_dropped) : json_null());
	gw_json_set(&o, "pageblocks_before", gw_json_states(p->before, p->n_blocks));
	gw_json_set(&o, "pageblocks_after", gw_json_states(p->after, p->n_blocks));
	return o;
}

static json_t *
request(const struct gw_plan_request *r)
{
	json_t *o = json_object();

	gw_json_set(&o, "order", gw_json_uint(r->order));
	gw_json_set(&o, "count", gw_json_uint(r->count));
	gw_json_set(&o, "planner",
		json_string(r->planner == GW_PLANNER_EVACUATE ? "evacuate" : "scanners"));
	gw_json_set(&o, "reclaim", json_string(r->reclaim_clean ? "clean" : "none"));
	gw_json_set(&o, "stop_at", r->stop_at ? gw_json_uint(r->stop_at) : json_null());
	gw_json_set(&o, "rest_seconds", gw_json_uint(r->rest_seconds));
	gw_json_set(&o, "ns_per_page", gw_json_uint(r->ns_per_page));
	gw_json_set(&o, "ns_per_scanned", gw_json_uint(r->ns_per_scanned));
	return o;
}

static json_t *
stop(const struct gw_plan *p, const struct gw_plan_stop *s)
{
	json_t *o = json_object();

	gw_json_set(&o, "node", json_integer(s->zone < p->n_zones ? p->zones[s->zone].node : -1));
	gw_json_set(&o, "zone", gw_json_text(s->zone < p->n_zones ? p->zones[s->zone].name : ""));
	gw_json_set(&o, "pfn", gw_json_uint(s->page));
	gw_json_set(&o, "order", gw_json_uint(s->order));
	gw_json_set(&o, "kind", json_string(gw_kind_info(s->kind)->name));
	gw_json_set(&o, "likely", json_boolean(s->likely));
	gw_json_set(&o, "migrate_pfn", gw_json_uint(s->migrate_pfn));
	gw_json_set(&o, "pages_migrated", gw_json_uint(s->pages_migrated));
	gw_json_set(&o, "available_after", gw_json_uint(s->available_after));
	return o;
}

static json_t *
timing(const struct gw_plan *p)
{
	json_t *o = json_object();

	gw_json_set(&o, "load_ns", gw_json_uint(p->load_ns));
	gw_json_set(&o, "build_ns", gw_json_uint(p->build_ns));
	gw_json_set(&o, "run_ns", gw_json_uint(p->run_ns));
	return o;
}

/* One pageblock, attributed: what it would take to free it, or which kinds block it. */
static json_t *
pageblock(const struct gw_plan *p, gw_pfn_t b)
{
	const struct gw_block_contents *before = &p->before[b], *after = &p->after[b];
	json_t *o = json_object(), *kinds = json_object();

	gw_json_set(&o, "pfn", gw_json_uint((uint64_t)b << p->pageblock_order));
	gw_json_set(&o, "zone",
		gw_json_text(before->zone < p->n_zones ? p->zones[before->zone].name : ""));
	gw_json_set(&o, "migratetype", json_string(gw_migratetype_names[before->migratetype]));
	gw_json_set(&o, "state", json_string(gw_block_state_names[gw_block_state(before)]));
	gw_json_set(&o, "state_after", json_string(gw_block_state_names[gw_block_state(after)]));
	gw_json_set(&o, "free", gw_json_uint(before->free));
	gw_json_set(&o, "to_move", gw_json_uint(before->movable));
	gw_json_set(
		&o, "blocking", gw_json_uint((uint64_t)before->unmovable + before->reclaimable));
	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		const struct gw_kind_info *info = gw_kind_info((enum gw_kind)k);

		if (before->kinds[k] && info->verdict >= GW_VERDICT_RECLAIMABLE)
			gw_json_set(&kinds, info->name, gw_json_uint(before->kinds[k]));
	}
	gw_json_set(&o, "blockers", kinds);
	return o;
}

static json_t *
pageblocks(const struct gw_plan *p)
{
	json_t *array = json_array();

	for (gw_pfn_t b = 0; b < p->n_blocks; b++)
		if (gw_block_state(&p->before[b]) != GW_BLOCK_NONE)
			gw_json_append(&array, pageblock(p, b));
	return array;
}

json_t *
gw_json_plan_object(const struct gw_snapshot *snap, const struct gw_plan *plan)
{
	json_t *o = gw_json_begin("godwit.plan", snap);
	json_t *zones = json_array(), *stops = json_array();

	for (unsigned z = 0; z < plan->n_zones; z++)
		gw_json_append(&zones, zone(&plan->zones[z]));
	for (unsigned i = 0; i < plan->n_stops; i++)
		gw_json_append(&stops, stop(plan, &plan->stops[i]));
	gw_json_set(&o, "request", request(&plan->request));
	gw_json_set(&o, "answer", json_string(gw_plan_answer(plan).s));
	gw_json_set(&o, "cost", json_string(gw_plan_cost(plan).s));
	gw_json_set(&o, "help", json_string(gw_plan_help(plan).s));
	gw_json_set(&o, "enough", json_boolean(plan->enough));
	gw_json_set(&o, "zones", zones);
	gw_json_set(&o, "total", total(plan));
	gw_json_set(&o, "stops", stops);
	gw_json_set(&o, "stops_total", gw_json_uint(plan->n_stops_total));
	gw_json_set(&o, "timing", timing(plan));
	return o;
}

int
gw_json_plan(
	FILE *out, const struct gw_snapshot *snap, const struct gw_plan *plan, bool with_pageblocks)
{
	json_t *o = gw_json_plan_object(snap, plan);

	if (with_pageblocks)
		gw_json_set(&o, "pageblocks", pageblocks(plan));
	return gw_json_end(out, o);
}
