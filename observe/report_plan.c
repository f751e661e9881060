/* SPDX-License-Identifier: MIT */
/*
 * report_plan.c - a plan in text.
 *
 * Idea. Whoever asked "can I have 2,000 huge pages?" reads the answer in the first line,
 * the price in the second, and may stop there. Then come the maps before and after, and the tables
 * that bear it out.
 */
#include <stdlib.h>
#include <string.h>

#include "report_internal.h"

#define BLOCKERS_SHOWN 6
#define STOPS_SHOWN    5

static void
put_zone_row(const struct gw_report *r, const struct gw_plan_zone *z, bool total)
{
	char name[48];

	if (total)
		snprintf(name, sizeof name, "total");
	else
		snprintf(name, sizeof name, "%d %s", z->node, z->name);
	fprintf(r->out, "  %-11s %9s %9s %10s %12s%s%s\n", gw_text_clean(name, 11).s,
		gw_text_count(z->available_before).s, gw_text_count(z->available_after).s,
		gw_text_count(z->pages_migrated).s,
		gw_text_count(z->migrate_scanned + z->free_scanned).s, total ? "" : "  ",
		total ? "" : gw_compact_result_name(z->result));
}

static void
put_zones(const struct gw_report *r, const struct gw_plan *p)
{
	gw_heading(r, "Zones");
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-11s %9s %9s %10s %12s\n", "", "available", "available", "pages",
		"frames");
	fprintf(r->out, "  %-11s %9s %9s %10s %12s  %s\n", "node, zone", "before", "after", "moved",
		"scanned", "result");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned z = 0; z < p->n_zones; z++)
		put_zone_row(r, &p->zones[z], false);
	if (p->n_zones > 1)
		put_zone_row(r, &p->total, true);
	gw_paragraph(r, 2, GW_TONE_DIM, "available: free blocks in units of order %u (%s).",
		p->request.order, gw_text_frames(UINT64_C(1) << p->request.order).s);
}

/* The kinds that stand in the way, those whose leaving would free most blocks first. */
static unsigned
sort_blockers(const struct gw_plan *p, enum gw_kind kinds[GW_KIND_NR])
{
	const struct gw_blocker *b = p->total.blockers;
	unsigned n = 0;

	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		unsigned at = n;

		if (b[k].pageblocks == 0)
			continue;
		while (at > 0 && (b[kinds[at - 1]].sole < b[k].sole ||
					 (b[kinds[at - 1]].sole == b[k].sole &&
						 b[kinds[at - 1]].pageblocks < b[k].pageblocks)))
			at--;
		memmove(&kinds[at + 1], &kinds[at], (n - at) * sizeof kinds[0]);
		kinds[at] = (enum gw_kind)k;
		n++;
	}
	return n;
}

static void
put_blockers(const struct gw_report *r, const struct gw_plan *p)
{
	enum gw_kind kinds[GW_KIND_NR + 1];
	unsigned n = sort_blockers(p, kinds);

	gw_heading(r, "What stands in the way");
	if (n == 0) {
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Nothing: no pageblock has a page that stays.");
		return;
	}
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-28s %9s %11s %11s\n", "kind", "pages", "pageblocks", "would free");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned i = 0; i < n && i < BLOCKERS_SHOWN; i++) {
		const struct gw_kind_info *info = gw_kind_info(kinds[i]);
		const struct gw_blocker *b = &p->total.blockers[kinds[i]];

		fprintf(r->out, "  %-28s %9s %11s %11s\n", info->title, gw_text_count(b->pages).s,
			gw_text_count(b->pageblocks).s, gw_text_count(b->sole).s);
		gw_paragraph(r, 6, GW_TONE_DIM, "%s. Helps: %s.", info->why, info->help);
	}
	if (n > BLOCKERS_SHOWN)
		gw_paragraph(
			r, 2, GW_TONE_DIM, "and %u more: --json has them all.", n - BLOCKERS_SHOWN);
	gw_paragraph(r, 2, GW_TONE_DIM,
		"would free: pageblocks that nothing else blocks, so that they could be emptied "
		"if this kind were not there.");
}

static int
by_likelihood(const void *a, const void *b)
{
	const struct gw_plan_stop *const *x = a, *const *y = b;

	if ((*x)->likely != (*y)->likely)
		return (*x)->likely ? -1 : 1;
	return *x < *y ? -1 : *x > *y; /* then in the order of the run */
}

static void
put_stop(const struct gw_report *r, const struct gw_plan *p, const struct gw_plan_stop *s)
{
	const char *zone = s->zone < p->n_zones ? p->zones[s->zone].name : "?";
	char frame[16];

	snprintf(frame, sizeof frame, "0x%x", s->page);
	fprintf(r->out, "  %-10s %5u  %-18.18s %-8s %-8s %10s %11s\n", frame, s->order,
		gw_kind_info(s->kind)->title, gw_text_clean(zone, 8).s, s->likely ? "likely" : "",
		gw_text_count(s->pages_migrated).s, gw_text_count(s->available_after).s);
}

