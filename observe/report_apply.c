/* SPDX-License-Identifier: MIT */
/*
 * report_apply.c - what was done on the live host, in text.
 *
 * Idea. The answer first; then predicted beside achieved; then, for whoever wonders why they
 * differ, each zone and each run.
 */
#include "report_internal.h"
#include "apply.h"

bool
gw_apply_succeeded(const struct gw_apply *a)
{
	uint64_t predicted = 0;

	for (unsigned z = 0; z < a->n_zones; z++)
		predicted += a->zones[z].available_predicted;
	switch (a->outcome) {
	case GW_APPLY_DRY_RUN:
		return predicted >= a->wanted;
	case GW_APPLY_ALREADY:
	case GW_APPLY_REACHED:
		return !a->reserve || a->pool.complete;
	default:
		return a->reserve && a->pool.complete;
	}
}

struct totals {
	uint64_t before, after, predicted, held_before, held_after, migrated, failed, ns;
};

static struct totals
sum_up(const struct gw_apply *a)
{
	struct totals t = {0};

	for (unsigned z = 0; z < a->n_zones; z++) {
		t.before += a->zones[z].available_before;
		t.after += a->zones[z].available_after;
		t.predicted += a->zones[z].available_predicted;
		t.held_before += a->zones[z].held_before;
		t.held_after += a->zones[z].held_after;
	}
	for (unsigned i = 0; i < a->n_runs; i++) {
		t.migrated += a->runs[i].migrated;
		t.failed += a->runs[i].failed;
		t.ns += a->runs[i].ns;
	}
	return t;
}

static struct gw_text_piece
blocks(const struct gw_apply *a, uint64_t n)
{
	return gw_text_blocks(a->order, a->plan->pageblock_order, n);
}

static void
put_dry_run(const struct gw_report *r, const struct gw_apply *a, const struct totals *t)
{
	gw_heading(r, "Dry run: nothing was written");
	gw_paragraph(r, 2, gw_apply_succeeded(a) ? GW_TONE_GOOD : GW_TONE_BAD,
		"%s %s wanted: %s are free now, %s are predicted after a full run.",
		gw_text_count(a->wanted).s, blocks(a, a->wanted).s, gw_text_count(t->before).s,
		gw_text_count(t->predicted).s);
	if (t->before >= a->wanted)
		gw_paragraph(r, 2, GW_TONE_PLAIN, "No compaction would be needed.");
	else
		gw_paragraph(r, 2, GW_TONE_PLAIN,
			"Would write dirty page cache out (sync), then 1 to %s, up to %u times "
			"while a run gains something.",
			a->compact_path, a->max_runs);
	if (a->reserve && a->pool.before >= a->count)
		gw_paragraph(r, 2, GW_TONE_PLAIN, "The pool holds %s huge pages already.",
			gw_text_count(a->pool.before).s);
	else if (a->reserve)
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Would write %llu to %s, which says %llu.",
			(unsigned long long)a->count, a->pool.path,
			(unsigned long long)a->pool.before);
}

static void
put_pool(const struct gw_report *r, const struct gw_apply *a)
{
	const struct gw_apply_pool *p = &a->pool;

	if (p->complete && p->before >= a->count) {
		gw_paragraph(r, 0, GW_TONE_GOOD,
			"Yes: the pool held %s huge pages already; it was not made smaller.",
			gw_text_count(p->before).s);
		return;
	}
	if (p->complete) {
		gw_paragraph(r, 0, GW_TONE_GOOD,
			"Yes: %s huge pages of %s are reserved (%s before).",
			gw_text_count(p->given).s, gw_text_frames(UINT64_C(1) << a->order).s,
			gw_text_count(p->before).s);
		gw_paragraph(r, 0, GW_TONE_PLAIN, "To undo it:");
		fprintf(r->out, "  echo %llu > %s\n", (unsigned long long)p->before, p->path);
		return;
	}
	gw_paragraph(r, 0, GW_TONE_BAD,
		"No: the kernel gave %s of %s huge pages. They were given back: the pool holds "
		"%s, as before.",
		gw_text_count(p->given).s, gw_text_count(a->count).s, gw_text_count(p->before).s);
}

static void
put_answer(const struct gw_report *r, const struct gw_apply *a, const struct totals *t)
{
	static const char *const why[] = {
		[GW_APPLY_REACHED] = "",
		[GW_APPLY_NO_GAIN] = "The last run gained nothing.",
		[GW_APPLY_MAX_RUNS] = "As many runs were made as allowed (--max-runs).",
	};
	const bool yes = t->after >= a->wanted;

	if (a->reserve)
		put_pool(r, a);
	if (a->outcome == GW_APPLY_ALREADY) {
		gw_paragraph(r, 0, a->reserve ? GW_TONE_PLAIN : GW_TONE_GOOD,
			"%s%s %s of %s were free, %s wanted: no compaction was needed.",
			a->reserve ? "" : "Yes: ", gw_text_count(t->before).s,
			blocks(a, t->before).s, gw_text_frames(UINT64_C(1) << a->order).s,
			gw_text_count(a->wanted).s);
		return;
	}
	gw_paragraph(r, 0,
		a->reserve ? GW_TONE_PLAIN
		: yes	   ? GW_TONE_GOOD
			   : GW_TONE_BAD,
		"%s%s %s of %s were free after compaction; %s before, %s wanted. %s",
		a->reserve ? ""
		: yes	   ? "Yes: "
			   : "No: ",
		gw_text_count(t->after).s, blocks(a, t->after).s,
		gw_text_frames(UINT64_C(1) << a->order).s, gw_text_count(t->before).s,
		gw_text_count(a->wanted).s, why[a->outcome]);
}

