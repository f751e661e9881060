/* SPDX-License-Identifier: MIT */
/*
 * report_frag.c - how fragmented memory is, in text.
 *
 * Idea. The answer in one sentence, the picture, then each zone. Indices are computed from
 * buddyinfo as the kernel does and printed as debugfs prints them (FACTS 1.5), so that both can
 * be compared digit for digit.
 */
#include "report_internal.h"
#include "godwit/zone.h"

#define BAR_WIDTH 19

/* Free memory of all zones, added up by order. */
static uint64_t
add_up(const struct gw_snapshot *snap, uint64_t sum[GW_ORDERS_MAX])
{
	for (unsigned k = 0; k < GW_ORDERS_MAX; k++)
		sum[k] = 0;
	for (unsigned z = 0; z < snap->n_zones; z++) {
		for (unsigned k = 0; k < snap->n_orders; k++)
			sum[k] += snap->zones[z].free_blocks[k];
	}
	return gw_blocks_frames(sum, snap->n_orders);
}

static void
put_answer(const struct gw_report *r, const struct gw_frag *frag)
{
	const struct gw_snapshot *snap = frag->snap;
	uint64_t sum[GW_ORDERS_MAX], free = add_up(snap, sum);
	uint64_t available = gw_blocks_available(sum, snap->n_orders, frag->order);
	unsigned unusable = (unsigned)gw_unusable_index(sum, snap->n_orders, frag->order);

	gw_paragraph(r, 0, GW_TONE_TITLE,
		"%s is free, and %s of it can be had as %s %s of %s: %u.%u %% of free memory is "
		"in smaller pieces.",
		gw_text_frames(free).s, gw_text_frames(available << frag->order).s,
		gw_text_count(available).s,
		gw_text_blocks(frag->order, snap->pageblock_order, available).s,
		gw_text_frames(UINT64_C(1) << frag->order).s, unusable / 10, unusable % 10);
}

static void
put_bar(const struct gw_report *r, uint64_t part, uint64_t whole)
{
	unsigned eighths =
		whole ? (unsigned)((double)part / (double)whole * BAR_WIDTH * 8 + 0.5) : 0;
	unsigned cells = eighths / 8;

	if (part == 0 || r->width < GW_TEXT_COLUMNS)
		return;
	fputs("  ", r->out);
	if (!r->colour || !r->utf8) {
		for (unsigned i = 0; i < cells || i == 0; i++)
			fputc('=', r->out);
		return;
	}
	fputs("\033[38;5;29m", r->out);
	for (unsigned i = 0; i < cells; i++)
		fputs("\u2588", r->out);
	if (eighths % 8 > 0 || cells == 0) {
		unsigned left = eighths % 8 > 0 ? eighths % 8 : 1;

		/* U+258F is one eighth of a block, U+2588 all of it. */
		fprintf(r->out, "\xe2\x96%c", (int)(0x90 - left));
	}
	gw_tone(r, GW_TONE_PLAIN);
}

static void
put_orders(const struct gw_report *r, const struct gw_frag *frag, const struct gw_zone_snapshot *z)
{
	const unsigned n = frag->snap->n_orders;
	const uint64_t all = gw_blocks_frames(z->free_blocks, n);

	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  order    block  free blocks       free  unusable  fragm.%s\n",
		r->width < GW_TEXT_COLUMNS ? "" : "  share of free");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned k = 0; k < n; k++) {
		const uint64_t frames = z->free_blocks[k] << k;
		char unusable[16], fragmented[16];

		gw_index_format(
			unusable, sizeof unusable, gw_unusable_index(z->free_blocks, n, k), false);
		gw_index_format(fragmented, sizeof fragmented,
			gw_fragmentation_index(z->free_blocks, n, k), true);
		if (k == frag->order)
			gw_tone(r, GW_TONE_TITLE);
		fprintf(r->out, "%c %5u %8s %12s %10s %9s  %6s", k == frag->order ? '>' : ' ', k,
			gw_text_frames(UINT64_C(1) << k).s, gw_text_count(z->free_blocks[k]).s,
			frames ? gw_text_frames(frames).s : "-", unusable, fragmented);
		if (k == frag->order)
			gw_tone(r, GW_TONE_PLAIN);
		put_bar(r, frames, all);
		fputc('\n', r->out);
	}
}

