/* SPDX-License-Identifier: MIT */
/*
 * json_frag.c - how fragmented memory is, for programs (docs/json.md, godwit.frag).
 */
#include "report_internal.h"
#include "godwit/zone.h"

static json_t *
watermarks(const struct gw_zone_snapshot *z)
{
	json_t *o = json_object();

	gw_json_set(&o, "min", gw_json_uint(z->wmark_min));
	gw_json_set(&o, "low", gw_json_uint(z->wmark_low));
	gw_json_set(&o, "high", gw_json_uint(z->wmark_high));
	gw_json_set(&o, "boost", gw_json_uint(z->boost));
	return o;
}

static json_t *
migratetypes(const struct gw_zone_snapshot *z, unsigned n_orders)
{
	json_t *o = json_object();

	for (unsigned t = 0; t < GW_MT_NR && z->has_pagetypes; t++) {
		json_t *row = json_object();
		bool capped = false;

		for (unsigned k = 0; k < n_orders; k++)
			capped |= z->free_by_type_capped[t][k];
		gw_json_set(&row, "pageblocks", gw_json_uint(z->pageblocks[t]));
		gw_json_set(&row, "free_blocks", gw_json_counts(z->free_by_type[t], n_orders));
		gw_json_set(&row, "free_blocks_capped", json_boolean(capped));
		gw_json_set(&o, gw_migratetype_names[t], row);
	}
	return o;
}

static json_t *
pcp(const struct gw_zone_snapshot *z, const struct gw_twin_notes *n)
{
	json_t *o = json_object();

	gw_json_set(&o, "cpus", gw_json_uint(z->n_cpus));
	gw_json_set(&o, "count", gw_json_uint(n->pcp_reported));
	gw_json_set(&o, "placed", gw_json_uint(n->pcp_placed));
	gw_json_set(&o, "certain", gw_json_uint(n->pcp_certain));
	gw_json_set(&o, "confidence", gw_json_uint(n->pcp_confidence));
	gw_json_set(&o, "high", gw_json_uint(z->pcp_high));
	gw_json_set(&o, "batch", gw_json_uint(z->pcp_batch));
	return o;
}

/* The figures that follow from free blocks alone. */
static void
set_figures(json_t **o, const uint64_t *free_blocks, unsigned n, unsigned order)
{
	json_t *unusable = json_array(), *fragmentation = json_array();

	for (unsigned k = 0; k < n; k++) {
		gw_json_append(&unusable, json_integer(gw_unusable_index(free_blocks, n, k)));
		gw_json_append(
			&fragmentation, json_integer(gw_fragmentation_index(free_blocks, n, k)));
	}
	gw_json_set(o, "free_blocks", gw_json_counts(free_blocks, n));
	gw_json_set(o, "unusable_index", unusable);
	gw_json_set(o, "fragmentation_index", fragmentation);
	gw_json_set(o, "score",
		json_integer(n > order ? gw_proactive_score(free_blocks, n, order) : 0));
	gw_json_set(o, "available", gw_json_uint(gw_blocks_available(free_blocks, n, order)));
}

static json_t *
zone(const struct gw_frag *frag, unsigned i)
{
	const struct gw_zone_snapshot *z = &frag->snap->zones[i];
	json_t *o = json_object();

	gw_json_set(&o, "node", json_integer(z->node));
	gw_json_set(&o, "zone", gw_json_text(z->name));
	set_figures(&o, z->free_blocks, z->has_free_blocks ? frag->snap->n_orders : 0, frag->order);
	gw_json_set(&o, "start_pfn", gw_json_uint(z->start_pfn));
	gw_json_set(&o, "spanned", gw_json_uint(z->spanned));
	gw_json_set(&o, "present", gw_json_uint(z->present));
	gw_json_set(&o, "managed", gw_json_uint(z->managed));
	gw_json_set(&o, "free", gw_json_uint(z->free));
	gw_json_set(&o, "watermarks", watermarks(z));
	gw_json_set(&o, "migratetypes", migratetypes(z, frag->snap->n_orders));
	gw_json_set(&o, "pcp", pcp(z, &frag->notes[i]));
	gw_json_set(&o, "notes", gw_json_notes(&frag->notes[i]));
	return o;
}

static json_t *
total(const struct gw_frag *frag)
{
	uint64_t sum[GW_ORDERS_MAX] = {0}, managed = 0, free = 0;
	json_t *o = json_object();

	for (unsigned i = 0; i < frag->snap->n_zones; i++) {
		const struct gw_zone_snapshot *z = &frag->snap->zones[i];

		for (unsigned k = 0; k < frag->snap->n_orders; k++)
			sum[k] += z->free_blocks[k];
		managed += z->managed;
		free += z->free;
	}
	set_figures(&o, sum, frag->snap->n_orders, frag->order);
	gw_json_set(&o, "managed", gw_json_uint(managed));
	gw_json_set(&o, "free", gw_json_uint(free));
	gw_json_set(&o, "pageblocks", gw_json_states(frag->blocks, frag->n_blocks));
	return o;
}

int
gw_json_frag(FILE *out, const struct gw_frag *frag)
{
	json_t *o = gw_json_begin("godwit.frag", frag->snap), *zones = json_array();

	for (unsigned i = 0; i < frag->snap->n_zones; i++)
		gw_json_append(&zones, zone(frag, i));
	gw_json_set(&o, "order", gw_json_uint(frag->order));
	gw_json_set(&o, "zones", zones);
	gw_json_set(&o, "total", total(frag));
	return gw_json_end(out, o);
}
