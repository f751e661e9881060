/* SPDX-License-Identifier: MIT */
/*
 * json_range.c - plans for a range and for gigantic pages, for programs (docs/json.md,
 * godwit.plan.offline and godwit.plan.gigantic).
 */
#include "report_internal.h"

static json_t *
kinds(const struct gw_range_plan *p)
{
	json_t *o = json_object();

	for (unsigned k = 0; k < GW_KIND_NR; k++)
		if (p->by_kind[k])
			gw_json_set(&o, gw_kind_info((enum gw_kind)k)->name,
				gw_json_uint(p->by_kind[k]));
	return o;
}

static json_t *
places_in_the_way(const struct gw_range_plan *p)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < p->n_blockers; i++) {
		const struct gw_range_blocker *b = &p->blockers[i];
		json_t *o = json_object();

		gw_json_set(&o, "pfn", gw_json_uint(b->pfn));
		gw_json_set(&o, "frames", gw_json_uint(b->frames));
		gw_json_set(&o, "kind", json_string(gw_kind_info(b->kind)->name));
		gw_json_set(&o, "why", json_string(gw_obstacle_name(b->why)));
		gw_json_append(&array, o);
	}
	return array;
}

static void
set_range(json_t **o, const struct gw_range_plan *p)
{
	gw_json_set(o, "start_pfn", gw_json_uint(p->start));
	gw_json_set(o, "end_pfn", gw_json_uint(p->end));
	gw_json_set(o, "node", json_integer(p->node));
	gw_json_set(o, "zone", gw_json_text(p->zone));
	gw_json_set(o, "possible", json_boolean(p->possible));
	gw_json_set(o, "refused", gw_json_text(p->refused));
	gw_json_set(o, "free", gw_json_uint(p->free));
	gw_json_set(o, "to_move", gw_json_uint(p->movable));
	gw_json_set(o, "hugetlb", gw_json_uint(p->hugetlb));
	gw_json_set(o, "blocking", gw_json_uint(p->blocked));
	gw_json_set(o, "room", gw_json_uint(p->room));
	gw_json_set(o, "pages_migrated", gw_json_uint(p->pages_migrated));
	gw_json_set(o, "seconds_estimate", json_real(p->seconds_estimate));
	gw_json_set(o, "blockers", kinds(p));
	gw_json_set(o, "in_the_way", places_in_the_way(p));
	gw_json_set(o, "in_the_way_total", gw_json_uint(p->n_blockers_total));
}

int
gw_json_offline(FILE *out, const struct gw_snapshot *snap, const struct gw_range_plan *plan)
{
	json_t *o = gw_json_begin("godwit.plan.offline", snap);

	gw_json_set(&o, "answer", json_string(gw_offline_answer(plan).s));
	gw_json_set(&o, "cost", json_string(gw_offline_cost(plan).s));
	set_range(&o, plan);
	return gw_json_end(out, o);
}

int
gw_json_gigantic(FILE *out, const struct gw_snapshot *snap, const struct gw_gigantic_plan *plan)
{
	json_t *o = gw_json_begin("godwit.plan.gigantic", snap), *places = json_array();

	for (unsigned i = 0; i < plan->n_places; i++) {
		json_t *place = json_object();

		set_range(&place, &plan->places[i]);
		gw_json_append(&places, place);
	}
	gw_json_set(&o, "answer", json_string(gw_gigantic_answer(plan).s));
	gw_json_set(&o, "cost", json_string(gw_gigantic_cost(plan).s));
	gw_json_set(&o, "order", gw_json_uint(plan->order));
	gw_json_set(&o, "count", gw_json_uint(plan->count));
	gw_json_set(&o, "had", gw_json_uint(plan->had));
	gw_json_set(&o, "enough", json_boolean(plan->had >= plan->count));
	gw_json_set(&o, "pages_migrated", gw_json_uint(plan->pages_migrated));
	gw_json_set(&o, "seconds_estimate", json_real(plan->seconds_estimate));
	gw_json_set(&o, "places", places);
	return gw_json_end(out, o);
}