static void
put_comparison_row(const struct gw_report *r, const char *name, uint64_t full, bool has_stop,
	uint64_t stop, uint64_t first, uint64_t all)
{
	fprintf(r->out, "  %-19s %12s %13s %12s %12s\n", name, gw_text_count(full).s,
		has_stop ? gw_text_count(stop).s : "-", gw_text_count(first).s,
		gw_text_count(all).s);
}

static void
put_comparison(const struct gw_report *r, const struct gw_apply *a, const struct totals *t)
{
	const struct gw_apply_run *first = &a->runs[0];

	gw_heading(r, "Predicted and achieved");
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-19s %12s %13s %12s %12s\n", "", "predicted,", "predicted, as",
		"achieved,", "achieved,");
	fprintf(r->out, "  %-19s %12s %13s %12s %12s\n", "", "full run", "run 1 ended", "run 1",
		"all runs");
	gw_tone(r, GW_TONE_PLAIN);
	put_comparison_row(r, "blocks available", t->predicted, a->has_stop, a->stop_available,
		first->available_after, t->after);
	put_comparison_row(r, "pages moved", a->predicted_pages, a->has_stop, a->stop_pages,
		first->migrated, t->migrated);
	gw_paragraph(r, 2, GW_TONE_DIM,
		"blocks: free, in units of order %u (%s). %s free pages (%s) are still held on "
		"per-CPU lists, %s before: they are in no block yet.",
		a->order, gw_text_frames(UINT64_C(1) << a->order).s, gw_text_count(t->held_after).s,
		gw_text_frames(t->held_after).s, gw_text_count(t->held_before).s);
}

static void
put_zone_row(const struct gw_report *r, const char *name, uint64_t before, uint64_t predicted,
	uint64_t after, uint64_t held_before, uint64_t held_after)
{
	fprintf(r->out, "  %-14s %10s %11s %10s %12s %12s\n", gw_text_clean(name, 14).s,
		gw_text_count(before).s, gw_text_count(predicted).s, gw_text_count(after).s,
		gw_text_count(held_before).s, gw_text_count(held_after).s);
}

static struct gw_text_piece
zone_name(const struct gw_apply_zone *zone)
{
	struct gw_text_piece t;

	snprintf(t.s, sizeof t.s, "%d %s", zone->node, zone->name);
	return gw_text_clean(t.s, 20);
}

static void
put_zones(const struct gw_report *r, const struct gw_apply *a, const struct totals *t)
{
	gw_heading(r, "Zones");
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-14s %10s %11s %10s %12s %12s\n", "", "available", "predicted",
		"available", "held before", "held after");
	fprintf(r->out, "  %-14s %10s %11s %10s %12s %12s\n", "node, zone", "before", "after",
		"after", "(pages)", "(pages)");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned z = 0; z < a->n_zones; z++) {
		const struct gw_apply_zone *zone = &a->zones[z];

		put_zone_row(r, zone_name(zone).s, zone->available_before,
			zone->available_predicted, zone->available_after, zone->held_before,
			zone->held_after);
	}
	if (a->n_zones > 1)
		put_zone_row(r, "total", t->before, t->predicted, t->after, t->held_before,
			t->held_after);
}

static void
put_end(const struct gw_report *r, const struct gw_apply *a, const struct gw_apply_end *e)
{
	const struct gw_apply_zone *zone = &a->zones[e->zone];
	const bool early = e->result == GW_COMPACT_CONTENDED;

	fprintf(r->out, "     %-14s %-10s", zone_name(zone).s, gw_compact_result_name(e->result));
	if (early)
		fprintf(r->out, " at frame 0x%x, free scanner 0x%x", e->migrate_pfn, e->free_pfn);
	fputc('\n', r->out);
	if (early && e->folio_pages > 0)
		gw_paragraph(r, 7, GW_TONE_DIM,
			"At frame 0x%x stands a folio of %u pages (%s%s): it had no target of its "
			"size and could not be split.",
			e->folio, e->folio_pages, gw_kind_info(gw_frame_kind(e->frame))->title,
			e->frame & GW_FRAME_PRIVATE ? ", private data" : "");
}

static void
put_runs(const struct gw_report *r, const struct gw_apply *a)
{
	gw_heading(r, "Runs");
	for (unsigned i = 0; i < a->n_runs; i++) {
		const struct gw_apply_run *run = &a->runs[i];
		const bool less = run->available_after < run->available_before;
		const uint64_t by = less ? run->available_before - run->available_after
					 : run->available_after - run->available_before;

		fprintf(r->out, "  %u  %.2f s, %s pages moved, %s failed, %s%s blocks\n", i + 1,
			(double)run->ns / 1e9, gw_text_count(run->migrated).s,
			gw_text_count(run->failed).s, less ? "-" : "+", gw_text_count(by).s);
		fprintf(r->out, "     waited %.1f s, then %s still held on per-CPU lists\n",
			(double)run->settle_ms / 1e3, gw_text_frames(run->held).s);
		for (unsigned e = 0; e < run->n_ends; e++)
			put_end(r, a, &run->ends[e]);
	}
	if (a->trace_missing[0])
		gw_paragraph(r, 2, GW_TONE_DIM, "Why the runs ended is not known: %s.",
			gw_text_clean(a->trace_missing, 200).s);
}

void
gw_report_apply(const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_apply *a)
{
	const struct totals t = sum_up(a);

	if (a->outcome == GW_APPLY_DRY_RUN) {
		gw_report_plan(r, snap, a->plan);
		put_dry_run(r, a, &t);
		return;
	}
	gw_report_source(r, snap);
	put_answer(r, a, &t);
	if (a->n_runs > 0)
		put_comparison(r, a, &t);
	put_zones(r, a, &t);
	if (a->n_runs > 0)
		put_runs(r, a);
}