static void
put_stops(const struct gw_report *r, const struct gw_plan *p)
{
	const struct gw_plan_stop *sorted[GW_PLAN_STOPS_MAX];
	unsigned n = p->n_stops < GW_PLAN_STOPS_MAX ? p->n_stops : GW_PLAN_STOPS_MAX;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		sorted[i] = &p->stops[i];
	qsort(sorted, n, sizeof sorted[0], by_likelihood);

	gw_heading(r, "Where the kernel's own run may stop early");
	gw_paragraph(r, 2, GW_TONE_PLAIN,
		"A large folio that finds no free block of its size must be split; where it cannot "
		"be, the zone's run ends, with this result. %s folio%s could do that:",
		gw_text_count(p->n_stops_total).s, p->n_stops_total == 1 ? "" : "s");
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-10s %5s  %-18s %-8s %-8s %10s %11s\n", "at frame", "order", "kind",
		"zone", "", "moved", "available");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned i = 0; i < n && i < STOPS_SHOWN; i++)
		put_stop(r, p, sorted[i]);
	if (p->n_stops_total > STOPS_SHOWN)
		gw_paragraph(r, 2, GW_TONE_DIM, "and %s more. A second run often gets further.",
			gw_text_count(p->n_stops_total - STOPS_SHOWN).s);
}

static void
put_notes(const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_plan *p)
{
	const struct gw_plan_zone *t = &p->total;
	uint64_t reported = 0, placed = 0, certain = 0, torn = 0;

	for (unsigned z = 0; z < p->n_zones; z++) {
		const struct gw_twin_notes *n = &p->zones[z].notes;

		reported += n->pcp_reported;
		placed += n->pcp_placed;
		certain += n->pcp_certain;
		torn += n->torn_folios + n->torn_blocks;
	}
	gw_heading(r, "How sure this is");
	if (t->available_after_held < t->available_after)
		gw_paragraph(r, 2, GW_TONE_PLAIN,
			"Pages just moved away from stay on per-CPU lists for a minute or more: "
			"until these drain, only %s of the %s may show.",
			gw_text_count(t->available_after_held).s,
			gw_text_count(t->available_after).s);
	if (reported > 0)
		gw_paragraph(r, 2, GW_TONE_PLAIN,
			"%s free pages (%s) were on per-CPU lists, which the map does not show: %s "
			"were placed by their neighbourhood, %.0f %% of these with certainty.",
			gw_text_count(reported).s, gw_text_frames(reported).s,
			gw_text_count(placed).s,
			placed ? 100.0 * (double)certain / (double)placed : 100.0);
	if (torn > 0)
		gw_paragraph(r, 2, GW_TONE_PLAIN,
			"A snapshot is not taken in one instant: folios and free blocks that did "
			"not fit together were mended, %s in all.",
			gw_text_count(torn).s);
	gw_paragraph(r, 2, GW_TONE_PLAIN,
		"Pinned pages do not show on the map and are taken to be movable.");
	if (snap->missing[0])
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Not in the snapshot: %s.",
			gw_text_clean(snap->missing, 200).s);
}

static enum gw_tone
answer_tone(const struct gw_plan *p)
{
	if (p->request.count == 0)
		return GW_TONE_TITLE;
	return p->enough ? GW_TONE_GOOD : GW_TONE_BAD;
}

void
gw_report_plan(
	const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_plan *plan)
{
	const struct gw_picture picture = {
		.maps = {plan->before, plan->after},
		.titles = {"before", "after"},
		.n_maps = 2,
		.n_blocks = plan->n_blocks,
		.pageblock_order = plan->pageblock_order,
	};
	const struct gw_text_piece help = gw_plan_help(plan);

	gw_report_source(r, snap);
	gw_paragraph(r, 0, answer_tone(plan), "%s", gw_plan_answer(plan).s);
	gw_paragraph(r, 0, GW_TONE_PLAIN, "%s", gw_plan_cost(plan).s);
	if (help.s[0])
		gw_paragraph(r, 0, GW_TONE_PLAIN, "%s", help.s);
	if (plan->request.stop_at)
		gw_paragraph(r, 0, GW_TONE_PLAIN,
			"This is a run that ends where the migration scanner reaches frame 0x%x.",
			plan->request.stop_at);
	gw_picture(r, &picture);
	put_zones(r, plan);
	put_blockers(r, plan);
	put_stops(r, plan);
	put_notes(r, snap, plan);
}