/* "10,438 movable, 266 unmovable": types that the zone has none of are left out. */
static void
put_types(const struct gw_report *r, const struct gw_frag *frag, const struct gw_zone_snapshot *z)
{
	char blocks[GW_MESSAGE_MAX] = "", frames[GW_MESSAGE_MAX] = "";
	size_t n_blocks = 0, n_frames = 0;

	for (unsigned t = 0; t < GW_MT_NR; t++) {
		uint64_t free = gw_blocks_frames(z->free_by_type[t], frag->snap->n_orders);
		bool capped = false;

		for (unsigned k = 0; k < frag->snap->n_orders; k++)
			capped |= z->free_by_type_capped[t][k];
		if (z->pageblocks[t] > 0 && n_blocks < sizeof blocks)
			n_blocks += (size_t)snprintf(blocks + n_blocks, sizeof blocks - n_blocks,
				"%s%s %s", n_blocks ? ", " : "", gw_text_count(z->pageblocks[t]).s,
				gw_migratetype_names[t]);
		if (free > 0 && n_frames < sizeof frames)
			n_frames += (size_t)snprintf(frames + n_frames, sizeof frames - n_frames,
				"%s%s%s %s", n_frames ? ", " : "", capped ? "at least " : "",
				gw_text_frames(free).s, gw_migratetype_names[t]);
	}
	gw_paragraph(r, 2, GW_TONE_PLAIN, "Pageblocks: %s.", n_blocks ? blocks : "none");
	gw_paragraph(r, 2, GW_TONE_PLAIN, "Free by type: %s.", n_frames ? frames : "nothing");
}

static void
put_pcp(const struct gw_report *r, const struct gw_zone_snapshot *z, const struct gw_twin_notes *n)
{
	if (n->pcp_reported == 0) {
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Per-CPU lists: empty.");
		return;
	}
	gw_paragraph(r, 2, GW_TONE_PLAIN,
		"Per-CPU lists: %s pages (%s) on %u CPU%s, %s of them placed on the map, %u %% of "
		"these with certainty.",
		gw_text_count(n->pcp_reported).s, gw_text_frames(n->pcp_reported).s, z->n_cpus,
		z->n_cpus == 1 ? "" : "s", gw_text_count(n->pcp_placed).s, n->pcp_confidence);
}

static void
put_zone(const struct gw_report *r, const struct gw_frag *frag, unsigned zone)
{
	const struct gw_zone_snapshot *z = &frag->snap->zones[zone];
	const unsigned n = frag->snap->n_orders;

	gw_heading(r, "Node %d, zone %s: %s, %s free (%.0f %%)", z->node,
		gw_text_clean(z->name, GW_ZONE_NAME_MAX).s, gw_text_frames(z->managed).s,
		gw_text_frames(z->free).s,
		z->managed ? 100.0 * (double)z->free / (double)z->managed : 0.0);
	if (!z->has_free_blocks)
		gw_paragraph(r, 2, GW_TONE_DIM, "buddyinfo does not mention this zone.");
	else
		put_orders(r, frag, z);
	if (z->has_pagetypes)
		put_types(r, frag, z);
	put_pcp(r, z, &frag->notes[zone]);
	gw_paragraph(r, 2, GW_TONE_PLAIN, "Watermarks: min %s, low %s, high %s%s%s pages.",
		gw_text_count(z->wmark_min).s, gw_text_count(z->wmark_low).s,
		gw_text_count(z->wmark_high).s, z->boost ? ", boosted by " : "",
		z->boost ? gw_text_count(z->boost).s : "");
	if (z->has_free_blocks)
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Proactive score: %d of 100 at order %u.",
			gw_proactive_score(z->free_blocks, n, frag->order), frag->order);
}

void
gw_report_frag(const struct gw_report *r, const struct gw_frag *frag)
{
	const struct gw_picture picture = {
		.maps = {frag->blocks},
		.n_maps = 1,
		.n_blocks = frag->n_blocks,
		.pageblock_order = frag->snap->pageblock_order,
	};

	gw_report_source(r, frag->snap);
	put_answer(r, frag);
	gw_picture(r, &picture);
	for (unsigned z = 0; z < frag->snap->n_zones; z++)
		put_zone(r, frag, z);
	fputc('\n', r->out);
	gw_paragraph(r, 0, GW_TONE_DIM,
		"unusable: share of free memory that cannot serve the order. fragm.: -1.000 where "
		"a request would succeed; else towards 0 it fails for lack of memory, towards 1 "
		"for fragmentation. Score: what kcompactd compares with its watermarks.");
	if (frag->snap->missing[0])
		gw_paragraph(r, 0, GW_TONE_DIM, "Not in the snapshot: %s.",
			gw_text_clean(frag->snap->missing, 200).s);
}
