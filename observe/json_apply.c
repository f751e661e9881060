/* SPDX-License-Identifier: MIT */
/*
 * json_apply.c - what was done on the live host, for programs (docs/json.md, godwit.apply).
 */
#include "report_internal.h"
#include "apply.h"

static json_t *
request(const struct gw_apply *a)
{
	json_t *o = json_object();

	gw_json_set(&o, "order", gw_json_uint(a->order));
	gw_json_set(&o, "count", gw_json_uint(a->count));
	gw_json_set(&o, "node", a->node < 0 ? json_null() : json_integer(a->node));
	gw_json_set(&o, "reserve", json_boolean(a->reserve));
	gw_json_set(&o, "dry_run", json_boolean(a->outcome == GW_APPLY_DRY_RUN));
	gw_json_set(&o, "max_runs", gw_json_uint(a->max_runs));
	gw_json_set(&o, "settle_seconds", gw_json_uint(a->settle_seconds));
	gw_json_set(&o, "compact_file", json_string(a->compact_path));
	return o;
}

static json_t *
zone(const struct gw_apply_zone *z)
{
	json_t *o = json_object();

	gw_json_set(&o, "node", json_integer(z->node));
	gw_json_set(&o, "zone", gw_json_text(z->name));
	gw_json_set(&o, "free_blocks_before", gw_json_counts(z->free_blocks_before, z->n_orders));
	gw_json_set(&o, "free_blocks_after", gw_json_counts(z->free_blocks_after, z->n_orders));
	gw_json_set(&o, "available_before", gw_json_uint(z->available_before));
	gw_json_set(&o, "available_after", gw_json_uint(z->available_after));
	gw_json_set(&o, "available_predicted", gw_json_uint(z->available_predicted));
	gw_json_set(&o, "pcp_before", gw_json_uint(z->held_before));
	gw_json_set(&o, "pcp_after", gw_json_uint(z->held_after));
	return o;
}

static json_t *
folio(const struct gw_apply_end *e)
{
	json_t *o;

	if (e->folio_pages == 0)
		return json_null();
	o = json_object();
	gw_json_set(&o, "pfn", gw_json_uint(e->folio));
	gw_json_set(&o, "pages", gw_json_uint(e->folio_pages));
	gw_json_set(&o, "kind", json_string(gw_kind_info(gw_frame_kind(e->frame))->name));
	gw_json_set(&o, "private", json_boolean((e->frame & GW_FRAME_PRIVATE) != 0));
	return o;
}

static json_t *
end(const struct gw_apply *a, const struct gw_apply_end *e)
{
	json_t *o = json_object();

	gw_json_set(&o, "node", json_integer(a->zones[e->zone].node));
	gw_json_set(&o, "zone", gw_json_text(a->zones[e->zone].name));
	gw_json_set(&o, "result", json_string(gw_compact_result_name(e->result)));
	gw_json_set(&o, "migrate_pfn", gw_json_uint(e->migrate_pfn));
	gw_json_set(&o, "free_pfn", gw_json_uint(e->free_pfn));
	gw_json_set(&o, "folio", folio(e));
	return o;
}

static json_t *
run(const struct gw_apply *a, const struct gw_apply_run *r)
{
	json_t *o = json_object(), *ends = a->trace_missing[0] ? json_null() : json_array();

	for (unsigned i = 0; i < r->n_ends && !a->trace_missing[0]; i++)
		gw_json_append(&ends, end(a, &r->ends[i]));
	gw_json_set(&o, "seconds", json_real((double)r->ns / 1e9));
	gw_json_set(&o, "available_before", gw_json_uint(r->available_before));
	gw_json_set(&o, "available_after", gw_json_uint(r->available_after));
	gw_json_set(&o, "pages_migrated", gw_json_uint(r->migrated));
	gw_json_set(&o, "pages_failed", gw_json_uint(r->failed));
	gw_json_set(&o, "settle_seconds", json_real((double)r->settle_ms / 1e3));
	gw_json_set(&o, "pcp_after", gw_json_uint(r->held));
	gw_json_set(&o, "ends", ends);
	return o;
}

/* Predicted beside achieved, summed over zones and runs. */
static json_t *
total(const struct gw_apply *a)
{
	json_t *o = json_object();
	uint64_t before = 0, after = 0, predicted = 0, held_before = 0, held_after = 0, moved = 0;

	for (unsigned z = 0; z < a->n_zones; z++) {
		before += a->zones[z].available_before;
		after += a->zones[z].available_after;
		predicted += a->zones[z].available_predicted;
		held_before += a->zones[z].held_before;
		held_after += a->zones[z].held_after;
	}
	for (unsigned i = 0; i < a->n_runs; i++)
		moved += a->runs[i].migrated;
	gw_json_set(&o, "available_before", gw_json_uint(before));
	gw_json_set(&o, "available_after", gw_json_uint(after));
	gw_json_set(&o, "available_predicted", gw_json_uint(predicted));
	gw_json_set(&o, "available_predicted_as_ended",
		a->has_stop ? gw_json_uint(a->stop_available) : json_null());
	gw_json_set(&o, "pages_migrated", gw_json_uint(moved));
	gw_json_set(&o, "pages_migrated_predicted", gw_json_uint(a->predicted_pages));
	gw_json_set(&o, "pages_migrated_predicted_as_ended",
		a->has_stop ? gw_json_uint(a->stop_pages) : json_null());
	gw_json_set(&o, "pcp_before", gw_json_uint(held_before));
	gw_json_set(&o, "pcp_after", gw_json_uint(held_after));
	return o;
}

static json_t *
pool(const struct gw_apply *a)
{
	json_t *o;

	if (!a->reserve)
		return json_null();
	o = json_object();
	gw_json_set(&o, "file", json_string(a->pool.path));
	gw_json_set(&o, "before", gw_json_uint(a->pool.before));
	gw_json_set(&o, "given", gw_json_uint(a->pool.given));
	gw_json_set(&o, "complete", json_boolean(a->pool.complete));
	gw_json_set(&o, "restored", json_boolean(a->pool.restored));
	return o;
}

int
gw_json_apply(FILE *out, const struct gw_snapshot *snap, const struct gw_apply *a)
{
	static const char *const outcomes[] = {
		[GW_APPLY_ALREADY] = "already",
		[GW_APPLY_REACHED] = "reached",
		[GW_APPLY_NO_GAIN] = "no_gain",
		[GW_APPLY_MAX_RUNS] = "max_runs",
		[GW_APPLY_DRY_RUN] = "dry_run",
	};
	json_t *o = gw_json_begin("godwit.apply", snap);
	json_t *zones = json_array(), *runs = json_array();

	for (unsigned z = 0; z < a->n_zones; z++)
		gw_json_append(&zones, zone(&a->zones[z]));
	for (unsigned i = 0; i < a->n_runs; i++)
		gw_json_append(&runs, run(a, &a->runs[i]));
	gw_json_set(&o, "request", request(a));
	gw_json_set(&o, "wanted", gw_json_uint(a->wanted));
	gw_json_set(&o, "enough", json_boolean(gw_apply_succeeded(a)));
	gw_json_set(&o, "outcome", json_string(outcomes[a->outcome]));
	gw_json_set(&o, "zones", zones);
	gw_json_set(&o, "total", total(a));
	gw_json_set(&o, "runs", runs);
	gw_json_set(&o, "pool", pool(a));
	gw_json_set(&o, "plan", gw_json_plan_object(snap, a->plan));
	gw_json_set(&o, "trace_missing", gw_json_text(a->trace_missing));
	return gw_json_end(out, o);
}
